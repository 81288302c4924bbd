/** Addresses and the forms of fields, as tables. */

import t from 'tap';
import { formatAddress, isDeviceId, isPhone, isUserId, parseAddress } from './address.ts';
import { isConfirmCode, isCount, isCounter, isErrorCode, isPreKeyId, isRegistrationId } from './fields.ts';

interface Row {
  readonly test: (value: unknown) => boolean;
  readonly right: readonly unknown[];
  readonly wrong: readonly unknown[];
}

const FORMS: readonly Row[] = [
  {
    test: isUserId,
    right: ['123456789012345', '000000000000000'],
    wrong: [
      '12345678901234',
      '1234567890123456',
      '12345678901234x',
      '+23456789012345',
      '١٢٣٤٥٦٧٨٩٠١٢٣٤٥',
      123456789012345,
      undefined,
    ],
  },
  { test: isDeviceId, right: [1, 127], wrong: [0, 128, -1, 1.5, NaN, '1', undefined] },
  {
    test: isPhone,
    right: ['+1234567', '+123456789012345', '+4915100000001'],
    wrong: [
      '+123456',
      '+1234567890123456',
      '4915100000001',
      '+0234567',
      '+12345 67',
      '++1234567',
      '+123456a',
      4915100000001,
      undefined,
    ],
  },
  { test: isCounter, right: [1, 2 ** 53 - 1], wrong: [0, -1, 0.5, 2 ** 53, NaN, Infinity, '1', undefined] },
  { test: isCount, right: [0, 2 ** 53 - 1], wrong: [-1, 0.5, 2 ** 53, NaN, '0', undefined] },
  { test: isPreKeyId, right: [0, 2 ** 32 - 1], wrong: [-1, 2 ** 32, 0.5, '0'] },
  { test: isRegistrationId, right: [1, 16380], wrong: [0, 16381, 1.5, '1'] },
  { test: isConfirmCode, right: ['000000', '123456'], wrong: ['12345', '1234567', '12345a', '123456\n', 123456] },
  {
    test: isErrorCode,
    right: ['APP_X', 'WIRE_BAD_STANZA', 'A1_2', `A_${'B'.repeat(62)}`],
    wrong: ['', 'APP', 'APP_', '_APP', 'app_x', 'APP__X', 'APP X', '1_A', `A_${'B'.repeat(63)}`, 4],
  },
];

for (const { test, right, wrong } of FORMS) {
  t.test(test.name, (t) => {
    for (const value of right) t.equal(test(value), true, `takes ${String(value)}`);
    for (const value of wrong) t.equal(test(value), false, `refuses ${String(value)}`);
    t.end();
  });
}

t.test('an address is written and read back', (t) => {
  for (const device of [1, 9, 10, 127]) {
    const address = { user: '000000000000042', device };
    t.strictSame(parseAddress(formatAddress(address)), address);
  }
  const user = '123456789012345';
  for (const text of [
    '',
    user,
    `${user}:`,
    `${user}:0`,
    `${user}:128`,
    `${user}:01`,
    `${user}:1 `,
    `${user}:1e1`,
    `${user}-1`,
    `${user}:1:1`,
  ]) {
    t.equal(parseAddress(text), undefined, JSON.stringify(text));
  }
  t.end();
});

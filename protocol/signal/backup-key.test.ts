/** Backup keys: drawing, typing, bounds, and that everything in the header counts. */
import t from 'tap';
import {
  DEFAULT_SCRYPT_COST,
  deriveBackupKey,
  generateBackupDigits,
  isScryptCostAllowed,
  parseBackupDigits,
} from './backup-key.ts';
import { LIMITS } from './limits.ts';
import { seededRandom } from './testing/device.ts';
import { toHex } from './testing/transcripts.ts';

const random = seededRandom('backup-key');
const CHEAP = { costLog2: LIMITS.scryptCostLog2Min, blockSize: 1, parallelism: 1 };

t.test('digits are drawn uniformly and differ', async (t) => {
  const counts = new Array<number>(10).fill(0);
  for (let round = 0; round < 300; round++) {
    const digits = generateBackupDigits(random);
    t.match(digits, /^[0-9]{64}$/);
    for (const digit of digits) counts[Number(digit)]!++;
  }
  // 1,920 of each are expected, with a standard deviation of 42.
  t.ok(
    counts.every((count) => Math.abs(count - 1_920) < 210),
    counts.join(' '),
  );
  let calls = 0;
  const large = generateBackupDigits((length) => new Uint8Array(length).fill(calls++ === 0 ? 255 : 7));
  t.equal(large, '7'.repeat(64), 'bytes that would favour small digits are drawn again');
});

t.test('digits as people type them', async (t) => {
  const digits = '0123456789'.repeat(6) + '4321';
  t.equal(parseBackupDigits(digits.replace(/(.{4})/g, '$1 ')), digits);
  t.equal(parseBackupDigits(digits.replace(/(.{8})/g, '$1-')), digits);
  for (const wrong of ['', digits.slice(1), `${digits}0`, digits.replace('5', 'x')]) {
    t.equal(parseBackupDigits(wrong), undefined);
  }
});

t.test('what a file may ask of scrypt is bounded', async (t) => {
  t.ok(isScryptCostAllowed(DEFAULT_SCRYPT_COST));
  t.ok(isScryptCostAllowed({ costLog2: 18, blockSize: 8, parallelism: 4 }));
  for (const wrong of [
    { costLog2: 13 },
    { costLog2: 19 },
    { blockSize: 0 },
    { blockSize: 9 },
    { parallelism: 0 },
    { parallelism: 5 },
  ]) {
    const cost = { ...DEFAULT_SCRYPT_COST, ...wrong };
    t.notOk(isScryptCostAllowed(cost));
    await t.rejects(deriveBackupKey({ kind: 'passphrase', passphrase: 'x' }, cost, random(16), random(29)), RangeError);
  }
});

t.test('secret, salt, cost and header all count; the form of a letter does not', async (t) => {
  const [salt, header] = [random(16), random(29)];
  const derive = async (passphrase: string, cost = CHEAP, useSalt = salt, useHeader = header): Promise<string> =>
    toHex(await deriveBackupKey({ kind: 'passphrase', passphrase }, cost, useSalt, useHeader));
  const key = await derive('caf\u00e9');
  t.equal(await derive('cafe\u0301'), key, 'composed or not, it is the same word');
  const others = [
    await derive('cafe'),
    await derive('caf\u00e9', { ...CHEAP, blockSize: 2 }),
    await derive('caf\u00e9', CHEAP, random(16)),
    await derive('caf\u00e9', CHEAP, salt, random(29)),
    toHex(await deriveBackupKey({ kind: 'digits', digits: '1'.repeat(64) }, CHEAP, salt, header)),
  ];
  t.equal(new Set([key, ...others]).size, 6);
  await t.rejects(deriveBackupKey({ kind: 'digits', digits: '1'.repeat(63) }, CHEAP, salt, header), RangeError);
  await t.rejects(deriveBackupKey({ kind: 'digits', digits: '1'.repeat(64) }, CHEAP, random(15), header), RangeError);
});

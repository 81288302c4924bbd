import t from 'tap';
import { isAdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkParameters } from './parameters.ts';

const PARAMETERS = {
  pid: { kind: 'text', help: 'which', required: true, position: 1 },
  rows: { kind: 'integer', min: 1, max: 100, default: 20, help: 'how many' },
  by: { kind: 'choice', choices: ['queue', 'time'], help: 'what by' },
  deep: { kind: 'flag', help: 'all of it' },
} as const;

t.test('what is left out has its default, and numbers may come as text', async (t) => {
  const expected = { pid: '<a.1.2.3>', rows: 20, by: undefined, deep: false };
  t.strictSame(checkParameters(PARAMETERS, { pid: '<a.1.2.3>' }), expected);
  const { rows, deep } = checkParameters(PARAMETERS, { pid: 'x', rows: '7', deep: true });
  t.strictSame({ rows, deep }, { rows: 7, deep: true });
});

const REFUSED: readonly (readonly [given: unknown, message: RegExp])[] = [
  [{}, /"pid" is missing/],
  [{ pid: 'x', rows: 0 }, /"rows" expected an integer from 1 to 100, got 0/],
  [{ pid: 'x', rows: 101 }, /got 101/],
  [{ pid: 'x', rows: 1.5 }, /got 1.5/],
  [{ pid: 'x', rows: 'many' }, /got "many"/],
  [{ pid: 'x', by: 'luck' }, /one of queue, time, got "luck"/],
  [{ pid: 'x', deep: 'yes' }, /true or false/],
  [{ pid: 7 }, /"pid" expected a text/],
  [{ pid: 'x'.repeat(LIMITS.parameterCharsMax + 1) }, /at most/],
  [{ pid: 'x', toString: 1 }, /no parameter "toString"/],
  [{ pid: 'x', other: 1 }, /no parameter "other"/],
  [[], /must be an object/],
  [null, /must be an object/],
];

t.test('what does not fit is refused by name', async (t) => {
  for (const [given, message] of REFUSED) {
    try {
      checkParameters(PARAMETERS, given);
      t.fail(JSON.stringify(given));
    } catch (error) {
      t.ok(isAdminError(error) && error.code === 'ADM_BAD_PARAMETER');
      t.match((error as Error).message, message);
    }
  }
});

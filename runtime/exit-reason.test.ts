import t from 'tap';

import { RuntimeError } from './errors.ts';
import { type ExitReason, formatExitReason, fromThrown, isAbnormal } from './exit-reason.ts';
import { LIMITS } from './limits.ts';

const reasons: [ExitReason, boolean, string][] = [
  ['normal', false, 'normal'],
  ['shutdown', false, 'shutdown'],
  [{ shutdown: { why: 'drain' } }, false, '{shutdown}'],
  ['killed', true, 'killed'],
  ['noproc', true, 'noproc'],
  ['noconnection', true, 'noconnection'],
  [{ error: { name: 'Error', message: 'm' } }, true, 'Error: m'],
  [{ error: { name: 'E', message: 'm', code: 'C' } }, true, 'E C: m'],
];
for (const [reason, abnormal, text] of reasons) {
  t.test(`${text} is ${abnormal ? 'abnormal' : 'no crash'}`, async (t) => {
    t.equal(isAbnormal(reason), abnormal);
    t.equal(formatExitReason(reason), text);
  });
}

t.test('an error becomes plain data with its code', async (t) => {
  const { error } = fromThrown(new RuntimeError('RT_CALL_TIMEOUT', 'late', { detail: { secret: 1 } }));
  t.match(error, { name: 'RuntimeError', message: 'late', code: 'RT_CALL_TIMEOUT', stack: /exit-reason/ });
  t.strictSame(Object.keys(error).sort(), ['code', 'message', 'name', 'stack'], 'and nothing else of it');
  t.strictSame(structuredClone(error), error);
});

t.test('message and stack are cut at their bounds', async (t) => {
  const at = (length: number): string => fromThrown(new Error('m'.repeat(length))).error.message;
  t.equal(at(LIMITS.errorTextCharsMax), 'm'.repeat(LIMITS.errorTextCharsMax));
  t.equal(at(LIMITS.errorTextCharsMax + 1).length, LIMITS.errorTextCharsMax);
  t.ok(fromThrown(new Error('m'.repeat(99_999))).error.stack!.length <= LIMITS.errorStackCharsMax);
});

t.test('the content of a thrown value that is no error is not kept', async (t) => {
  for (const thrown of ['user text', 7, undefined, null, { user: 'text' }]) {
    t.notMatch(JSON.stringify(fromThrown(thrown)), /user|7/);
  }
});

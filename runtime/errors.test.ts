import t from 'tap';

import { isRuntimeError, RT_ERRORS, RuntimeError } from './errors.ts';

t.test('is known by its brand and code and not by its class', async (t) => {
  const error = new RuntimeError('RT_CALL_EXITED', 'm', { detail: 'killed' });
  const copyOfAnotherModule = Object.create({ [Symbol.for('blindbeam.runtime-error')]: true }) as { code?: string };
  copyOfAnotherModule.code = 'RT_ENCODE';
  t.ok(isRuntimeError(error));
  t.ok(isRuntimeError(error, 'RT_CALL_EXITED'));
  t.notOk(isRuntimeError(error, 'RT_ENCODE'));
  t.ok(isRuntimeError(copyOfAnotherModule, 'RT_ENCODE'));
  for (const other of [new Error('m'), { code: 'RT_ENCODE' }, null, 'RT_ENCODE']) t.notOk(isRuntimeError(other));
});

t.test('the reason of an exit is at hand', async (t) => {
  t.equal(new RuntimeError('RT_CALL_EXITED', 'm', { detail: 'killed' }).reason, 'killed');
  t.equal(new RuntimeError('RT_CALL_REFUSED', 'm', { detail: 'full' }).reason, undefined);
});

t.test('every code says what it means, why it comes and what to do', async (t) => {
  for (const [code, entry] of Object.entries(RT_ERRORS)) {
    t.match(code, /^RT_[A-Z_]+$/);
    for (const text of Object.values(entry)) t.match(text, /^[A-Z].{10,}\.$/s, `${code}: ${text}`);
  }
});

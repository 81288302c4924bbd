import t from 'tap';

import type { ExitReason } from '../runtime/index.ts';
import type { Shutdown } from './child-spec.ts';
import { isShutdownError } from './shutdown.ts';

const rows: [Shutdown, ExitReason, boolean][] = [
  [100, 'shutdown', false],
  [100, 'normal', false],
  [100, 'noproc', false],
  [100, { shutdown: 1 }, false],
  [100, 'killed', true],
  [100, { error: { name: 'Error', message: 'm' } }, true],
  ['infinity', 'killed', true],
  ['brutal_kill', 'killed', false],
  ['brutal_kill', { error: { name: 'Error', message: 'm' } }, true],
];
for (const [shutdown, reason, isError] of rows) {
  const how = typeof reason === 'string' ? reason : Object.keys(reason)[0];
  t.test(`${how} after a shutdown of ${shutdown} is ${isError ? 'reported' : 'as it should be'}`, async (t) => {
    t.equal(isShutdownError(shutdown, reason), isError);
  });
}

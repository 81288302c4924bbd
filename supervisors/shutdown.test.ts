import t from 'tap';

import type { ExitReason } from '../runtime/index.ts';
import type { Restart, Shutdown } from './child-spec.ts';
import { isShutdownError } from './shutdown.ts';

const ERROR: ExitReason = { error: { name: 'Error', message: 'm' } };

// How a child that was told to stop ended: is that an error if it is permanent, and if it is not?
const rows: [Shutdown, ExitReason, permanent: boolean, other: boolean][] = [
  [100, 'shutdown', false, false],
  [100, 'normal', true, false],
  [100, { shutdown: 1 }, true, false],
  [100, 'killed', true, true],
  [100, 'noconnection', true, true],
  [100, ERROR, true, true],
  [100, 'noproc', false, false],
  ['infinity', 'shutdown', false, false],
  ['infinity', 'killed', true, true],
  ['brutal_kill', 'killed', false, false],
  ['brutal_kill', 'shutdown', true, false],
  ['brutal_kill', 'normal', true, false],
  ['brutal_kill', ERROR, true, true],
  ['brutal_kill', 'noproc', false, false],
];
for (const [shutdown, reason, permanent, other] of rows) {
  const how = typeof reason === 'string' ? reason : Object.keys(reason)[0];
  const isError: Record<Restart, boolean> = { permanent, transient: other, temporary: other };
  for (const [restart, expected] of Object.entries(isError) as [Restart, boolean][]) {
    const outcome = expected ? 'reported' : 'as it should be';
    t.test(`${how} after a shutdown of ${shutdown} is ${outcome} for a ${restart} child`, async (t) => {
      t.equal(isShutdownError({ restart, shutdown }, reason), expected);
    });
  }
}

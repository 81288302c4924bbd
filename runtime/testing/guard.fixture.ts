/** Started by `guard.test.ts`: starts what outlives its parent, says its process id, and ends as the argument says, without tidying up. */

import { spawn } from 'node:child_process';
import { guard } from './guard.ts';

const [ending, isGuarded] = process.argv.slice(2);
const child = spawn('sleep', ['600'], { stdio: 'ignore', detached: true });
if (isGuarded === 'guarded') guard(child);
child.unref();
process.stdout.write(`${child.pid}\n`);
if (ending === 'throw') throw new Error('a crash');
// `end`: nothing is left to do. Otherwise it waits for a signal.
if (ending === 'wait') setInterval(() => undefined, 1_000);

/**
 * A whole process for `pool.test.ts`: a node whose worker dies, with nothing said about what then.
 */

import type { Logger } from '../index.ts';
import { createNode } from '../node.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import { startWorkers } from './pool.ts';

const print = (event: string): void => console.log(event);
const log: Logger = { debug: print, info: print, warn: print, error: print };
const node = createNode({ name: 'doomed', clock: systemClock, random: systemRandom, loop: systemLoop, log });
const entry = new URL('./pool.fixture.js', import.meta.url);
const pool = await startWorkers({ node, count: 2, entry });
pool.post(1, 'throw');
// A peer that waits for the dead must not keep the process.
await node.call({ name: 'echo', worker: 2 }, { wait: true }, 60_000);

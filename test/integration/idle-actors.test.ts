/**
 * Idle supervised actors leave nothing behind. 200,000 here; `BLINDBEAM_IDLE_ACTORS=1000000` makes it the million.
 *
 * What V8 and the node hold without any actor is no fixed size: code is compiled, optimized and thrown away, and the run queue keeps
 * room for the last burst up to a bound (`Ring.trim`); 417 KB came and went that way. None of it grows with the lives that were lived; a
 * leak does. So first times are compared with last times, the least of each, and what is more is divided by the actors in between.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import t from 'tap';

import type { Report } from './idle-actors.fixture.ts';

const FIXTURE = fileURLToPath(new URL('./idle-actors.fixture.js', import.meta.url));
const COUNT = Number(process.env['BLINDBEAM_IDLE_ACTORS'] ?? 200_000);
/** The least of the first and of the last so many times are compared. */
const GROUP = 3;
const TIMES = 10;
/** The least that can stay of an actor: a small integer in an array, outside of the heap; within it takes twice that. */
const LEAST_BYTES = 4;
/** Far below that, and above what comes and goes, divided likewise: 0.5 MB of run queue and 0.2 MB of code. */
const STAYED_BYTES_MAX = 0.65;

async function run(count: number, ...more: readonly string[]): Promise<Report> {
  const flags = ['--expose-gc', '--max-semi-space-size=32', '--max-old-space-size=8000'];
  const command = [...flags, FIXTURE, String(count), String(TIMES), ...more];
  const { stdout } = await promisify(execFile)(process.execPath, command, { timeout: 450_000 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Report;
}

/** Bytes that stay of each actor, if there are `count` each time. */
function stayedBytes({ heldBytes }: Report, count: number): number {
  const grown = Math.min(...heldBytes.slice(-GROUP)) - Math.min(...heldBytes.slice(0, GROUP));
  return grown / (count * (TIMES - GROUP));
}

function say(stayed: number, { heldBytes }: Report): string {
  return `${stayed.toFixed(3)} bytes of each actor; held after each time: ${heldBytes.join(' ')}`;
}

t.test(
  `${COUNT} actors created, sent a message each and stopped, ${TIMES} times: nothing of an actor stays`,
  async (t) => {
    const report = await run(COUNT);
    t.equal(report.heard, COUNT);
    t.equal(report.processCount, 0);
    const stayed = stayedBytes(report, COUNT);
    t.ok(stayed < STAYED_BYTES_MAX, say(stayed, report));
  },
);

t.test('a number that is kept of each actor is found, of a quarter as many', async (t) => {
  const report = await run(COUNT / 4, 'leaky');
  const stayed = stayedBytes(report, COUNT / 4);
  t.ok(stayed > LEAST_BYTES, say(stayed, report));
});

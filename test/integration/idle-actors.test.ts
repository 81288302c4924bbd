/**
 * Idle supervised actors leave nothing behind. 200,000 here; `BLINDBEAM_IDLE_ACTORS=1000000` makes it the million.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import t from 'tap';

import type { Report } from './idle-actors.fixture.ts';

const FIXTURE = fileURLToPath(new URL('./idle-actors.fixture.js', import.meta.url));
const COUNT = Number(process.env['BLINDBEAM_IDLE_ACTORS'] ?? 200_000);
const TIMES = 3;

t.test(
  `${COUNT} actors created, sent a message each and stopped, ${TIMES} times: the heap is where it began`,
  async (t) => {
    const flags = ['--expose-gc', '--max-semi-space-size=32', '--max-old-space-size=8000'];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, FIXTURE, String(COUNT), String(TIMES)], {
      timeout: 280_000,
    });
    const { heap, processCount, heard } = JSON.parse(stdout.trim().split('\n').at(-1)!) as Report;
    t.equal(heard, COUNT);
    t.equal(processCount, 0);
    const [began, ...after] = heap as [number, ...number[]];
    for (const bytes of after) t.ok(bytes <= began * 1.05, `${began} bytes at first, ${bytes} after`);
  },
);

/**
 * The memory of an idle connection may not grow unnoticed: more than a twentieth above the baseline fails. Whoever means it writes the new
 * figures into results/footprint.json: `node dist/bench/connections/footprint.test.js --write`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { grownBeyond, measureFootprint, type Footprint } from './footprint.ts';

const BASELINE: string = fileURLToPath(new URL('../../../bench/results/footprint.json', import.meta.url));
const TOLERANCE = 0.05;
const LOOKS = 3;

interface Baseline {
  /** Major version of Node: another lays objects out in another way. */
  readonly node: number;
  readonly footprint: Footprint;
}

const node = Number(process.versions.node.split('.')[0]);
const committed = JSON.parse(readFileSync(BASELINE, 'utf8')) as Baseline;
let measured = await measureFootprint();
// Code that is compiled while they are made is counted to the connections. What they take themselves is there at every look.
for (let look = 1; look < LOOKS && grownBeyond(measured, committed.footprint, TOLERANCE) !== undefined; look++) {
  const again = await measureFootprint();
  if (again.total < measured.total) measured = again;
}
if (process.argv.includes('--write')) {
  writeFileSync(BASELINE, `${JSON.stringify({ node, footprint: measured }, null, 2)}\n`);
}
const baseline = process.argv.includes('--write') ? { node, footprint: measured } : committed;

t.test('every connection is logged in while it is measured', async (t) => {
  t.equal(measured.online, 8_000);
  t.ok(measured.actor > 100 && measured.store > 100 && measured.session > 100, JSON.stringify(measured));
});

t.test('it has not grown by more than a twentieth', async (t) => {
  if (node !== baseline.node) return void t.pass(`the baseline is of Node ${baseline.node}`);
  t.equal(grownBeyond(measured, baseline.footprint, TOLERANCE), undefined);
});

t.test('a connection that wastes a hundred bytes is found', async (t) => {
  const wasteful = await measureFootprint(100);
  t.match(grownBeyond(wasteful, measured, TOLERANCE), /total \d+ bytes; was/);
});

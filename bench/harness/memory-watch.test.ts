/** A file of its own, and so a process of its own, in which nothing else takes and gives back memory. */
import t from 'tap';
import { MemoryWatch } from './memory-watch.ts';

const MIB = 1_048_576;

t.test(
  'it sees what is taken after it began, and nothing of before',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const before = Buffer.alloc(64 * MIB, 1);
    const watch = new MemoryWatch(process.pid);
    const idle = watch.extraBytes()!;
    t.ok(idle < 32 * MIB, `${idle} bytes`);
    const taken = Buffer.alloc(64 * MIB, 1);
    t.ok(watch.extraBytes()! > 48 * MIB);
    t.ok(watch.peakBytes()! > before.length + taken.length);
  },
);

t.test('of a process that is not there it says nothing', async (t) => {
  const watch = new MemoryWatch(2 ** 22 + 1);
  t.equal(watch.extraBytes(), undefined);
  t.equal(watch.peakBytes(), undefined);
});

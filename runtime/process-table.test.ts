import t from 'tap';

import { type AnyBehavior, behaviorSlotOf } from './behavior.ts';
import type { Kernel } from './kernel.ts';
import { Pid } from './pid.ts';
import { Process } from './process.ts';
import { ProcessTable } from './process-table.ts';

const behavior: AnyBehavior = { name: 'none', init: () => null };

function insertNew(table: ProcessTable): Process {
  // What a process takes of its kernel.
  const kernel = { name: 'n', worker: 2, processes: table } as unknown as Kernel;
  const process = new Process(kernel, table.allocate(), behaviorSlotOf(behavior), null, 1, null);
  table.insert(process);
  return process;
}

t.test('finds an actor by its pid and by a copy of it', async (t) => {
  const table = new ProcessTable('n', 2, 1);
  const process = insertNew(table);
  const { slot, creation } = process;
  t.equal(table.get(process), process);
  t.equal(table.get(new Pid('n', 2, slot, creation)), process);
});

t.test('does not find it under another node, worker, creation or slot', async (t) => {
  const table = new ProcessTable('n', 2, 1);
  const { slot, creation } = insertNew(table);
  t.equal(table.get(new Pid('m', 2, slot, creation)), undefined);
  t.equal(table.get(new Pid('n', 1, slot, creation)), undefined);
  t.equal(table.get(new Pid('n', 2, slot, creation + 1)), undefined);
  t.equal(table.get(new Pid('n', 2, slot + 1, creation)), undefined);
  t.equal(table.get(new Pid('n', 2, 0, creation)), undefined);
});

t.test('a slot that is used again answers to the new pid only', async (t) => {
  const table = new ProcessTable('n', 2, 2 ** 30 - 1);
  const first = insertNew(table);
  table.delete(first);
  const second = insertNew(table);
  t.equal(second.slot, first.slot);
  t.equal(table.get(first), undefined);
  t.equal(table.get(second), second);
  t.equal(table.count, 1);
});

t.test('keeps creations when it grows', async (t) => {
  const table = new ProcessTable('n', 2, 5);
  const reused = insertNew(table);
  table.delete(reused);
  const all = Array.from({ length: 3_000 }, () => insertNew(table));
  t.equal(table.count, 3_000);
  t.strictSame(new Set(table.all()), new Set(all));
  table.delete(all[0]!);
  t.ok(insertNew(table).creation > reused.creation + 1);
});

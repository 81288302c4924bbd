import t from 'tap';
import { createMemoryLog, VirtualClock } from '../../runtime/testing/index.ts';
import { promisesSettled } from '../../runtime/testing/virtual-clock.ts';
import type { Registry, RegistryChange } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { TableWatch } from './table-watch.ts';

/** A table whose subscriptions tell nothing but by `tell`. */
class Table implements Pick<Registry, 'watch' | 'changes'> {
  stored: readonly RegistryChange[] | 'unknown' = [];
  asked: number[] = [];
  subscriptions = 0;
  tell: (revision: number) => void = () => undefined;

  watch(onChange: Parameters<Registry['watch']>[0]): { stop(): void } {
    this.subscriptions++;
    this.tell = (revision) => onChange('shard.0', `v${revision}`, revision);
    return { stop: () => undefined };
  }

  async changes(after: number): Promise<readonly RegistryChange[] | 'unknown'> {
    this.asked.push(after);
    return this.stored === 'unknown' ? 'unknown' : this.stored.filter(({ revision }) => revision > after);
  }
}

function changeAt(revision: number, value = `v${revision}`): RegistryChange {
  return { key: `shard.${revision % 2}`, value, revision };
}

interface Watched {
  readonly table: Table;
  readonly watch: TableWatch;
  /** Revisions, as they were told. */
  readonly told: number[];
  /** What was logged. */
  readonly events: () => string[];
  /** Lets time pass, with a look each LIMITS.lookMs. */
  readonly pass: (ms: number) => Promise<void>;
}

function watchTable(): Watched {
  const [table, clock, told] = [new Table(), new VirtualClock(), [] as number[]];
  const lines: Parameters<typeof createMemoryLog>[0] = [];
  const onChange = ({ value, revision }: RegistryChange): void => {
    if (value === 'later') throw new RangeError('registry record has version 2, expected 1');
    told.push(revision);
  };
  const watch = new TableWatch({ table, clock, logger: createMemoryLog(lines), onChange });
  watch.begin();
  const pass = async (ms: number): Promise<void> => {
    for (let passedMs = 0; passedMs < ms; passedMs += LIMITS.lookMs) {
      clock.advance(LIMITS.lookMs);
      watch.look(clock.monotonicMs());
      await promisesSettled();
    }
  };
  return { table, watch, told, events: () => lines.map(({ event }) => event), pass };
}

t.test('who knows less than another reads what it has missed, and subscribes anew', async (t) => {
  const { table, watch, told, events, pass } = watchTable();
  table.tell(3);
  await pass(LIMITS.deafMs);
  watch.heard(3);
  await pass(2_000);
  t.strictSame(table.asked, [], 'nothing to ask for');
  table.stored = [3, 4, 6].map((revision) => changeAt(revision));
  watch.heard(6);
  await pass(LIMITS.behindMs);
  t.strictSame(table.asked, [], 'a change may be on its way for so long');
  await pass(2 * LIMITS.lookMs);
  t.strictSame(told, [3, 4, 6]);
  t.strictSame([watch.known, table.subscriptions], [6, 2]);
  t.strictSame(events(), ['table_watch_behind']);
  await pass(5_000);
  t.strictSame(table.asked, [3], 'asked once');
});

t.test('a change that comes by itself in time is not asked for', async (t) => {
  const { table, watch, pass } = watchTable();
  watch.heard(2);
  await pass(LIMITS.behindMs - LIMITS.lookMs);
  table.tell(2);
  await pass(2_000);
  t.strictSame([table.asked, table.subscriptions], [[], 1]);
});

t.test('what this seat has read itself tells that something came, not all that came', async (t) => {
  const { table, watch, told, pass } = watchTable();
  table.tell(1);
  table.stored = [2, 3].map((revision) => changeAt(revision));
  watch.noteRead(3);
  t.equal(watch.known, 3, 'the others may know of it');
  await pass(2 * LIMITS.behindMs);
  t.strictSame(told, [1, 2, 3]);
});

t.test('servers that do not answer are asked again; a subscription that was just made is left', async (t) => {
  const { table, watch, told, pass } = watchTable();
  table.stored = 'unknown';
  watch.heard(1);
  await pass(2_500);
  t.ok(table.asked.length >= 3, `${table.asked.length} times`);
  table.stored = [changeAt(1)];
  await pass(LIMITS.behindMs + 2 * LIMITS.lookMs);
  t.strictSame([told, table.subscriptions], [[1], 1]);
});

t.test('what another says and the table does not have is dismissed, until there is more', async (t) => {
  const { table, watch, told, events, pass } = watchTable();
  watch.heard(900);
  await pass(10_000);
  t.strictSame([table.asked, events()], [[0], []]);
  table.stored = [changeAt(901)];
  watch.heard(901);
  await pass(2_000);
  t.strictSame(told, [901]);
});

t.test('a record that cannot be read is passed over', async (t) => {
  const { table, watch, told, events, pass } = watchTable();
  table.stored = [changeAt(1, 'later'), changeAt(2)];
  watch.heard(2);
  await pass(2_000);
  t.strictSame(told, [2]);
  t.strictSame(events(), ['table_watch_behind', 'record_refused']);
});

t.test('once it is stopped it tells nothing more', async (t) => {
  const { table, watch, told, pass } = watchTable();
  table.stored = [changeAt(1)];
  watch.heard(1);
  await pass(LIMITS.behindMs - LIMITS.lookMs);
  watch.look(Infinity);
  watch.stop();
  await promisesSettled();
  t.strictSame([table.asked, told], [[0], []]);
});

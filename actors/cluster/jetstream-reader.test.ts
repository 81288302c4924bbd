import t from 'tap';
import { openNatsBus, type NatsBus } from '../../runtime/cluster/index.ts';
import { systemClock } from '../../runtime/index.ts';
import { VirtualClock } from '../../runtime/testing/index.ts';
import { hasNatsServer, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog } from '../../runtime/testing/test-node.ts';
import { promisesSettled } from '../../runtime/testing/virtual-clock.ts';
import { pause } from '../pause.ts';
import type { LogEntry, LogReader, ShardLog } from './contracts.ts';
import { openJetStreamNet } from './jetstream-net.ts';
import { readStream } from './jetstream-reader.ts';
import { LIMITS } from './limits.ts';

const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };

/** For what takes seconds, on a machine that has none to spare. */
const NOTICED_MS = 120_000;

function sequences(entries: readonly LogEntry[]): number[] {
  return entries.map(({ sequence }) => sequence);
}

type Tap = { teardown(run: () => Promise<void>): unknown };

async function openLog(t: Tap, cluster: string): Promise<{ readonly bus: NatsBus; readonly log: ShardLog }> {
  const servers = await startNatsServers(1);
  const logger = createMemoryLog([]);
  const bus = await openNatsBus({ servers: servers.urls }, 'test', logger);
  t.teardown(async () => {
    await bus.close();
    await servers.stop();
  });
  const parts = { bus, clock: systemClock, logger, cluster, replicas: 1, shards: { first: 0, count: 1 } };
  const net = await openJetStreamNet({ ...parts, centres: [], centre: -1 });
  return { bus, log: net.log(0) };
}

/** Until `count` entries have come, or nothing more does. */
async function readAll(reader: LogReader, count: number): Promise<(readonly LogEntry[])[]> {
  const untilMs = systemClock.monotonicMs() + NOTICED_MS;
  const batches: (readonly LogEntry[])[] = [];
  for (let came = 0; came < count && systemClock.monotonicMs() < untilMs;) {
    const entries = await reader.next();
    came += entries.length;
    if (entries.length > 0) batches.push(entries);
  }
  return batches;
}

t.test('what has come since comes in one go, and nothing in between', SKIP, async (t) => {
  const { bus, log } = await openLog(t, 'pulled');
  for (let sequence = 0; sequence < 5; sequence++) await log.append(Buffer.from(`entry ${sequence + 1}`), sequence);
  const reader = log.follow(2);
  t.strictSame((await readAll(reader, 4)).map(sequences), [[2, 3, 4, 5]]);
  const waiting = reader.next();
  await log.append(Buffer.from('entry 6'), 5);
  const [sixth] = await waiting;
  t.strictSame([sixth!.sequence, sixth!.data.toString()], [6, 'entry 6'], 'who waits has the next one as it comes');
  const { inMsgs } = bus.connection.stats();
  for (let sequence = 6; sequence < 16; sequence++) await log.append(Buffer.from('more'), sequence);
  await pause(systemClock, 100);
  t.equal(bus.connection.stats().inMsgs - inMsgs, 10, 'the answers to the appends; who does not ask is sent nothing');
  t.strictSame((await readAll(reader, 10)).map(sequences), [[7, 8, 9, 10, 11, 12, 13, 14, 15, 16]]);
  reader.stop();
});

t.test('a batch holds what a transaction should, by count and by bytes, and nothing is missing', SKIP, async (t) => {
  const { log } = await openLog(t, 'full');
  const count = LIMITS.applyCountMax + 10;
  for (let sequence = 0; sequence < count; sequence++) await log.append(Buffer.from('small'), sequence);
  const reader = log.follow(1);
  const small = await readAll(reader, count);
  t.strictSame(
    small.map(({ length }) => length),
    [LIMITS.applyCountMax, 10],
  );
  const large = Buffer.alloc(LIMITS.recordBytesMax);
  for (let number = 0; number < 6; number++) await log.append(large, count + number);
  const batches = await readAll(reader, 6);
  t.strictSame(
    batches.map(({ length }) => length),
    [4, 2],
    'four of 900,000 bytes fit into 4 MiB',
  );
  t.strictSame(
    [...small, ...batches].flatMap(sequences),
    Array.from({ length: count + 6 }, (_, index) => index + 1),
    'in order',
  );
  reader.stop();
});

t.test('a consumer that is gone is made anew behind the last entry that came', SKIP, async (t) => {
  const { bus, log } = await openLog(t, 'gone');
  await log.append(Buffer.from('one'), 0);
  const reader = log.follow(1);
  t.strictSame((await readAll(reader, 1)).map(sequences), [[1]]);
  const manager = await bus.connection.jetstreamManager();
  const names = (await manager.consumers.list('bb-gone-log-0').next()).map(({ name }) => name);
  t.equal(names.length, 1);
  await manager.consumers.delete('bb-gone-log-0', names[0]!);
  await log.append(Buffer.from('two'), 1);
  t.strictSame((await readAll(reader, 1)).map(sequences), [[2]]);
  reader.stop();
});

type Deliver = (
  error: null,
  message: { subject: string; reply?: string; headers?: { code: number }; data: Buffer },
) => void;

/** A reader between a consumer that says what the test lets it say, and a clock that stands still. */
function fake(): {
  readonly clock: VirtualClock;
  readonly reader: LogReader;
  /** Where each consumer began. */
  readonly begun: number[];
  /** Subjects that answers are expected at, one for each request. */
  readonly asked: string[];
  entry(sequence: number, number: number): void;
  status(code: number, to?: string): void;
} {
  const clock = new VirtualClock();
  const [begun, asked]: [number[], string[]] = [[], []];
  let deliver: Deliver = () => undefined;
  const connection = {
    isClosed: () => false,
    publish: (_subject: string, _body: Uint8Array, { reply }: { reply: string }) => void asked.push(reply),
    subscribe: (_subject: string, { callback }: { callback: Deliver }) => {
      deliver = callback;
      return { unsubscribe: () => undefined };
    },
  };
  const consumers = {
    add: async (_stream: string, { opt_start_seq }: { opt_start_seq: number }) => {
      begun.push(opt_start_seq);
      return { name: `c${begun.length}` };
    },
  };
  const bus = { connection, makeInbox: () => `inbox${begun.length}` };
  const plan = { bus, manager: { consumers }, clock, logger: createMemoryLog([]), stream: 's', from: 5 };
  const reader = readStream(plan as never);
  const data = Buffer.from('entry');
  return {
    clock,
    reader,
    begun,
    asked,
    entry: (sequence, number) =>
      deliver(null, { subject: 'log', reply: `$JS.ACK.s.c.1.${sequence}.${number}.1700000000000000000.0`, data }),
    status: (code, to = asked.at(-1)!) => deliver(null, { subject: to, headers: { code }, data: Buffer.alloc(0) }),
  };
}

t.test('an entry that was lost on the way is asked for again; one that is gone from the stream is not', async (t) => {
  const { reader, begun, entry, status } = fake();
  const first = reader.next();
  await promisesSettled();
  entry(5, 1);
  entry(6, 2);
  entry(8, 4);
  t.strictSame(sequences(await first), [5, 6], 'the third one was lost: what comes behind it does not count');
  const second = reader.next();
  await promisesSettled();
  t.strictSame(begun, [5, 7], 'a consumer begins with it');
  entry(7, 1);
  entry(12, 2);
  status(408);
  t.strictSame(sequences(await second), [7, 12], 'four are gone from the stream, which is for its reader to judge');
  const third = reader.next();
  await promisesSettled();
  t.strictSame(begun, [5, 7], 'and the same consumer goes on');
  reader.stop();
  t.strictSame(await third, []);
});

t.test('a status ends its own request alone, and one that says another thing than "no more" a consumer', async (t) => {
  const { reader, begun, asked, clock, entry, status } = fake();
  const first = reader.next();
  await promisesSettled();
  for (let number = 1; number <= LIMITS.applyCountMax; number++) entry(number + 4, number);
  t.equal((await first).length, LIMITS.applyCountMax, 'no status ends a full batch');
  const second = reader.next();
  await promisesSettled();
  status(409, asked[0]);
  entry(300, LIMITS.applyCountMax + 1);
  status(409);
  t.strictSame(sequences(await second), [300], 'full by its bytes');
  t.strictSame(begun, [5], 'and there it goes on');
  const third = reader.next();
  await promisesSettled();
  status(409);
  await promisesSettled();
  t.strictSame(begun, [5], 'with nothing before it the consumer has ended: the next one is not asked for at once');
  clock.advance(LIMITS.retryMs);
  await promisesSettled();
  t.strictSame(begun, [5, 301]);
  reader.stop();
  await third;
});

t.test('where nobody answers, a consumer is given up after two heartbeats', async (t) => {
  const { reader, begun, clock, asked, status } = fake();
  const waiting = reader.next();
  await promisesSettled();
  status(408);
  await promisesSettled();
  t.strictSame([begun, asked.length], [[5], 2], 'nothing is there: it is asked again');
  clock.advance(2 * LIMITS.heartbeatMs);
  await promisesSettled();
  clock.advance(LIMITS.retryMs);
  t.strictSame(await waiting, [], 'nobody knows whether there is anything');
  const next = reader.next();
  await promisesSettled();
  t.strictSame(begun, [5, 5]);
  reader.stop();
  await next;
});

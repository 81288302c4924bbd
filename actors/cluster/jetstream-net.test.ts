import t from 'tap';
import { openNatsBus } from '../../runtime/cluster/index.ts';
import { systemClock } from '../../runtime/index.ts';
import { hasNatsServer, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog } from '../../runtime/testing/test-node.ts';
import type { ShardLog } from './contracts.ts';
import { openJetStreamNet } from './jetstream-net.ts';
import { encodeRecord } from './log-record.ts';
import { pause } from './pause.ts';

const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };

function recordOf(number: number, previous: number, writer = 7): Buffer {
  return encodeRecord({ kind: 'writes', epoch: 1, previous, writer, number }, Buffer.from(`w${number}`));
}

async function sequencesOf(log: ShardLog): Promise<number[]> {
  const found: number[] = [];
  for (;;) {
    const entry = await log.read((found.at(-1) ?? 0) + 1);
    if (typeof entry === 'string') return found;
    found.push(entry.sequence);
  }
}

for (const replicas of [1, 3]) {
  t.test(`of appends that expect the same one is taken: ${replicas} servers`, SKIP, async (t) => {
    const servers = await startNatsServers(replicas);
    const logger = createMemoryLog([]);
    const bus = await openNatsBus({ servers: servers.urls }, 'test', logger);
    t.teardown(async () => {
      await bus.close();
      await servers.stop();
    });
    const parts = { connection: bus.connection, clock: systemClock, logger, cluster: 'twice', replicas, shardCount: 2 };
    const { log: logOf } = await openJetStreamNet(parts);
    const log = logOf(0);
    // Both are on their way at once, as a request that was late and its repetition, or the appends of two owners.
    t.strictSame(await log.last(), { sequence: 0, data: undefined }, 'a log that never had any');
    const [one, other] = await Promise.all([log.append(recordOf(1, 0), 0), log.append(recordOf(1, 0), 0)]);
    t.strictSame([one, other].map(({ kind }) => kind).sort(), ['ok', 'stale'], 'one of them stands in the log');
    t.strictSame(await log.append(recordOf(2, 1), 1), { kind: 'ok', sequence: 2 }, 'sequences grow by one');
    t.strictSame(await log.append(recordOf(1, 0), 0), { kind: 'stale' }, 'a repetition that comes late');
    t.strictSame(await log.append(recordOf(3, 1), 1), { kind: 'stale' }, 'who has not read the last entry');
    t.strictSame(await logOf(1).append(recordOf(1, 0), 0), { kind: 'ok', sequence: 1 }, 'each shard counts for itself');
    for (let number = 3; number <= 12; number++) await log.append(recordOf(number, number - 1), number - 1);
    await log.trim(12);
    t.strictSame(await sequencesOf(log), [12], 'cut, but for the last');
    t.strictSame(await log.append(recordOf(13, 12), 12), { kind: 'ok', sequence: 13 });

    for (const before of [0, 1]) await logOf(1).trim(before);
    t.strictSame(
      await sequencesOf(logOf(1)),
      [1],
      'nothing is before the first, which servers understand as everything',
    );

    const manager = await bus.connection.jetstreamManager();
    await manager.streams.purge('bb-twice-log-0');
    t.strictSame(await log.last(), { sequence: 13, data: undefined }, 'emptied by an operator it ends where it did');
    t.strictSame(await log.append(recordOf(14, 13), 13), { kind: 'ok', sequence: 14 });

    log.follow(1, () => undefined).stop();
    await pause(systemClock, 500);
    const { inMsgs } = bus.connection.stats();
    await log.append(recordOf(15, 14), 14);
    await pause(systemClock, 100);
    t.equal(
      bus.connection.stats().inMsgs - inMsgs,
      1,
      'who stopped before its subscription was there is sent nothing but the answer',
    );
  });
}

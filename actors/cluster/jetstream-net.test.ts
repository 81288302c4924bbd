import t from 'tap';
import { openNatsBus } from '../../runtime/cluster/index.ts';
import { systemClock } from '../../runtime/index.ts';
import { hasNatsServer, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog } from '../../runtime/testing/test-node.ts';
import type { ShardLog } from './contracts.ts';
import { openJetStreamNet } from './jetstream-net.ts';
import { LIMITS } from './limits.ts';
import { encodeRecord } from './log-record.ts';

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
  t.test(`a record stands in the log once, however often it is appended: ${replicas} servers`, SKIP, async (t) => {
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
    // Both are on their way at once, as a request that was late and its repetition.
    const [one, other] = await Promise.all([log.append(recordOf(1, 0), 0), log.append(recordOf(1, 0), 0)]);
    t.match(one, { kind: 'ok' });
    t.strictSame(other, one, 'the repetition is told where the first one is');
    const first = one.kind === 'ok' ? one.sequence : 0;
    const next = await log.append(recordOf(2, first), first);
    t.match(next, { kind: 'ok' });
    t.strictSame(await log.append(recordOf(1, 0), 0), one, 'also when the log has gone on');
    const second = next.kind === 'ok' ? next.sequence : 0;
    t.strictSame(await log.append(recordOf(3, first), first), { kind: 'stale' }, 'another record is fenced as ever');
    t.match(await log.append(recordOf(2, second, 8), second), { kind: 'ok' }, 'numbers of another writer are others');
    t.match(await logOf(1).append(recordOf(1, 0), 0), { kind: 'ok' }, 'and so are those of another shard');
    t.equal((await sequencesOf(log)).length, 3);
    // Opened again by a node of this release, over a stream that an earlier one made.
    const manager = await bus.connection.jetstreamManager();
    const { config } = await manager.streams.info('bb-twice-log-0');
    t.equal(config.duplicate_window, LIMITS.duplicateMs * 1_000_000);
    await manager.streams.update('bb-twice-log-0', Object.assign({}, config, { duplicate_window: 5_000_000_000 }));
    await openJetStreamNet(parts);
    t.equal((await manager.streams.info('bb-twice-log-0')).config.duplicate_window, LIMITS.duplicateMs * 1_000_000);
  });
}

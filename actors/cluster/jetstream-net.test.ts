import t from 'tap';
import { openNatsBus, type NatsBus } from '../../runtime/cluster/index.ts';
import { systemClock } from '../../runtime/index.ts';
import { freePorts } from '../../runtime/testing/free-ports.ts';
import { hasNatsServer, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog } from '../../runtime/testing/test-node.ts';
import type { ShardLog } from './contracts.ts';
import { agreeWithCluster, judgeMember, markOf, type ClusterTraits } from './agreement.ts';
import { domainOf, openAgreement, openJetStreamNet } from './jetstream-net.ts';
import { LIMITS } from './limits.ts';
import { Liveness } from './liveness.ts';
import { encodeRecord } from './log-record.ts';
import { pause } from '../pause.ts';
import { formatSeat, parseShard, seatKey } from './shard-record.ts';

const ONE_PLACE = { centres: [], centre: -1 };

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
    const parts = {
      bus,
      clock: systemClock,
      logger,
      cluster: 'twice',
      replicas,
      shards: { first: 0, count: 2 },
      ...ONE_PLACE,
    };
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
    // It may take a moment until what was on its way is over; one that is left would be sent every record.
    let came = 0;
    for (let number = 15; number < 45 && came !== 1; number++) {
      await pause(systemClock, 500);
      const { inMsgs } = bus.connection.stats();
      await log.append(recordOf(number, number - 1), number - 1);
      await pause(systemClock, 100);
      came = bus.connection.stats().inMsgs - inMsgs;
    }
    t.equal(came, 1, 'who stopped before its subscription was there is sent nothing but the answer');
  });
}

/** For what takes seconds, on a machine that has none to spare. */
const NOTICED_MS = 120_000;

t.test(
  'a watch of the registry whose consumer is gone alone is made anew, and misses no last value',
  SKIP,
  async (t) => {
    const servers = await startNatsServers(1);
    const logger = createMemoryLog([]);
    const bus = await openNatsBus({ servers: servers.urls }, 'test', logger);
    t.teardown(async () => {
      await bus.close();
      await servers.stop();
    });
    const parts = {
      bus,
      clock: systemClock,
      logger,
      cluster: 'watched',
      replicas: 1,
      shards: { first: 0, count: 1 },
      ...ONE_PLACE,
    };
    const { table } = await openJetStreamNet(parts);
    const heard: (string | undefined)[] = [];
    const watch = table.watch((_key, value) => heard.push(value));
    await table.write('shard.0', 'one');
    while (!heard.includes('one')) await pause(systemClock, 10);

    const manager = await bus.connection.jetstreamManager();
    const stream = 'KV_bb-watched-table';
    const names = (await manager.consumers.list(stream).next()).map(({ name }) => name);
    t.equal(names.length, 1);
    const { config } = await manager.consumers.info(stream, names[0]!);
    t.equal(config.idle_heartbeat, LIMITS.heartbeatMs * 1_000_000, 'its end is noticed when two of these are missing');
    for (const name of names) await manager.consumers.delete(stream, name);
    await table.write('shard.0', 'two');
    const beganMs = systemClock.monotonicMs();
    while (!heard.includes('two') && systemClock.monotonicMs() - beganMs < NOTICED_MS) await pause(systemClock, 50);
    t.ok(heard.includes('two'), `heard after ${Math.round(systemClock.monotonicMs() - beganMs)} ms`);
    watch.stop();
  },
);

t.test('a record that cannot be read, and a request for a page, cost themselves alone', SKIP, async (t) => {
  const servers = await startNatsServers(1);
  const lines: Parameters<typeof createMemoryLog>[0] = [];
  const logger = createMemoryLog(lines);
  const open = async (name: string): Promise<NatsBus> => openNatsBus({ servers: servers.urls }, name, logger);
  const [bus, other] = await Promise.all([open('one'), open('other')]);
  t.teardown(async () => {
    await Promise.all([bus.close(), other.close()]);
    await servers.stop();
  });
  const common = { clock: systemClock, logger, cluster: 'bad', replicas: 1, shards: { first: 0, count: 1 } };
  const { liveness, table, pages } = await openJetStreamNet({ bus, ...common, ...ONE_PLACE });
  const life = new Liveness({ node: 'a', worker: 1 });
  const [a, b] = [1, 2].map((worker) => ({ node: 'a', worker }));
  const seat = { workers: 2, life: 7, leaving: false, isLocal: false, copies: [], empty: [], revision: 0 };
  const watches = [
    liveness.watch((key, value) => void life.note(key, value, systemClock.monotonicMs())),
    table.watch((_key, value) => void parseShard(value ?? '')),
  ];
  t.teardown(() => watches.forEach((watch) => watch.stop()));
  const bad = ['no JSON', 'null', '{"version":2}', '{"version":1}'];
  for (const value of bad) t.equal(await liveness.write('seat.x.1', value), 'ok', value);
  t.equal(await table.write('shard.0', '{"version":2}'), 'ok', 'this connection reads its answers still');
  t.equal(await liveness.write(seatKey(a!), formatSeat({ ...a!, ...seat })), 'ok');
  const untilMs = systemClock.monotonicMs() + NOTICED_MS;
  const isInTime = (): boolean => systemClock.monotonicMs() < untilMs;
  while (life.recordOf(a!) === undefined && isInTime()) await pause(systemClock, 10);
  t.equal(life.recordOf(a!)?.life, 7, 'who comes after it is heard');

  pages.answer(b!, (request) => Buffer.from(JSON.stringify(JSON.parse(request.toString()))));
  const asking = await openJetStreamNet({ bus: other, ...common, ...ONE_PLACE });
  let answer: Buffer | 'unknown' = 'unknown';
  while (answer === 'unknown' && isInTime()) {
    other.publish('bb.bad.page.a.2', Buffer.from('no JSON'));
    answer = await asking.pages.ask(b!, Buffer.from('[]'));
  }
  t.equal(answer.toString(), '[]');
  const refused = lines.filter(({ event }) => event === 'message_refused').map(({ fields }) => fields!['subject']);
  for (const subject of ['$KV.bb-bad-live.seat.x.1', '$KV.bb-bad-table.shard.0', 'bb.bad.page.a.2'])
    t.ok(refused.includes(subject), `${subject} was noted`);
});

t.test(
  'who lives is known again after the death of a server that was alone: the bucket was in its memory',
  SKIP,
  async (t) => {
    const servers = await startNatsServers(1);
    const lines: Parameters<typeof createMemoryLog>[0] = [];
    const logger = createMemoryLog(lines);
    const bus = await openNatsBus({ servers: servers.urls }, 'test', logger);
    t.teardown(async () => {
      await bus.close();
      await servers.stop();
    });
    const { liveness, table } = await openJetStreamNet({
      bus,
      clock: systemClock,
      logger,
      cluster: 'alone',
      replicas: 1,
      shards: { first: 0, count: 1 },
      ...ONE_PLACE,
    });
    const heard: (string | undefined)[] = [];
    const watch = liveness.watch((_key, value) => heard.push(value));
    // More than there will be after it: a consumer that goes on behind what it had must hear the first of the new ones.
    for (let number = 1; number <= 20; number++) t.equal(await liveness.write('seat.a.1', `before ${number}`), 'ok');
    await table.write('shard.0', 'kept');
    while (!heard.includes('before 20')) await pause(systemClock, 10);

    servers.servers[0]!.signal('SIGKILL');
    await servers.servers[0]!.restart();
    const beganMs = systemClock.monotonicMs();
    const isInTime = (): boolean => systemClock.monotonicMs() - beganMs < NOTICED_MS;
    let wasTaken = false;
    while (!wasTaken && isInTime()) {
      wasTaken = (await liveness.write('seat.a.1', 'after')) === 'ok';
      await pause(systemClock, 50);
    }
    t.ok(wasTaken, `renewals are taken after ${Math.round(systemClock.monotonicMs() - beganMs)} ms`);
    t.ok(
      lines.some(({ event }) => event === 'bucket_made_anew'),
      'by who found that it was gone',
    );
    for (let number = 1; !heard.includes('seen') && isInTime(); number++) {
      await liveness.write('seat.a.1', number > 1 ? 'seen' : 'once');
      await pause(systemClock, 200);
    }
    t.ok(heard.includes('seen'), `and heard after ${Math.round(systemClock.monotonicMs() - beganMs)} ms`);
    t.match(await table.read('shard.0'), { value: 'kept' }, 'what is on its disk is there');
    watch.stop();
  },
);

t.test('what changed in a registry behind a revision is what stands of it, in order', SKIP, async (t) => {
  const servers = await startNatsServers(3);
  const logger = createMemoryLog([]);
  const bus = await openNatsBus({ servers: servers.urls }, 'test', logger);
  t.teardown(async () => {
    await bus.close();
    await servers.stop();
  });
  const common = { bus, clock: systemClock, logger, cluster: 'changes', replicas: 3, ...ONE_PLACE };
  const { table } = await openJetStreamNet({ ...common, shards: { first: 0, count: 1 } });
  t.strictSame(await table.changes(0), [], 'nothing was ever written');
  for (const [key, value] of [
    ['shard.0', 'a'],
    ['shard.1', 'b'],
    ['shard.0', 'c'],
    ['shard.2', 'd'],
  ])
    t.equal(await table.write(key!, value!), 'ok');
  const changes = [
    { key: 'shard.1', value: 'b', revision: 2 },
    { key: 'shard.0', value: 'c', revision: 3 },
    { key: 'shard.2', value: 'd', revision: 4 },
  ];
  t.strictSame(await table.changes(0), changes, 'a value that was replaced stands no more');
  t.strictSame(await table.changes(2), changes.slice(1));
  t.strictSame(await table.changes(4), []);
  t.strictSame(await table.changes(9), [], 'of what is not there yet');
  await Promise.all(servers.servers.map((server) => server.signal('SIGKILL')));
  t.equal(await table.changes(2), 'unknown');
});

t.test('centres that were forgotten, or came too late, are noticed on servers of a domain', SKIP, async (t) => {
  const [line] = await freePorts(1);
  const logger = createMemoryLog([]);
  const clock = systemClock;
  const [east, west] = await Promise.all([
    startNatsServers(1, undefined, { domain: 'east', leaf: { listen: line!, advertise: line! } }),
    startNatsServers(1, undefined, { domain: 'west', leaf: { remote: line! } }),
  ]);
  const [here, there] = await Promise.all([east, west].map(({ urls }) => openNatsBus({ servers: urls }, 'x', logger)));
  t.teardown(async () => {
    await Promise.all([here!.close(), there!.close()]);
    await Promise.all([east.stop(), west.stop()]);
  });
  // Two centres by their servers, of which no node knows.
  const none: ClusterTraits = {
    shards: 2,
    centres: '',
    secretMark: markOf('ab'.repeat(32)),
    versions: { min: 1, max: 1 },
  };
  const common = { clock, logger, cluster: 'two', replicas: 1 };
  const agree = async (bus: NatsBus, ours: ClusterTraits, id: string): Promise<string> =>
    agreeWithCluster(await openAgreement({ bus, ...common }), ours, id, clock);
  t.equal(await domainOf(here!, clock), 'east');
  t.equal(await agree(here!, none, 'id of the east'), 'id of the east');
  t.equal(await agree(here!, none, 'another'), 'id of the east', 'the same for all nodes on these servers');
  const id = await agree(there!, none, 'id of the west');
  t.equal(id, 'id of the west', 'what is agreed upon does not cross the line');
  const member = { node: 'w', life: 1, versions: none.versions, workers: [0], info: { centres: '', clusterId: id } };
  const refusal = judgeMember({ ...none, id: 'id of the east' })(member, undefined);
  t.match(refusal, { code: 'APP_CLUSTER_CENTRES' }, 'so nodes of the two refuse each other');

  // Its nodes are given centres later: its people are in other partitions, and half of its shards would be founded empty.
  const late = { ...none, centres: 'east,west:+1', centre: 'east' };
  await t.rejects(agree(here!, late, 'new'), { code: 'APP_CLUSTER_CENTRES', message: /has the data centres none/ });

  // And the other way: a node of a cluster with centres, started without them.
  const made = { ...common, cluster: 'three' };
  const agreement = await openAgreement({ bus: here!, ...made });
  await agreeWithCluster(agreement, late, 'one', clock);
  const centres = [
    { name: 'east', prefixes: [] },
    { name: 'west', prefixes: ['+1'] },
  ];
  const net = await openJetStreamNet({ bus: here!, ...made, shards: { first: 0, count: 1 }, centres, centre: 0 });
  t.equal(await net.table.read('cluster'), 'missing', 'the table of its shards is another bucket');
  await t.rejects(agreeWithCluster(agreement, none, 'two', clock), { code: 'APP_CLUSTER_CENTRES' });
});

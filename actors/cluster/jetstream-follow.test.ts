import t, { type Test } from 'tap';
import { openNatsBus, type NatsBus } from '../../runtime/cluster/index.ts';
import { systemClock } from '../../runtime/index.ts';
import { hasNatsServer, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog } from '../../runtime/testing/test-node.ts';
import { pause } from '../pause.ts';
import { followStream, type FollowPlan } from './jetstream-follow.ts';
import { openBucketRegistry } from './jetstream-registry.ts';
import { LIMITS } from './limits.ts';

const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };
const PATIENCE_MS = 60_000;

type Manager = FollowPlan['manager'];
type Add = Manager['consumers']['add'];

interface World {
  readonly bus: NatsBus;
  readonly manager: Manager;
  readonly log: Parameters<typeof createMemoryLog>[0];
  /** A stream "events" of the subjects `events.>`. */
  publish(text: string): Promise<void>;
  consumers(): Promise<string[]>;
}

async function openWorld(t: Test): Promise<World> {
  const servers = await startNatsServers(1);
  const log: World['log'] = [];
  const bus = await openNatsBus({ servers: servers.urls }, 'test', createMemoryLog(log));
  t.teardown(async () => {
    await bus.close();
    await servers.stop();
  });
  const manager = await bus.connection.jetstreamManager({ timeout: LIMITS.requestMs });
  const jetstream = bus.connection.jetstream();
  await manager.streams.add({ name: 'events', subjects: ['events.>'] });
  return {
    bus,
    manager,
    log,
    publish: async (text) => void (await jetstream.publish('events.one', Buffer.from(text))),
    consumers: async () => (await manager.consumers.list('events').next()).map(({ name }) => name),
  };
}

/** The same manager, but for how it asks for a consumer. */
function managerWith(manager: Manager, add: Add): Manager {
  return Object.assign(Object.create(manager) as Manager, {
    consumers: Object.assign(Object.create(manager.consumers), { add }),
  });
}

function follow({ bus, manager, log }: World, heard: string[], add: Add): ReturnType<typeof followStream> {
  let next = 1;
  return followStream({
    bus,
    manager: managerWith(manager, add),
    clock: systemClock,
    logger: createMemoryLog(log),
    stream: 'events',
    subject: 'events.>',
    start: () => ({ deliver_policy: 'by_start_sequence', opt_start_seq: next }),
    onMessage: ({ seq, data }) => {
      next = seq + 1;
      heard.push(Buffer.from(data).toString());
    },
  });
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = systemClock.monotonicMs() + PATIENCE_MS;
  while (!isSo() && systemClock.monotonicMs() < endMs) await pause(systemClock, 10);
}

t.test('who is not answered asks for the same consumer, and that it is there already is an answer', SKIP, async (t) => {
  const world = await openWorld(t);
  const asked: unknown[] = [];
  const add: Add = async (stream, config, ...more) => {
    asked.push(config.name);
    const info = await world.manager.consumers.add(stream, config, ...more);
    // It was made, and the answer is lost.
    if (asked.length < 3) throw new Error('TIMEOUT');
    return info;
  };
  const heard: string[] = [];
  const following = follow(world, heard, add);
  await until(() => asked.length >= 2);
  t.ok(asked.length >= 2, 'again');
  await world.publish('a');
  await until(() => heard.length === 1);
  await pause(systemClock, 3 * LIMITS.consumerRetryMs);
  for (const text of ['b', 'c']) await world.publish(text);
  await until(() => heard.length === 3);
  t.strictSame(heard, ['a', 'b', 'c'], 'what came before the answer counts');
  t.equal(new Set(asked).size, 1, `asked ${asked.length} times by one name`);
  t.strictSame(await world.consumers(), [...new Set(asked)]);
  await pause(systemClock, 3 * LIMITS.heartbeatMs);
  t.ok(following.silentMs() < 2 * LIMITS.heartbeatMs, 'it says that it lives');
  t.equal(new Set(asked).size, 1, 'and is not asked for again');
  following.stop();
  await world.publish('d');
  await pause(systemClock, 200);
  t.strictSame(heard, ['a', 'b', 'c'], 'nothing comes behind the end');
});

t.test(
  'one that is never answered has another name after a while; one that is gone is followed by another',
  SKIP,
  async (t) => {
    const world = await openWorld(t);
    const names = new Set<unknown>();
    const add: Add = async (stream, config, ...more) => {
      names.add(config.name);
      // Given to a server that is dead.
      if (names.size === 1) throw new Error('TIMEOUT');
      return world.manager.consumers.add(stream, config, ...more);
    };
    const heard: string[] = [];
    const following = follow(world, heard, add);
    t.teardown(() => following.stop());
    await world.publish('a');
    await until(() => heard.length === 1);
    t.equal(names.size, 2);
    await world.manager.consumers.delete('events', [...names].at(-1) as string);
    for (const text of ['b', 'c']) await world.publish(text);
    await until(() => heard.length === 3);
    t.strictSame(heard, ['a', 'b', 'c'], 'each once, in order');
    t.equal(names.size, 3);
  },
);

t.test(
  'while no consumer can be made, what changes in a registry is read; nothing is told twice when there is one',
  SKIP,
  async (t) => {
    const { bus, manager, log } = await openWorld(t);
    let isRefused = true;
    const add: Add = async (...of) => {
      if (isRefused) throw Object.assign(new Error('no leader'), { api_error: { err_code: 10_008 } });
      return manager.consumers.add(...of);
    };
    const logger = createMemoryLog(log);
    const jetstream = bus.connection.jetstream({ timeout: LIMITS.requestMs });
    const common = {
      bus,
      jetstream,
      clock: systemClock,
      logger,
      replicas: 1,
      name: 'lives',
      storage: 'memory',
    } as const;
    const registry = await openBucketRegistry({ ...common, manager: managerWith(manager, add), quietMs: 700 });
    const heard: string[] = [];
    await registry.write('seat.a.1', 'one');
    const watch = registry.watch((key, value, revision) => {
      heard.push(`${key} ${value} ${revision}`);
      if (value === 'bad') throw new RangeError('nobody can read it');
    });
    t.teardown(() => watch.stop());
    await until(() => heard.length === 1);
    for (const value of ['bad', 'two']) await registry.write('seat.b.1', value);
    await until(() => heard.at(-1) === 'seat.b.1 two 3');
    t.equal(heard[0], 'seat.a.1 one 1');
    t.equal(heard.at(-1), 'seat.b.1 two 3', 'behind one that its reader threw at');
    isRefused = false;
    const before = heard.length;
    await pause(systemClock, LIMITS.consumerRetryMs + 2 * LIMITS.heartbeatMs);
    t.strictSame(heard.slice(before), [], 'a consumer begins with all that there is');
    await registry.write('seat.a.1', 'three');
    await until(() => heard.length > before);
    t.strictSame(heard.slice(before), ['seat.a.1 three 4']);
  },
);

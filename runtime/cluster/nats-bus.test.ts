import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import t, { type Test } from 'tap';

import type { Behavior } from '../behavior.ts';
import type { Clock } from '../contracts.ts';
import { isDown } from '../envelope.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import { hasNatsServer, type NatsServers, startNatsServers } from '../testing/nats-servers.ts';
import { createMemoryLog } from '../testing/test-node.ts';
import { type ClusterHead, headCluster } from './join.ts';
import { LIMITS } from './limits.ts';
import { openNatsBus } from './nats-bus.ts';

const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };

interface Member {
  readonly node: RuntimeNode;
  readonly head: ClusterHead;
  stop(): Promise<void>;
}

/**
 * Time passes a tenth as fast for who counts how long another has been silent; what is done every so often is done as often. A machine that
 * is held up for a second takes longer than a node may be silent to find another server.
 */
const patientClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() / 10,
  setTimer: (delayMs, callback) => systemClock.setTimer(delayMs, callback),
  clearTimer: (handle) => systemClock.clearTimer(handle),
};

async function start(name: string, { urls }: Pick<NatsServers, 'urls'>): Promise<Member> {
  const log = createMemoryLog([]);
  const node = createNode({ name, clock: patientClock, random: systemRandom, loop: systemLoop, log });
  const bus = await openNatsBus({ servers: urls }, name, log);
  const seat = { cluster: 'test', life: systemClock.nowMs() };
  const head = headCluster(node, { ...seat, life: Math.floor(seat.life) }, bus, ignore, ignore);
  head.membership.announce([0], {});
  return {
    node,
    head,
    async stop() {
      await node.stop();
      await head.close();
    },
  };
}

function ignore(): void {}

const collector: Behavior<{ heard: unknown[] }, unknown[], unknown, 'count', number> = {
  name: 'collector',
  init: (heard) => ({ heard }),
  handleCast: (message, { heard }) => void heard.push(message),
  handleCall: (_request, _from, { heard }) => heard.length,
};

const watcher: Behavior<unknown[], unknown[], { watch: string }> = {
  name: 'watcher',
  init: (heard) => heard,
  handleCast: ({ watch }, _heard, ctx) => void ctx.monitor({ name: 'collector', worker: 0, node: watch } as never),
  handleInfo: (info, heard) => void (isDown(info) && heard.push(info.reason)),
};

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 20) {
    if (await holds()) return;
    await delay(20);
  }
  throw new Error(`not within a minute: ${what}`);
}

t.test('three servers, two nodes: a server that is killed is a pause and no loss', SKIP, async (t) => {
  const servers = await startNatsServers(3);
  t.teardown(() => servers.stop());
  // Each node knows the server that is killed first, so both are on it.
  const a = await start('a', servers);
  const b = await start('b', servers);
  t.teardown(() => Promise.all([a.stop(), b.stop()]));
  const heard: unknown[] = [];
  const downs: unknown[] = [];
  b.node.spawn(collector, heard, { name: 'collector' });
  const eye = a.node.spawn(watcher, downs);
  const target = { name: 'collector', worker: 0, node: 'b' };
  await until(() => a.node.cast(target, 0) === 'ok', 'b is reached');
  a.node.cast(eye, { watch: 'b' });
  let sent = 0;
  const sendFor = async (ms: number, countMin: number): Promise<void> => {
    const [end, enough] = [systemClock.monotonicMs() + ms, sent + countMin];
    while (sent < enough || systemClock.monotonicMs() < end) {
      for (let count = 0; count < 10; count += 1) if (a.node.cast(target, sent + 1) === 'ok') sent += 1;
      await delay(5);
    }
  };
  await sendFor(300, 500);
  servers.servers[0]!.signal('SIGKILL');
  await sendFor(2_500, 500);
  await until(() => heard.length > sent, `${sent} messages arrive`);
  t.strictSame(
    heard,
    Array.from({ length: sent + 1 }, (_, index) => index),
  );
  t.strictSame(downs, []);
  t.equal(await a.node.call(target, 'count', 60_000), sent + 1);
});

t.test('a server that refuses us is an error with a code', SKIP, async (t) => {
  const servers = await startNatsServers(1);
  t.teardown(() => servers.stop());
  const log = createMemoryLog([]);
  await t.rejects(openNatsBus({ servers: servers.urls, credentials: '/does/not/exist' }, 'x', log), { code: 'RT_BUS' });
});

t.test('a reader that throws costs its message, not the connection', SKIP, async (t) => {
  const servers = await startNatsServers(1);
  const logged: Parameters<typeof createMemoryLog>[0] = [];
  const log = createMemoryLog(logged);
  const [saying, hearing] = await Promise.all(
    ['saying', 'hearing'].map((name) => openNatsBus({ servers: servers.urls }, name, log)),
  );
  t.teardown(async () => {
    await Promise.all([saying!.close(), hearing!.close()]);
    await servers.stop();
  });
  const heard: string[] = [];
  hearing!.subscribe('bb.test.beat', (bytes) => {
    const text = Buffer.from(bytes).toString();
    if (text === 'bad') throw new RangeError('nothing to read');
    heard.push(text);
  });
  // Said again: a subscription takes a moment to be known.
  const isHeard = (): boolean => heard.includes('good') && logged.some(({ event }) => event === 'message_refused');
  await until(() => {
    for (const text of ['bad', 'good']) saying!.publish('bb.test.beat', Buffer.from(text));
    return isHeard();
  }, 'a good one behind a bad one');
  heard.length = 0;
  await until(() => (saying!.publish('bb.test.beat', Buffer.from('later')), heard.includes('later')), 'a later one');
  const numbers = logged.filter(({ event }) => event === 'message_refused').map(({ fields }) => fields!['count']);
  t.strictSame(
    numbers,
    numbers.map((_, index) => 2 ** index),
    'logged whenever their number has doubled',
  );
});

t.test('a server knows where nobody listens, also for listeners of another one', SKIP, async (t) => {
  const servers = await startNatsServers(3);
  const log = createMemoryLog([]);
  const [first, second] = servers.urls;
  const asking = await openNatsBus({ servers: [first!] }, 'asking', log);
  const listening = await openNatsBus({ servers: [second!] }, 'listening', log);
  t.teardown(async () => {
    await asking.close();
    await servers.stop();
  });
  const heard: string[] = [];
  listening.subscribe('bb.test.to.b.0', (bytes) => heard.push(Buffer.from(bytes).toString()));
  const isHeard = async (): Promise<boolean> => !(await asking.isDeserted('bb.test.to.b.0'));
  await until(isHeard, 'the listener to be known');
  t.strictSame([...new Set(heard)], ['{"kind":"nothing"}'], 'what it is asked with means nothing to it');
  t.ok(await asking.isDeserted('bb.test.to.c.0'));
  await listening.close();
  await until(async () => !(await isHeard()), 'the end of the listener to be known');
  t.ok(await asking.isDeserted('bb.test.to.b.0'), 'and not forgotten again');
});

/** A line to a server that may be cut, as a cable is: what is said waits, and who comes is taken and told nothing. */
async function startLine(t: Test, port: number): Promise<Line> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => void to.write(bytes));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (isCut) from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const end = (): void => sockets.forEach((socket) => socket.destroy());
  t.teardown(() => {
    end();
    server.close();
  });
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    // Both ends of each.
    count: () => sockets.size / 2,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.pause();
    },
    heal: () => {
      isCut = false;
      for (const socket of sockets) socket.resume();
    },
    end,
  };
}

interface Line {
  readonly url: string;
  /** Connections over it. */
  count(): number;
  cut(): void;
  heal(): void;
  /** As if the server had ended, and were there again at once. */
  end(): void;
}

t.test(
  'a connection that was given up while it was being made is over: nothing comes of it after a heal',
  SKIP,
  async (t) => {
    const servers = await startNatsServers(1);
    t.teardown(() => servers.stop());
    const line = await startLine(t, servers.servers[0]!.port);
    const bus = await openNatsBus({ servers: [line.url] }, 'cut', createMemoryLog([]));
    const other = await openNatsBus({ servers: servers.urls }, 'other', createMemoryLog([]));
    t.teardown(() => Promise.all([bus.close(), other.close()]));
    const heard: string[] = [];
    bus.subscribe('news', (bytes) => heard.push(Buffer.from(bytes).toString()));
    const ups: boolean[] = [];
    bus.watch((isUp) => ups.push(isUp));

    line.cut();
    await until(() => !bus.isUp, 'the cut to be noticed');
    // Long enough for some attempts.
    await delay(3 * LIMITS.busConnectMsMax);
    t.ok(line.count() > 1, `${line.count()} connections wait`);
    line.heal();
    await until(() => bus.isUp, 'the bus to be there again');
    await until(() => line.count() === 1, 'one connection to be left');
    t.strictSame(ups, [false, true]);

    line.end();
    await until(() => ups.length >= 4, 'the next one');
    await delay(1_000);
    t.strictSame(ups, [false, true, false, true], 'lost once, and found once');
    t.equal(line.count(), 1);
    for (let number = 1; number <= 200; number++) other.publish('news', Buffer.from(`${number} ${'x'.repeat(5_000)}`));
    await until(() => heard.length >= 200, 'what is said then');
    await delay(200);
    t.strictSame(
      heard.map((text) => Number.parseInt(text, 10)),
      Array.from({ length: 200 }, (_, index) => index + 1),
      'each once, in order',
    );
  },
);

import t from 'tap';

import type { Behavior } from '../behavior.ts';
import { isDown, isExit } from '../envelope.ts';
import type { Pid } from '../pid.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import * as sys from '../sys.ts';
import { createSimCluster, type SimBus, type SimCluster, type SimMember } from '../testing/sim-bus.ts';
import { PACKET, type Packet } from '../transport.ts';
import { LIMITS } from './limits.ts';

interface Notebook {
  readonly heard: unknown[];
}

/** Keeps what it is told; echoes what it is asked; links and watches whom it is told to. */
const notebook: Behavior<Notebook, unknown[], unknown, unknown, unknown> = {
  name: 'notebook',
  init(heard, ctx) {
    ctx.trapExit(true);
    return { heard };
  },
  handleCast(message, { heard }, ctx) {
    // A string has a method `link`, of which nobody thinks.
    if (typeof message !== 'object') return void heard.push(message);
    const order = message as { link?: Pid; monitor?: Pid; unlink?: Pid };
    if (order.link !== undefined) return ctx.link(order.link);
    if (order.unlink !== undefined) return ctx.unlink(order.unlink);
    if (order.monitor !== undefined) return void ctx.monitor(order.monitor);
    heard.push(message);
  },
  handleCall: (request) => ({ echo: request }),
  handleInfo(info, { heard }) {
    if (isDown(info)) heard.push(['down', info.reason]);
    else if (isExit(info)) heard.push(['exit', info.reason]);
    else heard.push(info);
  },
};

interface Stand {
  readonly cluster: SimCluster;
  readonly a: SimMember;
  readonly b: SimMember;
  readonly heardA: unknown[];
  readonly heardB: unknown[];
  readonly pidA: Pid;
  readonly pidB: Pid;
}

async function stand(): Promise<Stand> {
  const cluster = createSimCluster(['a', 'b']);
  const [a, b] = cluster.members as [SimMember, SimMember];
  const heardA: unknown[] = [];
  const heardB: unknown[] = [];
  const pidA = a.node.spawn(notebook, heardA, { name: 'notebook' });
  const pidB = b.node.spawn(notebook, heardB, { name: 'notebook' });
  await cluster.advance(1_000);
  return { cluster, a, b, heardA, heardB, pidA, pidB };
}

t.test(
  'a message finds an actor of another node by pid and by name, and what it holds arrives as it was',
  async (t) => {
    const { cluster, a, pidA, pidB, heardB } = await stand();
    const body = {
      text: 'ä',
      bytes: new Uint8Array([1, 2]),
      list: [1, -1, 1.5, null, undefined],
      from: pidA,
      to: pidB,
    };
    t.equal(a.node.cast(pidB, body), 'ok');
    t.equal(a.node.send({ name: 'notebook', worker: 0, node: 'b' }, 'by name'), 'ok');
    await cluster.settle();
    const [arrived, byName] = heardB as [typeof body, string];
    t.strictSame([arrived.text, [...arrived.bytes], arrived.list], [body.text, [1, 2], body.list]);
    t.equal(`${arrived.from}`, `${pidA}`);
    t.equal(arrived.to.node, 'b');
    t.equal(byName, 'by name');
  },
);

t.test('a call to another node gets its reply, or hears that there is nobody', async (t) => {
  const { cluster, a, pidB } = await stand();
  const replied = a.node.call(pidB, 'question', 1_000);
  const refused = a.node.call({ name: 'nobody', worker: 0, node: 'b' }, 'question', 1_000).catch(codeOf);
  const unknown = a.node.call({ name: 'notebook', worker: 0, node: 'z' }, 'question', 1_000).catch(codeOf);
  await cluster.settle();
  t.strictSame(await replied, { echo: 'question' });
  t.equal(await refused, 'RT_CALL_NOPROC');
  t.equal(await unknown, 'RT_CALL_REFUSED');
});

t.test('links and monitors reach across nodes', async (t) => {
  const { cluster, a, b, pidA, pidB, heardA } = await stand();
  a.node.cast(pidA, { monitor: pidB });
  a.node.cast(pidA, { link: pidB });
  await cluster.settle();
  b.node.exit(pidB, 'kill');
  await cluster.settle();
  t.strictSame(heardA.sort(), [
    ['down', 'killed'],
    ['exit', 'killed'],
  ]);
});

t.test('a link that was taken back brings nothing', async (t) => {
  const { cluster, a, b, pidA, pidB, heardA } = await stand();
  a.node.cast(pidA, { link: pidB });
  await cluster.settle();
  a.node.cast(pidA, { unlink: pidB });
  await cluster.settle();
  b.node.exit(pidB, 'kill');
  await cluster.settle();
  t.strictSame(heardA, []);
});

t.test('a node that is silent is down: links and monitors say noconnection, calls fail, sends say so', async (t) => {
  const { cluster, a, b, pidA, pidB, heardA } = await stand();
  a.node.cast(pidA, { monitor: pidB });
  a.node.cast(pidA, { link: pidB });
  await cluster.settle();
  cluster.kill(b);
  const call = a.node.call(pidB, 'question', 60_000).catch(codeOf);
  await cluster.advance(LIMITS.silenceMsMax + LIMITS.beatMs + LIMITS.tickMs);
  t.strictSame(heardA.sort(), [
    ['down', 'noconnection'],
    ['exit', 'noconnection'],
  ]);
  t.equal(await call, 'RT_CALL_EXITED');
  t.equal(a.node.cast(pidB, 'late'), 'noconnection');
  t.strictSame(
    a.events.map(({ type }) => type),
    ['up', 'down'],
  );
});

t.test('a node whose connection is gone is down before one that is only silent', async (t) => {
  for (const [isCut, reason] of [
    [false, 'deserted'],
    [true, 'silence'],
  ] as const) {
    const { cluster, a, b } = await stand();
    // A cut in the network leaves the connection of the other end open: nobody can say that it is gone.
    if (isCut) cluster.network.carries = (from, to) => from !== b.bus && to !== b.bus;
    else cluster.kill(b);
    await cluster.advance(LIMITS.suspectMs + 2 * LIMITS.beatMs);
    t.equal(a.events.length, isCut ? 1 : 2);
    await cluster.advance(LIMITS.silenceMsMax);
    t.match(a.events, [{ type: 'up' }, { type: 'down', node: 'b', reason }]);
  }
});

t.test('a node that is between two servers for a moment stays', async (t) => {
  const { cluster, a, b } = await stand();
  b.bus.break();
  await cluster.advance(LIMITS.suspectMs);
  b.bus.mend();
  await cluster.advance(2_000);
  t.match(a.events, [{ type: 'up' }]);
});

t.test('a node that comes back under its name is another: old pids of it name nobody', async (t) => {
  const { cluster, a, b, pidB, heardA, pidA } = await stand();
  a.node.cast(pidA, { monitor: pidB });
  await cluster.settle();
  cluster.kill(b);
  await cluster.advance(100);
  const again = cluster.add('b');
  const heardAgain: unknown[] = [];
  again.node.spawn(notebook, heardAgain, { name: 'notebook' });
  await cluster.advance(500);
  t.strictSame(heardA, [['down', 'noconnection']], 'told before the silence would have');
  t.equal(a.node.cast(pidB, 'for the old one'), 'ok', 'its node lives, as far as a send can know');
  a.node.cast({ name: 'notebook', worker: 0, node: 'b' }, 'for the new one');
  await cluster.settle();
  t.strictSame(heardAgain, ['for the new one']);
  t.ok(b.isSuperseded() || !b.bus.isUp, 'the old one is gone');
});

t.test('of two processes with one name the later one has it, and the other is told', async (t) => {
  const { cluster, a, b } = await stand();
  const later = cluster.add('b', { life: cluster.clock.nowMs() + 1 });
  await cluster.advance(1_000);
  t.ok(b.isSuperseded());
  t.notOk(later.isSuperseded());
  t.strictSame(
    a.events.map((event) => (event.type === 'down' ? event.reason : event.type)),
    ['up', 'replaced', 'up'],
  );
});

t.test(
  'a connection that breaks for less than the silence is a pause: nothing is lost, nothing comes twice',
  async (t) => {
    const { cluster, a, b, pidB, heardB, heardA, pidA } = await stand();
    a.node.cast(pidA, { monitor: pidB });
    const random = createSeededRandom(7);
    let sent = 0;
    for (let round = 0; round < 40; round += 1) {
      for (let count = 0; count < 5; count += 1) t.equal(a.node.cast(pidB, (sent += 1)), 'ok');
      await a.settle();
      const bus = [a, b][random.integer(2)]!.bus;
      if (round % 4 === 1) bus.break();
      await cluster.advance(100, random);
      for (const member of [a, b]) member.bus.mend();
    }
    await cluster.advance(2_000, random);
    t.strictSame(
      heardB,
      Array.from({ length: sent }, (_, index) => index + 1),
    );
    t.strictSame(heardA, [], 'no node was down meanwhile');
  },
);

t.test('what the bus loses is sent again', async (t) => {
  const { cluster, a, pidB, heardB } = await stand();
  const random = createSeededRandom(3);
  cluster.network.carries = (_from, _to, subject) => subject.endsWith('.beat') || random.integer(10) > 0;
  for (let sent = 1; sent <= 60; sent += 1) {
    a.node.cast(pidB, sent);
    await cluster.advance(25);
  }
  await cluster.advance(5_000);
  t.strictSame(
    heardB,
    Array.from({ length: 60 }, (_, index) => index + 1),
  );
});

t.test('the way to a node is bounded: beyond it a send says full, and all that it took arrives', async (t) => {
  const { cluster, a, b, pidB, heardB } = await stand();
  b.bus.break();
  const body = 'x'.repeat(60_000);
  let sent = 0;
  while (a.node.cast(pidB, { index: sent, body }) === 'ok') sent += 1;
  t.ok(sent > 60 && sent < 100, `${sent} messages of 60 kB`);
  b.bus.mend();
  await cluster.advance(1_000);
  t.strictSame(
    heardB.map((each) => (each as { index: number }).index),
    Array.from({ length: sent }, (_, index) => index),
  );
});

t.test('frames keep to what the bus takes in one message', async (t) => {
  const cluster = createSimCluster([]);
  const a = cluster.add('a', { messageBytesMax: 8_192 });
  const b = cluster.add('b', { messageBytesMax: 8_192 });
  const heard: unknown[] = [];
  const pid = b.node.spawn(notebook, heard, { name: 'notebook' });
  await cluster.advance(500);
  for (let index = 0; index < 20; index += 1) t.equal(a.node.cast(pid, 'y'.repeat(5_000)), 'ok');
  t.equal(a.node.cast(pid, 'y'.repeat(9_000)), 'too_large');
  await cluster.settle();
  t.equal(heard.length, 20);
});

t.test('nodes without a version in common see each other and refuse; with one they use it', async (t) => {
  const cluster = createSimCluster([]);
  const old = cluster.add('old', { versions: { min: 1, max: 1 } });
  const both = cluster.add('both', { versions: { min: 1, max: 2 } });
  const fresh = cluster.add('fresh', { versions: { min: 2, max: 3 } });
  await cluster.advance(500);
  t.strictSame(reached(old), ['both']);
  t.strictSame(reached(both), ['fresh', 'old']);
  t.strictSame(reached(fresh), ['both']);
  const refusal = fresh.logged.find(({ event }) => event === 'node_refused');
  t.match(refusal?.fields, { node: 'old', reason: 'no version in common' });
});

t.test('a node that leaves is missed at once', async (t) => {
  const { cluster, a, b, pidB } = await stand();
  b.membership.leave();
  await cluster.settle();
  t.match(a.events.at(-1), { type: 'down', reason: 'left' });
  t.equal(a.node.cast(pidB, 'late'), 'noconnection');
});

t.test('a node that stood still and goes on is lost and found: both sides begin anew', async (t) => {
  const { cluster, a, b, pidA, pidB, heardA, heardB } = await stand();
  a.node.cast(pidA, { monitor: pidB });
  b.node.cast(pidB, { monitor: pidA });
  await cluster.settle();
  // Its process does not run: it neither says nor hears anything; what was said to it waits in the kernel and comes then.
  cluster.network.carries = (from, to) => from !== b.bus && to !== b.bus;
  for (let passed = 0; passed < 3_000; passed += 100) await cluster.advance(100);
  cluster.network.carries = () => true;
  await cluster.advance(1_000);
  t.strictSame(heardA, [['down', 'noconnection']]);
  t.strictSame(heardB, [['down', 'noconnection']]);
  a.node.cast(pidB, 'again');
  await cluster.settle();
  t.strictSame(heardB.at(-1), 'again');
});

t.test('greetings that waited with a node that stood still come to an end, and the nodes talk again', async (t) => {
  const { cluster, a, b, pidA, pidB, heardA, heardB } = await stand();
  const { network } = cluster;
  const standStill = (from: SimBus, to: SimBus): boolean => from === b.bus || to === b.bus;
  network.holds = standStill;
  await cluster.advance(3_000);
  // It goes on for so short a time that it is heard and greeted, but reads nothing.
  network.holds = (_from, to) => to === b.bus;
  await cluster.advance(500);
  network.holds = standStill;
  await cluster.advance(3_000);
  network.holds = () => false;
  await cluster.advance(1_000);
  t.equal(a.node.cast(pidB, 'to b'), 'ok');
  t.equal(b.node.cast(pidA, 'to a'), 'ok');
  await cluster.settle();
  t.strictSame([heardA.at(-1), heardB.at(-1)], ['to a', 'to b']);
});

t.test('no node looks into an actor of another, or stops or ends one by a system request', async (t) => {
  const { cluster, a, b, pidB } = await stand();
  for (const target of [pidB, { name: 'notebook', worker: 0, node: 'b' }]) {
    t.equal(await sys.getState(a.node, target).catch(codeOf), 'RT_CALL_REFUSED', 'it says so at once');
  }
  const from = { pid: a.node.kernel.self, ref: a.node.kernel.refs.next() };
  const requests = [{ type: 'get_state', limits: {} }, { type: 'suspend' }, { type: 'terminate', reason: 'normal' }];
  for (const request of requests) forge(a, [PACKET.system, pidB, request, from]);
  await cluster.advance(100);
  t.equal(refusals(b, 'a system request of another node'), requests.length);
  t.ok(b.node.processInfo(pidB), 'it lives');
  const call = a.node.call(pidB, 'question', 1_000);
  await cluster.settle();
  t.strictSame(await call, { echo: 'question' }, 'and is not suspended');
});

t.test('a node ends, links, watches and asks in the name of its own actors alone', async (t) => {
  const { cluster, a, b, pidA, pidB, heardB } = await stand();
  const third = cluster.add('c');
  await cluster.advance(1_000);
  const { kernel } = third.node;
  const ref = a.node.kernel.refs.next();
  const forged: Packet[] = [
    [PACKET.exit, pidB, pidA, 'shutdown', false],
    [PACKET.exit, pidB, pidB, 'shutdown', false],
    [PACKET.link, pidB, pidA],
    [PACKET.unlink, pidB, pidA, 1],
    [PACKET.unlinked, pidB, pidA, 1],
    [PACKET.monitor, pidB, kernel.refs.next(), pidA],
    [PACKET.demonitor, ref],
    [PACKET.call, pidB, 'question', { pid: pidA, ref }],
  ];
  for (const packet of forged) forge(third, packet);
  await cluster.advance(100);
  t.equal(refusals(b, 'the packet speaks in the name of another node'), forged.length);
  t.strictSame(heardB, []);
  third.node.exit(pidB, 'shutdown');
  await cluster.settle();
  t.strictSame(heardB, [['exit', 'shutdown']], 'in its own name it may');
});

/** Puts a packet on the channel to `b` that this code would not write. */
function forge({ link: { transport } }: SimMember, packet: Packet): void {
  transport.signal(transport.placeOf('b', 0)!, packet);
}

function refusals({ logged }: SimMember, error: string): number {
  return logged.filter(({ event, fields }) => event === 'packet_refused' && fields['error'] === error).length;
}

function reached({ link }: SimMember): string[] {
  return link.transport
    .reached()
    .map(({ node }) => node)
    .sort();
}

function codeOf(error: { code: string }): string {
  return error.code;
}

t.test('a later process with a name that is not let in does not have it', async (t) => {
  const { cluster } = await stand();
  const known: (number | undefined)[] = [];
  const judge = (member: { readonly node: string }, former: { readonly life: number } | undefined) => {
    if (member.node !== 'c') return undefined;
    known.push(former?.life);
    return { code: 'TEST', reason: 'another one' };
  };
  const c = cluster.add('c', { life: 5, judge });
  cluster.add('c', { life: 6 });
  await cluster.advance(1_000);
  t.notOk(c.isSuperseded());
  t.ok(known.length > 0 && known.every((life) => life === 5), 'judged as a later life of this one');
  t.strictSame(
    c.membership.refused().map(({ member }) => [member.node, member.life]),
    [['c', 6]],
  );
});

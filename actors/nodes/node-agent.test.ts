/** Orders between two nodes of a simulated cluster; what the desk does with them is planted. */

import t from 'tap';
import { sys } from '../../runtime/index.ts';
import { createSimCluster, type SimCluster, type SimMember } from '../../runtime/testing/sim-bus.ts';
import type { Desk } from '../admin/desk.ts';
import { LIMITS } from './limits.ts';
import { NODE_AGENT, nodeAgent, type NodeAnswer, type NodeRequest, type OrderOutcome } from './node-agent.ts';
import { markOrder, orderKey, type Order } from './order.ts';
import type { OwnNode } from './own-node.ts';
import { Peers } from './peers.ts';

const KEY = orderKey('ab'.repeat(32));
const JOIN: Order = { verb: 'node.join', parameters: {} };

interface Stand {
  readonly cluster: SimCluster;
  readonly a: SimMember;
  readonly b: SimMember;
  readonly peers: Peers;
  /** Lets time pass until it is settled. */
  during<T>(promise: Promise<T>): Promise<T>;
  ask(request: NodeRequest): Promise<NodeAnswer>;
}

type Answer = (verb: string, next: (value: object) => Promise<void>) => Promise<object>;

async function stand(answer: Answer = () => Promise.resolve({})): Promise<Stand> {
  const cluster = createSimCluster(['a', 'b']);
  const [a, b] = cluster.members as [SimMember, SimMember];
  const desk = {
    answer: (verb: string, _parameters: object, _caller: object, next: (value: object) => Promise<void>) =>
      answer(verb, next),
  } as unknown as Desk;
  const own = { name: 'b' } as OwnNode;
  b.node.spawn(nodeAgent, { own, desk, key: KEY }, { name: NODE_AGENT });
  await cluster.advance(1_000);
  const during = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false;
    void promise.then(...([() => (isSettled = true), () => (isSettled = true)] as const));
    for (let round = 0; round < 400 && !isSettled; round += 1) await cluster.advance(100);
    return promise;
  };
  const target = { name: NODE_AGENT, worker: 0, node: 'b' };
  const ask = (request: NodeRequest): Promise<NodeAnswer> => during(a.node.call(target, request, 1_000));
  return { cluster, a, b, peers: new Peers(a.node, KEY), during, ask };
}

/** Gives an order by hand, and returns its ticket. */
async function order({ ask }: Stand, given: Order): Promise<string> {
  const drawn = (await ask({ kind: 'nonce' })) as { ok: { nonce: string } };
  const { nonce } = drawn.ok;
  const text = JSON.stringify(given);
  const mark = markOrder(KEY, { from: 'a', to: 'b', nonce, order: text });
  const taken = (await ask({ kind: 'order', nonce, order: text, mark })) as { ok: { ticket: string } };
  return taken.ok.ticket;
}

t.test('what is shown of the agent has neither the key nor a challenge, also on its own node', async (t) => {
  const { b, during, ask } = await stand();
  await ask({ kind: 'nonce' });
  const shown = { node: 'b', challenges: 1, orders: 0 };
  t.strictSame(await during(sys.getState(b.node, NODE_AGENT)), shown);
  t.strictSame((await during(sys.getStatus(b.node, NODE_AGENT))).state, shown);
});

t.test('orders one after the other have room, however many: an ended one takes none', async (t) => {
  const { peers, during } = await stand();
  for (let count = 0; count < LIMITS.orderCountMax + 4; count += 1) {
    t.strictSame(await during(peers.order('b', JOIN)), {}, `order ${count}`);
  }
});

t.test('of those under way there are so many, and no more', async (t) => {
  const own = await stand(() => new Promise(() => undefined));
  for (let count = 0; count < LIMITS.orderCountMax; count += 1) t.type(await order(own, JOIN), 'string');
  await t.rejects(own.during(own.peers.order('b', JOIN)), { code: 'ADM_BUSY' });
});

t.test('an answer that was lost is given again: what an order said is kept until the asker goes on', async (t) => {
  const own = await stand(async (_verb, next) => {
    await next({ stage: 'working' });
    await next({ report: 'done' });
    return {};
  });
  const ticket = await order(own, JOIN);
  const outcome = async (from: number): Promise<OrderOutcome> =>
    ((await own.ask({ kind: 'outcome', ticket, from })) as unknown as { ok: OrderOutcome }).ok;
  const all = { values: [{ stage: 'working' }, { report: 'done' }], next: 2, end: { result: {} } };
  t.strictSame(await outcome(0), all);
  t.strictSame(await outcome(0), all, 'the answer came too late');
  t.strictSame(await outcome(1), { ...all, values: [{ report: 'done' }] });
  t.strictSame(await outcome(2), { ...all, values: [] });
});

t.test('who draws challenges and orders nothing is in nobody’s way but its own', async (t) => {
  const own = await stand();
  const { cluster, peers, during } = own;
  const third = cluster.add('c');
  await cluster.advance(1_000);
  const first = (await own.ask({ kind: 'nonce' })) as { ok: { nonce: string } };
  const target = { name: NODE_AGENT, worker: 0, node: 'b' };
  let foreign = '';
  for (let count = 0; count < 4 * LIMITS.nonceCountMax; count += 1) {
    const drawn = await during(third.node.call<NodeAnswer>(target, { kind: 'nonce' }, 1_000));
    foreign = (drawn as unknown as { ok: { nonce: string } }).ok.nonce;
  }
  t.strictSame(await during(peers.order('b', JOIN)), {});
  const text = JSON.stringify(JOIN);
  const use = (nonce: string): Promise<NodeAnswer> => {
    const mark = markOrder(KEY, { from: 'a', to: 'b', nonce, order: text });
    return own.ask({ kind: 'order', nonce, order: text, mark });
  };
  t.match(await use(foreign), { refused: { code: 'ADM_REFUSED' } }, 'one that another node drew');
  t.match(await use(first.ok.nonce), { ok: {} }, 'its own is still there');
});

t.test('a node whose pages never end is not followed', async (t) => {
  const cluster = createSimCluster(['a', 'b']);
  const [a, b] = cluster.members as [SimMember, SimMember];
  let asked = 0;
  let next = (from: number): number => from;
  const endless = {
    name: 'endless',
    init: () => null,
    handleCall: ({ from }: { from: number }) => {
      asked += 1;
      return { ok: { rows: Array.from({ length: 100 }, () => ({ shard: 0 })), next: next(from) } };
    },
  };
  b.node.spawn(endless, undefined, { name: NODE_AGENT });
  await cluster.advance(1_000);
  const peers = new Peers(a.node, KEY);
  const copies = async (): Promise<number> => {
    const promise = peers.copies('b');
    await cluster.advance(2_000);
    return (await promise).length;
  };
  t.equal(await copies(), 100);
  t.equal(asked, 1);
  next = (from) => from + 1;
  t.equal(await copies(), LIMITS.copyRowsMax);
});

/**
 * The actor `node` on the main thread: answers the other nodes of the cluster, and carries out what their operators order. `peers.ts` asks it.
 *
 *   figures, copies            any node of the cluster; nothing in them names a user
 *   nonce ─▶ order ─▶ outcome  with a mark by the secret of the cluster (`order.ts`), through the desk of this node, into its audit log
 *
 * An order takes its time and is carried out whether or not anybody asks for the outcome. Code is never taken from another node: a reload bundles what lies on
 * this one's disk, and refuses if that is not what the other has.
 */

import { NO_REPLY, type Behavior, type Clock, type Context, type From } from '../../runtime/index.ts';
import type { Desk } from '../admin/desk.ts';
import { isAdminError, type AdminCode, type AdminRefusal } from '../admin/errors.ts';
import { LIMITS } from './limits.ts';
import { isMarked, ORDERABLE, type Order, type OrderEnvelope } from './order.ts';
import type { OwnNode } from './own-node.ts';

/** Under which it is registered on the main thread. */
export const NODE_AGENT = 'node';

export type NodeRequest =
  | { readonly kind: 'figures' }
  | { readonly kind: 'copies'; readonly from: number }
  | { readonly kind: 'nonce' }
  | { readonly kind: 'order'; readonly nonce: string; readonly order: string; readonly mark: string }
  /** `from`: what was told before this number has arrived. */
  | { readonly kind: 'outcome'; readonly ticket: string; readonly from: number };

/** What became of an order so far. What it says is kept until the asker goes on from behind it: an answer can be lost, or come too late. */
export interface OrderOutcome {
  readonly values: readonly object[];
  /** Where to go on: the number of the first value that is not here. */
  readonly next: number;
  /** There when it has ended. */
  readonly end?: { readonly result: object } | { readonly refused: AdminRefusal };
}

export type NodeAnswer = { readonly ok: object } | { readonly refused: AdminRefusal };

export interface NodeAgentArgs {
  readonly own: OwnNode;
  readonly desk: Desk;
  /** See `orderKey`. */
  readonly key: Buffer;
}

interface Work {
  readonly values: object[];
  /** Values before these: told, or too many. */
  gone: number;
  end: OrderOutcome['end'];
  endedAtMs: number | undefined;
}

interface Challenge {
  /** The node that asked for it. */
  readonly by: string;
  /** When it is too old. */
  readonly untilMs: number;
}

interface NodeAgentState {
  readonly args: NodeAgentArgs;
  /** Challenges that were drawn, the oldest first. */
  readonly nonces: Map<string, Challenge>;
  readonly works: Map<string, Work>;
}

export const nodeAgent: Behavior<NodeAgentState, NodeAgentArgs, never, NodeRequest, NodeAnswer> = {
  name: 'actors/nodes/node-agent',

  init: (args) => ({ args, nonces: new Map(), works: new Map() }),

  handleCall(request, from, state, ctx) {
    forgetOld(state, ctx.clock);
    if (typeof request !== 'object' || request === null) return refuse('ADM_BAD_REQUEST', 'the question is none');
    switch (request.kind) {
      case 'figures':
        return answerLater(state.args.own.figures(), from, ctx);
      case 'copies':
        return answerLater(pageOfCopies(state.args.own, Number(request.from)), from, ctx);
      case 'nonce':
        return drawNonce(from.pid.node, state, ctx);
      case 'order':
        return takeOrder(request, from, state, ctx);
      case 'outcome':
        return tellOutcome(state, String(request.ticket), Number(request.from));
      default:
        return refuse('ADM_UNKNOWN_VERB', 'this node knows no such question: it may be older');
    }
  },

  // Neither the key nor a challenge is for anybody's eyes.
  systemGetState: ({ args: { own }, nonces, works }) => ({
    node: own.name,
    challenges: nonces.size,
    orders: works.size,
  }),
};

function answerLater(answer: Promise<object>, from: From, ctx: Context): typeof NO_REPLY {
  void answer.then(
    (ok) => ctx.reply(from, { ok }),
    (error: Error) => {
      ctx.log.error('node_question_failed', { reason: error.stack });
      ctx.reply(from, refuse('ADM_FAILED', 'the node could not answer; its log has the reason'));
    },
  );
  return NO_REPLY;
}

async function pageOfCopies(own: OwnNode, from: number): Promise<object> {
  const rows = await own.copies();
  const page = rows.slice(from, from + LIMITS.shardRowsMax);
  return from + page.length < rows.length ? { rows: page, next: from + page.length } : { rows: page };
}

// --- orders -----------------------------------------------------------------------------------------------------

function drawNonce(by: string, { nonces }: NodeAgentState, { clock, random }: Context): NodeAnswer {
  const own = Array.from(nonces).filter(([, each]) => each.by === by);
  // Who draws and orders nothing pushes its own out, and nobody else's.
  if (own.length >= LIMITS.nonceCountMax) nonces.delete(own[0]![0]);
  if (nonces.size >= LIMITS.nonceTotalMax) nonces.delete(nonces.keys().next().value!);
  const nonce = textOf(random.bytes(16));
  nonces.set(nonce, { by, untilMs: clock.monotonicMs() + LIMITS.nonceAgeMs });
  return { ok: { nonce } };
}

function takeOrder(
  { nonce, order: text, mark }: Extract<NodeRequest, { kind: 'order' }>,
  from: From,
  state: NodeAgentState,
  ctx: Context,
): NodeAnswer {
  const { args, nonces, works } = state;
  const envelope: OrderEnvelope = { from: from.pid.node, to: args.own.name, nonce: String(nonce), order: String(text) };
  // Good for one try, whatever comes of it.
  const isFresh = nonces.get(envelope.nonce)?.by === envelope.from && nonces.delete(envelope.nonce);
  if (!isFresh || !isMarked(args.key, envelope, String(mark))) {
    ctx.log.warn('node_order_refused', { from: envelope.from, isFresh });
    return refuse('ADM_REFUSED', 'the order is not marked with the secret of this cluster');
  }
  const order = readOrder(envelope.order);
  if (order === undefined) return refuse('ADM_BAD_REQUEST', 'the order is none');
  if (!ORDERABLE.has(order.verb)) return refuse('ADM_REFUSED', `a node is not ordered to "${order.verb}"`);
  if (countOpen(works) >= LIMITS.orderCountMax) return refuse('ADM_BUSY', 'the node has enough orders under way');
  const ticket = textOf(ctx.random.bytes(16));
  const work: Work = { values: [], gone: 0, end: undefined, endedAtMs: undefined };
  works.set(ticket, work);
  void carryOut(order, envelope.from, work, args.desk, ctx.clock);
  return { ok: { ticket } };
}

function readOrder(text: string): Order | undefined {
  if (text.length > LIMITS.orderBytesMax) return undefined;
  try {
    const { verb, parameters } = JSON.parse(text) as Partial<Order>;
    return typeof verb === 'string' && typeof parameters === 'object' && parameters !== null
      ? { verb, parameters }
      : undefined;
  } catch {
    return undefined;
  }
}

/** As an operator of this node would have it done. */
async function carryOut({ verb, parameters }: Order, by: string, work: Work, desk: Desk, clock: Clock): Promise<void> {
  const caller = { via: `node ${by}`, signal: new AbortController().signal } as const;
  const next = async (value: object): Promise<void> => {
    work.values.push(value);
    if (work.values.length > LIMITS.stageCountMax) dropValues(work, 1);
  };
  try {
    work.end = { result: (await desk.answer(verb, parameters, caller, next)) ?? {} };
  } catch (thrown) {
    work.end = {
      refused: isAdminError(thrown) ? { code: thrown.code, message: thrown.message } : desk.refusalOf(thrown, verb),
    };
  }
  work.endedAtMs = clock.monotonicMs();
}

function tellOutcome({ works }: NodeAgentState, ticket: string, from: number): NodeAnswer {
  const work = works.get(ticket);
  if (work === undefined)
    return refuse('ADM_NOT_FOUND', 'no such order is under way, or its outcome was told long ago');
  if (from > work.gone) dropValues(work, Math.min(from - work.gone, work.values.length));
  const { values, gone, end } = work;
  const told = { values: [...values], next: gone + values.length };
  const outcome: OrderOutcome = end === undefined ? told : Object.assign(told, { end });
  return { ok: outcome };
}

function dropValues(work: Work, count: number): void {
  work.values.splice(0, count);
  work.gone += count;
}

function forgetOld({ nonces, works }: NodeAgentState, clock: Clock): void {
  const nowMs = clock.monotonicMs();
  for (const [nonce, { untilMs }] of nonces) if (nowMs > untilMs) nonces.delete(nonce);
  for (const [ticket, { endedAtMs }] of works) {
    if (endedAtMs === undefined) continue;
    if (nowMs - endedAtMs > LIMITS.outcomeAgeMs || works.size >= LIMITS.outcomeCountMax) works.delete(ticket);
  }
}

function countOpen(works: ReadonlyMap<string, Work>): number {
  let count = 0;
  for (const { endedAtMs } of works.values()) if (endedAtMs === undefined) count += 1;
  return count;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function refuse(code: AdminCode, message: string): NodeAnswer {
  return { refused: { code, message } };
}

/**
 * The decisions of one shard's accounts about others: accepted, blocked, may strangers write; and their reports.
 *
 * One change at a time goes to the disk, then to the inbox, which keeps to it from then on and lets the client know: so the
 * answer says that it holds already. Whether the other account exists is not looked at, so nobody learns it here.
 *
 * Reads answer at once. Rules: `inbox/strangers.ts`. What a report proves: docs/internals/abuse.md.
 */

import { answer, refuse } from './answering.ts';
import type { Answer, Relation } from '../protocol/wire/index.ts';
import type { Behavior, Context } from '../runtime/index.ts';
import type { AppCode } from './errors.ts';
import { onceClaimed, type Committer } from './committer.ts';
import { LIMITS } from './limits.ts';
import type { InboxMessage, PresenceMessage, RelationsMessage } from './messages.ts';
import type { RemoteName } from './routes.ts';
import type { CommitResult, InboxStore, StoreBatch } from './store/inbox-store.ts';
import type { Guard, ListedRelation } from './store/protection-store.ts';

export interface RelationsArgs {
  readonly store: InboxStore;
  readonly inboxOf: (user: string) => RemoteName;
  readonly presenceOf: (user: string) => RemoteName;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

type Request<K extends RelationsMessage['kind']> = Extract<RelationsMessage, { kind: K }>;
type Change = Request<'set-relation' | 'set-strangers' | 'report'>;

/** A change that is being committed: what to answer, and what the inbox must look at again. Data, since it stands in the state. */
interface Plan {
  readonly answer: Answer;
  /** Absent where nothing changes for the inbox. */
  readonly other?: string | 'everybody';
}

/** A change that was decided, and what to write. */
interface Decided extends Plan {
  readonly write: (batch: StoreBatch) => void;
}

export interface RelationsState {
  readonly args: RelationsArgs;
  /** Changes in the order in which they came; the first is being committed if `plan` is there. */
  readonly queue: Change[];
  plan: Plan | undefined;
}

type Ctx = Context;

export const relations: Behavior<RelationsState, RelationsArgs, RelationsMessage> = {
  name: 'actors/relations',

  init(args) {
    return onceClaimed(args.committer, () => ({ args, queue: [], plan: undefined }));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'list-relations':
        return answer(message, listRelations(message, state), ctx);
      case 'show-strangers':
        return answer(message, { kind: 'strangers', policy: guardOf(message.user, state).policy }, ctx);
      case 'committed':
        return settle(message.result, state, ctx);
      default:
        return enqueue(message, state, ctx);
    }
  },
};

const NO_GUARD: Guard = { policy: 'open', relations: 0 };

function guardOf(user: string, { args }: RelationsState): Guard {
  return args.store.protection.guard(user) ?? NO_GUARD;
}

function listRelations({ user, after }: Request<'list-relations'>, { args }: RelationsState): Answer {
  const { relationsPageMax } = LIMITS;
  const listed = args.store.protection.relations(user, after ?? '', relationsPageMax);
  const next = listed.length < relationsPageMax ? undefined : listed.at(-1)!.user;
  return { kind: 'relations', relations: listed.map(toRelation), next };
}

function toRelation({ user, decision, request }: ListedRelation): Relation {
  if (decision !== undefined) return { user, state: decision.blocked ? 'blocked' : 'accepted' };
  return { user, state: 'pending', count: request?.count };
}

function enqueue(change: Change, state: RelationsState, ctx: Ctx): void {
  if (state.queue.length >= LIMITS.relationsQueueMax) return refuse(change, 'APP_OVERLOADED', ctx, 1);
  state.queue.push(change);
  startNext(state, ctx);
}

/** One at a time: each is decided against what the one before it left on the disk. */
function startNext(state: RelationsState, ctx: Ctx): void {
  while (state.plan === undefined && state.queue.length > 0) {
    const plan = decide(state.queue[0]!, state, ctx);
    if (typeof plan === 'string') refuse(state.queue.shift()!, plan, ctx);
    else {
      const { write, answer, other } = plan;
      state.plan = other === undefined ? { answer } : { answer, other };
      state.args.committer.commit(ctx.self, write);
    }
  }
}

function decide(change: Change, state: RelationsState, ctx: Ctx): Decided | AppCode {
  switch (change.kind) {
    case 'set-relation':
      return decideRelation(change, state);
    case 'set-strangers': {
      const { user, policy } = change;
      const guard = { ...guardOf(user, state), policy };
      const write = ({ protection }: StoreBatch): void => protection.putGuard(user, guard);
      return { write, answer: { kind: 'strangers', policy }, other: 'everybody' };
    }
    case 'report':
      return decideReport(change, state, ctx);
  }
}

function decideRelation(
  { user, other, state: wanted }: Request<'set-relation'>,
  state: RelationsState,
): Decided | AppCode {
  if (user === other) return 'APP_UNKNOWN_USER';
  const guard = guardOf(user, state);
  const former = state.args.store.protection.relation(user, other);
  const count = guard.relations + Number(wanted !== 'none') - Number(former !== undefined);
  if (count > LIMITS.relationsMax) return 'APP_RELATIONS_FULL';
  const blocked = wanted === 'blocked';
  const decision = { accepted: blocked ? former?.accepted === true : true, blocked };
  const write = ({ protection }: StoreBatch): void => {
    protection.putGuard(user, { ...guard, relations: count });
    if (wanted === 'none') protection.removeRelation(user, other);
    else protection.putRelation(user, other, decision);
  };
  return { write, answer: { kind: 'relation', user: other, state: wanted }, other };
}

/** A report is taken of messages that the server knows it accepted, and of no others. */
function decideReport(report: Request<'report'>, { args }: RelationsState, ctx: Ctx): Decided | AppCode {
  const { user: reporter, sender, device: senderDevice, id, evidence = new Uint8Array() } = report;
  const { store } = args;
  const senderCreation = store.latestCreation(reporter, sender, senderDevice);
  if (senderCreation === undefined) return 'APP_UNKNOWN_MESSAGE';
  const conversation = store.conversation(reporter, { user: sender, device: senderDevice, creation: senderCreation });
  if (conversation === undefined || conversation.accepted < id) return 'APP_UNKNOWN_MESSAGE';
  const place = store.protection.lastReport() + 1;
  const ts = Math.floor(ctx.clock.nowMs());
  const record = { ts, reporter, sender, senderDevice, senderCreation, id, evidence };
  ctx.log.info('message_reported', { sender, place });
  const write = ({ protection }: StoreBatch): void => {
    protection.putReport(place, record);
    if (place > LIMITS.reportCountMax) protection.removeReport(place - LIMITS.reportCountMax);
  };
  return { write, answer: { kind: 'report', user: sender } };
}

function settle(result: CommitResult, state: RelationsState, ctx: Ctx): void {
  const { plan } = state;
  const change = state.queue.shift();
  if (plan === undefined || change === undefined) return;
  state.plan = undefined;
  if (result !== 'ok') refuse(change, 'APP_STORE_FULL', ctx, LIMITS.storeFullRetrySeconds);
  else if (plan.other === undefined) answer(change, plan.answer, ctx);
  else reconsider(change, plan, state, ctx);
  startNext(state, ctx);
}

function reconsider({ user, connection, iq }: Change, { answer, other }: Plan, state: RelationsState, ctx: Ctx): void {
  const sender = other === 'everybody' ? undefined : other;
  const answered = { connection, message: { kind: 'answer', iq, answer } } as const;
  const message: InboxMessage = { kind: 'reconsider', user, sender, answered };
  ctx.cast(state.args.inboxOf(user), message);
  if (sender === undefined) return;
  const viewed: PresenceMessage = { kind: 'reconsider', owner: user, viewer: sender };
  ctx.cast(state.args.presenceOf(user), viewed);
}

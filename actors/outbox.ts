/**
 * The outbox of one shard: keeps what its people have written to somebody whose shard is out of reach, and forwards it when that is back.
 *
 *   detour ──▶ queue ──▶ plan ──▶ store.commit … flushed ──▶ sent (the check mark) ──▶ submit to the recipient's shard, in order
 *                         ▲                                                                    │
 *                         └── removed ◀────────────── forwarded: it is flushed there ◀─────────┘
 *
 * The check mark means what it always means, for the commit is one of the sender's own shard, with its log and its copies. Whoever serves that shard next reads the
 * store and goes on. A message that arrives twice is known to the recipient's shard by its id.
 *
 * Its parts, in `outbox/`:
 *
 *   state.ts     what it is made of            forward.ts   to the recipients' shards
 *   begin.ts     from the store to a life      look.ts      which of all may go, in turns
 *   plan.ts      what a commit changes         load.ts      what the inbox of the shard knows of it
 *   settle.ts    flushed or refused            messages.ts  what is said about it
 *
 * See docs/internals/outbox.md. Who sends a message here: `connection/detours.ts`. Who takes it there: `inbox/forwarded.ts`.
 */

import type { Behavior, Context } from '../runtime/index.ts';
import { onceClaimed } from './committer.ts';
import type { Refusal } from './errors.ts';
import { LIMITS } from './limits.ts';
import { begin } from './outbox/begin.ts';
import { LOOK, noteAnswer, sendNext } from './outbox/forward.ts';
import { countsOf } from './outbox/load.ts';
import { goOnLooking, NEXT_ROWS, startLooking } from './outbox/look.ts';
import type { Detour, ForwardAnswer, OutboxMessage } from './outbox/messages.ts';
import { emptyCommit, planArrived, planExpired, planQueue, writesAnything } from './outbox/plan.ts';
import { applyCommit, giveUpRow, TRY_AGAIN, turnAway, undoCommit, writeCommit } from './outbox/settle.ts';
import type { OutboxArgs, OutboxState } from './outbox/state.ts';
import type { CommitResult } from './store/inbox-store.ts';

export const outbox: Behavior<OutboxState, OutboxArgs, OutboxMessage> = {
  name: 'actors/outbox',

  init(args, ctx) {
    const former = countsOf(args.load);
    return onceClaimed(args.committer, () => begin(args, former, ctx));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'detour':
        return enqueue(message, state, ctx);
      case 'forwarded':
      case 'forward-refused':
        return takeAnswer(message, state, ctx);
      case 'committed':
        return settle(message.result, state, ctx);
    }
  },

  handleInfo(info, state, ctx) {
    if (info === LOOK) startLooking(state, ctx);
    else if (info === NEXT_ROWS) goOnLooking(state, ctx);
    else if (info === TRY_AGAIN) {
      state.args.committer.looksAgain();
      ctx.requestTurnEnd();
    }
  },

  handleTurnEnd(state, ctx) {
    startCommit(state, ctx);
  },
};

function enqueue(message: Detour, state: OutboxState, ctx: Context): void {
  const refusal = refuseEarly(message, state, ctx);
  if (refusal !== undefined) return turnAway([{ message, refusal }], state, ctx);
  state.queue.push(message);
  ctx.requestTurnEnd();
}

/** Refusals that need no look at the row. */
function refuseEarly(
  { envelopes }: Detour,
  { args, queue, fullUntilMs }: OutboxState,
  ctx: Context,
): Refusal | undefined {
  if (queue.length >= LIMITS.commitQueueMax) return { code: 'APP_OVERLOADED', retryAfter: 1 };
  if (ctx.clock.monotonicMs() < fullUntilMs)
    return { code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds };
  if (args.committer.isCutOff()) return { code: 'APP_UNAVAILABLE', retryAfter: 1 };
  const isLarge = envelopes.some(({ ciphertext }) => ciphertext.length > LIMITS.ciphertextBytesMax);
  return isLarge ? { code: 'APP_MESSAGE_TOO_LARGE' } : undefined;
}

/** For an account that is not there nothing can be kept; everything else is a matter of the row. */
function takeAnswer(answer: ForwardAnswer, state: OutboxState, ctx: Context): void {
  const row = noteAnswer(answer, state, ctx);
  if (row === undefined) return;
  const isNobody = answer.kind === 'forward-refused' && answer.refusal.code === 'APP_UNKNOWN_USER';
  if (isNobody) giveUpRow(row, answer.refusal, state, ctx);
  else sendNext(row, state, ctx);
}

function startCommit(state: OutboxState, ctx: Context): void {
  if (state.commit !== undefined || ctx.clock.monotonicMs() < state.fullUntilMs) return;
  if (state.queue.length + state.done.size + state.old.size === 0) return;
  if (state.args.committer.holdsBack(ctx, TRY_AGAIN)) return;
  const { store, queuedBytesMax, load } = state.args;
  const room = Math.min(queuedBytesMax, store.queuedBytesMax) - store.queuedBytes() - load.bytes;
  const commit = emptyCommit(Math.floor(ctx.clock.nowMs()));
  planArrived(commit, state);
  planExpired(commit, state);
  const turned = planQueue(commit, room, state);
  // What was known already is flushed already.
  if (!writesAnything(commit)) applyCommit(commit, state, ctx);
  else {
    state.commit = commit;
    state.args.committer.commit(ctx.self, (batch) => writeCommit(commit, batch));
  }
  turnAway(turned, state, ctx);
  if (state.queue.length > 0) ctx.requestTurnEnd();
}

function settle(result: CommitResult, state: OutboxState, ctx: Context): void {
  const { commit } = state;
  if (commit === undefined) return;
  state.commit = undefined;
  if (result === 'ok') applyCommit(commit, state, ctx);
  else turnAway(undoCommit(commit, state, ctx), state, ctx);
  ctx.requestTurnEnd();
}

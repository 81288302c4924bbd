/**
 * The beginning of a life: everything that is stored goes on, from the first of each row.
 *
 * It is read page by page, so that others get their turn in between, and before anybody is told of this life: until then a login is told of what a former one had counted,
 * or waits for the actors of its shard to start.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { pause } from '../pause.ts';
import type { OutboxHead } from '../store/outbox-store.ts';
import { noteGone, noteWaiting, type Counted } from './load.ts';
import { startLooking } from './look.ts';
import { rowOf } from './plan.ts';
import { count, type OutboxArgs, type OutboxState } from './state.ts';

/**
 * The first state of a life: at once where what is stored is one page.
 *
 * @param former - What a former life had counted. It counts until all is read, for logins; what has come since then is in the mailbox and stays counted.
 */
export function begin(args: OutboxArgs, former: readonly Counted[], ctx: Context): OutboxState | Promise<OutboxState> {
  const state: OutboxState = {
    args,
    rows: new Map(),
    queue: [],
    done: new Set(),
    old: new Set(),
    commit: undefined,
    fullUntilMs: 0,
    bytesFor: new Map(),
    isLookArmed: false,
    look: undefined,
  };
  const { load } = args;
  load.count = load.bytes = load.oldestMs = 0;
  load.doubtedMs = args.store.outbox.doubtedMs();
  const last = takePage(undefined, state);
  return last === undefined ? finish(state, former, ctx) : takeRest(last, state, former, ctx);
}

/** @returns Its last entry, if others may follow. */
function takePage(after: OutboxHead | undefined, state: OutboxState): OutboxHead | undefined {
  const page = state.args.store.outbox.heads(after, LIMITS.outboxPageCount);
  for (const head of page) take(head, state);
  return page.length < LIMITS.outboxPageCount ? undefined : page.at(-1);
}

function take(head: OutboxHead, state: OutboxState): void {
  const { user, device, creation } = head.sender;
  const senderKey = `${user}.${device}.${creation}`;
  const row = rowOf({ sender: head.sender, senderKey, to: head.to }, state);
  row.heads.push(head);
  count(head, 1, row, state);
  row.taken = row.flushed = head.id;
  noteWaiting(state.args.load, senderKey, head.to);
}

async function takeRest(
  after: OutboxHead,
  state: OutboxState,
  former: readonly Counted[],
  ctx: Context,
): Promise<OutboxState> {
  for (let last: OutboxHead | undefined = after; last !== undefined;) {
    await pause(ctx.clock, 0);
    // Throws in a life that has ended meanwhile: another one may count what is stored, or the store be closed.
    ctx.requestTurnEnd();
    last = takePage(last, state);
  }
  return finish(state, former, ctx);
}

function finish(state: OutboxState, former: readonly Counted[], ctx: Context): OutboxState {
  for (const { senderKey, to, count } of former) noteGone(state.args.load, senderKey, to, count);
  startLooking(state, ctx);
  return state;
}

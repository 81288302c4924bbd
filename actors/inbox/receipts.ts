/**
 * What senders hear of their conversations: delivered, read, lost; and what they ask.
 *
 * Receipts are cumulative and told to the connection that sent last. One that nobody takes stands in the record of the conversation,
 * and the sender's client asks for it after its next login.
 */

import { type Context, type Pid, samePid } from '../../runtime/index.ts';
import { settledGaps } from '../store/doubt.ts';
import type { Refusal } from '../errors.ts';
import { isOfGroup } from './group-entries.ts';
import { tellOwner } from './groups.ts';
import { stamp, type Commit, type InboxState } from './state.ts';
import { endOverloaded, tell } from './tell.ts';
import type { GapTold, MarkRead, QueryConversation, Receipt, RelayReceipt } from '../messages.ts';
import { type Conversation, findConversation, findDevice, findRecipient, senderKeyOf } from './recipients.ts';
import type { SenderAddress } from '../store/inbox-store.ts';
import { isUnasked } from './strangers.ts';

type Ctx = Context;

/** To the connection that sent last; where that is unknown or gone, to the inbox that knows the sender's connections. */
export function sendReceipt(conversation: Conversation, receipt: Receipt, state: InboxState, ctx: Ctx): void {
  // A delivered receipt covers all smaller ids but those in gaps, so these are told first.
  if (conversation.gaps.length > 0 && !conversation.gapsTold) tellGaps(conversation, receipt, state, ctx);
  tellSender(conversation, receipt, state, ctx);
}

/** Tells the sender of a conversation how far it has been delivered. Who is not there asks after his next login. */
export function tellDelivered(conversation: Conversation, from: string, state: InboxState, ctx: Ctx): void {
  const { delivered: id } = conversation;
  if (id === 0 || isOfGroup(conversation)) return;
  sendReceipt(
    conversation,
    { kind: 'receipt', type: 'delivered', from, id, ts: stamp(state, ctx.clock.nowMs()) },
    state,
    ctx,
  );
}

function tellGaps(conversation: Conversation, { from, ts }: Receipt, state: InboxState, ctx: Ctx): void {
  for (const gap of settledGaps(conversation.gaps))
    tellSender(conversation, { kind: 'gap', to: from, ...gap, ts }, state, ctx);
  conversation.gapsTold = conversation.connection !== undefined;
}

/** Says something about a conversation to its sender: a receipt, or that messages are lost. */
export function tellSender(conversation: Conversation, word: Receipt | GapTold, state: InboxState, ctx: Ctx): void {
  const { connection, sender } = conversation;
  // A group has many senders: each member sees for himself where the row of places has a hole.
  if (isOfGroup(conversation)) return;
  if (connection !== undefined) {
    const result = ctx.cast(connection, word);
    if (result === 'ok') return;
    // One that has no room for it ends, and its client asks after its next login.
    if (result !== 'noproc' && result !== 'noconnection') return endOverloaded(connection, word.kind, result, ctx);
  }
  conversation.connection = undefined;
  const relay = { kind: 'relay-receipt', to: sender.user, device: sender.device, receipt: word } as const;
  ctx.cast(state.args.inboxOf(sender.user), relay);
}

/** Another connection of the sender has not been told of gaps. */
export function noteConnection(conversation: Conversation, connection: Pid): void {
  if (conversation.connection === connection) return;
  if (conversation.connection === undefined || !samePid(conversation.connection, connection))
    conversation.gapsTold = false;
  conversation.connection = connection;
}

export function relayReceipt(message: RelayReceipt, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(message.to);
  const device = recipient && findDevice(recipient, message.device);
  if (device?.online !== undefined) tell(device.online.connection, message.receipt, ctx);
}

/** Tells senders what was read, once the acknowledgements that came before are settled. */
export function relayReads(commit: Commit, state: InboxState, ctx: Ctx): void {
  if (commit.reads.length === 0) return;
  // A read mark covers all smaller ones: of each conversation the largest goes.
  const largest = new Map<string, MarkRead>();
  for (const message of commit.reads) {
    const name = `${message.user}<${message.sender.user}.${message.sender.device}`;
    if (message.id > (largest.get(name)?.id ?? 0)) largest.set(name, message);
  }
  for (const message of largest.values()) markRead(message, state, ctx);
}

/** Only what was delivered can be read, and only a conversation that exists is answered: strangers learn nothing. */
function markRead(message: MarkRead, state: InboxState, ctx: Ctx): void {
  const { store, inboxOf } = state.args;
  const { user, device } = message.sender;
  const recipient = findRecipient(state.recipients, store, message.user);
  const creation = store.latestCreation(message.user, user, device);
  if (recipient === undefined || creation === undefined) return;
  const sender: SenderAddress = { user, device, creation };
  const conversation = findConversation(recipient, store, sender, senderKeyOf(sender));
  const id = Math.min(message.id, conversation.delivered);
  if (id === 0) return;
  if (isOfGroup(conversation)) {
    const marks = [{ user: message.user, order: id }];
    return tellOwner({ kind: 'marks-reached', type: 'read', group: user, marks }, state, ctx);
  }
  if (conversation.standing !== 'open') return;
  const receipt: Receipt = {
    kind: 'receipt',
    type: 'read',
    from: message.user,
    id,
    ts: stamp(state, ctx.clock.nowMs()),
  };
  ctx.cast(inboxOf(user), { kind: 'relay-receipt', to: user, device, receipt });
}

export function queryConversation(message: QueryConversation, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.to);
  if (recipient === undefined) {
    const refusal: Refusal = { code: 'APP_UNKNOWN_USER' };
    return tell(message.connection, { kind: 'answer-refused', iq: message.iq, refusal }, ctx);
  }
  const conversation = findConversation(recipient, state.args.store, message.sender, message.senderKey);
  noteConnection(conversation, message.connection);
  // While a commit is under way the accepted mark may be ahead of the disk, so the mark before it is given.
  const sent = state.commit?.accepted.get(conversation)?.before ?? conversation.accepted;
  // No receipts to strangers: neither when it happens nor when they ask.
  const isShown = !isUnasked(conversation.standing);
  const gaps = settledGaps(state.commit?.touched.get(conversation)?.gaps ?? conversation.gaps);
  const delivered = isShown ? conversation.delivered : 0;
  const marks = { kind: 'receipts', to: message.to, sent, delivered } as const;
  const answer = message.withGaps && isShown && gaps.length > 0 ? { ...marks, gaps } : marks;
  tell(message.connection, { kind: 'answer', iq: message.iq, answer }, ctx);
}

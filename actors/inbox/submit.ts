/**
 * Decides a message that somebody sends: accepted under the next id of its conversation, a resend, or refused.
 *
 * An id counts within a conversation: a smaller one than expected is a resend and harmless, a larger one is refused, so that what is
 * accepted has no gaps; but for a store that was restored, which goes on at any (`../store/doubt.ts`). Which id may come: `order.ts`.
 * Refusals that count (strangers) come last.
 */

import type { Envelope } from '../../protocol/wire/index.ts';
import { isInDoubt } from '../store/doubt.ts';
import type { Refusal } from '../errors.ts';
import { addEntry } from './entries.ts';
import { isForwarded, noteForwarded, refuseForwardOrder, settleBefore, settleMissed } from './forwarded.ts';
import { awaitId, isOpen, refuseOrder } from './order.ts';
import { noteConnection } from './receipts.ts';
import type { Commit, InboxState } from './state.ts';
import { refusalOf, storeFull } from './tell.ts';
import { LIMITS } from '../limits.ts';
import { settleDoubt } from './plan-losses.ts';
import type { Forwarded, Submit } from '../messages.ts';
import {
  type Conversation,
  type Device,
  findConversation,
  findDevice,
  findRecipient,
  type Recipient,
} from './recipients.ts';
import type { InboxEntry } from '../store/inbox-store.ts';
import { countFirstContact, isBlocked, isUnasked, nextRequest } from './strangers.ts';

export function planSubmit(message: Submit, commit: Commit, state: InboxState): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.to);
  if (recipient === undefined) return void commit.told.push(refusalOf(message, { code: 'APP_UNKNOWN_USER' }));
  const conversation = findConversation(recipient, state.args.store, message.sender, message.senderKey);
  if (isForwarded(message)) return planForwarded(message, recipient, conversation, commit, state);
  noteConnection(conversation, message.connection);
  if (conversation.known && message.id <= conversation.accepted) return acceptAgain(conversation, recipient, commit);
  const refusal =
    refuseSubmit(message, recipient, conversation, commit, state) ??
    refuseStranger(message, recipient, conversation, commit, state);
  if (isOpen(conversation)) awaitId(message.id, conversation);
  if (refusal !== undefined) return void commit.told.push(refusalOf(message, refusal));
  if (isInDoubt(conversation)) settleDoubt(message.id, conversation, recipient, commit, state);
  accept(message, message.envelopes, recipient, conversation, commit, state);
}

/** As any message, but that it is not refused for devices that are others by now; see `forwarded.ts`. */
function planForwarded(
  message: Forwarded,
  recipient: Recipient,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): void {
  if (conversation.known && message.id <= conversation.accepted) {
    noteForwarded(message, conversation, commit);
    return acceptAgain(conversation, recipient, commit);
  }
  const refusal =
    refuseForwardOrder(message, conversation) ??
    refuseForRoom(message, recipient, commit, state) ??
    refuseStranger(message, recipient, conversation, commit, state);
  if (refusal !== undefined) return void commit.told.push(refusalOf(message, refusal));
  // Its sender may be on another connection by now, or on none: its inbox knows.
  conversation.connection = undefined;
  settleBefore(message, conversation, recipient, commit, state);
  const devices = devicesFor(message, recipient);
  const envelopes = message.envelopes.filter(({ device }) => devices.some(({ id }) => id === device));
  accept(message, envelopes, recipient, conversation, commit, state);
  settleMissed(message, devices, conversation, recipient, commit, state);
  noteForwarded(message, conversation, commit);
}

/** A resend is answered like the first time, after the flush that may still be under way for it. */
function acceptAgain(conversation: Conversation, recipient: Recipient, commit: Commit): void {
  if (commit.accepted.has(conversation)) return;
  recipient.pin = commit.pin;
  commit.accepted.set(conversation, { before: conversation.accepted, known: conversation.known, recipient });
}

function refuseSubmit(
  message: Submit,
  recipient: Recipient,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): Refusal | undefined {
  const untimely = refuseOrder(message, conversation, isOpen(conversation));
  if (untimely !== undefined) return untimely;
  const devices = devicesFor(message, recipient);
  if (!fitsDevices(message, devices)) {
    if (devices.length === 0) return { code: 'APP_NO_OTHER_DEVICE' };
    return { code: 'APP_DEVICES_CHANGED', devices: devices.map((device) => device.id) };
  }
  return refuseForRoom(message, recipient, commit, state);
}

function refuseForRoom(message: Submit, recipient: Recipient, commit: Commit, state: InboxState): Refusal | undefined {
  if (state.queuedBytes + commit.bytes + submitBytes(message) > commit.bytesMax) return storeFull();
  for (const device of recipient.devices) {
    const push = commit.pushes.get(device);
    // Over the bound in bytes it is pruned; what comes faster than that is refused.
    const isFlooded =
      device.pruning && device.bytes + (push?.bytes ?? 0) > LIMITS.inboxBytesMax + LIMITS.inboxPruneBytes;
    if (isFlooded) return { code: 'APP_INBOX_FULL', retryAfter: 1 };
    if (device.count + (push?.entries.length ?? 0) >= LIMITS.inboxCountMax)
      return { code: 'APP_INBOX_FULL', retryAfter: 60 };
  }
  return undefined;
}

/** Last of the refusals, since it counts: those who begin conversations with everybody, and strangers to those who ask. */
function refuseStranger(
  message: Submit,
  recipient: Recipient,
  { known, standing }: Conversation,
  commit: Commit,
  state: InboxState,
): Refusal | undefined {
  if (known && standing === 'open') return undefined;
  const { user: stranger } = message.sender;
  const { user: owner } = recipient;
  if (!known && owner !== stranger) {
    const refusal = countFirstContact(state.firstContacts, stranger, commit.now.monotonicMs);
    if (refusal !== undefined) return refusal;
  }
  const { protection } = state.args.store;
  if (!isUnasked(standing)) return undefined;
  const name = `${owner}<${stranger}`;
  const request = nextRequest(commit.requests.get(name)?.request ?? protection.request(owner, stranger), commit.ts);
  if ('code' in request) return request;
  commit.requests.set(name, { owner, stranger, request });
  return undefined;
}

/** The devices that a message must be encrypted for: all of the recipient's; of one's own account, all others. */
function devicesFor({ sender, to }: Submit, { devices }: Recipient): readonly Device[] {
  return sender.user === to ? devices.filter(({ id }) => id !== sender.device) : devices;
}

function fitsDevices(message: Submit, devices: readonly Device[]): boolean {
  if (message.envelopes.length !== devices.length || devices.length === 0) return false;
  return devices.every((device) => message.envelopes.some((envelope) => envelope.device === device.id));
}

function submitBytes(message: Submit): number {
  let bytes = 0;
  for (const envelope of message.envelopes) bytes += envelope.ciphertext.length;
  return bytes;
}

/** @param envelopes - Those of its envelopes that are for devices of the recipient. */
function accept(
  message: Submit,
  envelopes: readonly Envelope[],
  recipient: Recipient,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): void {
  acceptAgain(conversation, recipient, commit);
  conversation.accepted = message.id;
  conversation.known = true;
  commit.submits.push(message);
  // To the sender it is as if nobody ever came to fetch it.
  if (isBlocked(conversation.standing)) return;
  for (const envelope of envelopes) {
    const device = findDevice(recipient, envelope.device)!;
    const entry: InboxEntry = {
      seq: ++device.assigned,
      sender: message.sender.user,
      senderDevice: message.sender.device,
      senderCreation: message.sender.creation,
      id: message.id,
      ts: commit.ts,
      type: envelope.type,
      ciphertext: envelope.ciphertext,
    };
    addEntry(entry, recipient, device, conversation, commit, state);
  }
}

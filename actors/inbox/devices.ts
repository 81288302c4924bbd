/**
 * The devices of an account as its inbox sees them: which there are, and what becomes of one that is no more.
 *
 * The account says which devices there are, in the store; a message that they have changed may come after that is visible, or be
 * lost with the actor that was to send it. So whoever looks (a login, a message, the sweep) lets those go that the account no longer
 * names. Letting go ends the connection at once, and no later item of the queue finds the device; the removal of what was kept is an
 * item itself, which takes the device along, for nobody else knows any more what it has in the fresh tier.
 */

import type { Context } from '../../runtime/index.ts';
import { releaseInbox } from './group-entries.ts';
import { dropOnline } from './online.ts';
import { enqueue } from './queue.ts';
import type { Commit, Forget, InboxState } from './state.ts';
import { tell } from './tell.ts';
import type { ForgetDevice } from '../messages.ts';
import {
  findConversation,
  findDevice,
  findRecipient,
  loadDevice,
  senderKeyOf,
  type Device,
  type Recipient,
} from './recipients.ts';
import type { StoreBatch } from '../store/inbox-store.ts';
import { dropRun, runOf, touch } from './waiting-runs.ts';

type Ctx = Context;

/** Takes the devices that the store now names. Those that stay keep their positions and connections, the others are let go. */
export function reloadDevices(recipient: Recipient, state: InboxState, ctx: Ctx): void {
  const { store } = state.args;
  const former = recipient.devices;
  const ids = store.account(recipient.user)?.devices ?? [];
  recipient.devices = ids.map((id) => findDevice(recipient, id) ?? loadDevice(store, recipient.user, id));
  for (const device of former) if (!ids.includes(device.id)) letGo(recipient, device, state, ctx);
}

function letGo(recipient: Recipient, device: Device, state: InboxState, ctx: Ctx): void {
  if (device.online !== undefined) {
    tell(device.online.connection, { kind: 'unregistered' }, ctx);
    dropOnline(device, device.online, state, ctx);
  }
  enqueue({ kind: 'forget-device', user: recipient.user, device: device.id, known: device }, state, ctx);
}

/** An account has lost a device. Where it was let go already, nothing is left to do; what comes twice removes nothing twice. */
export function forgetDevice({ user, device }: ForgetDevice, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(user);
  if (recipient !== undefined && findDevice(recipient, device) !== undefined) reloadDevices(recipient, state, ctx);
  enqueue({ kind: 'forget-device', user, device, known: undefined }, state, ctx);
}

/** Whether the account has a device of this id. */
export function isRegistered(user: string, device: number, { args }: InboxState): boolean {
  return args.store.account(user)?.devices.includes(device) === true;
}

/** Plans the removal of all that is kept for a device, unless the account has one of this id again. */
export function planForget(item: Forget, commit: Commit, state: InboxState): void {
  const { user, device: id, known } = item;
  const isPlanned = commit.forgotten.some((other) => other.user === user && other.device === id);
  if (isRegistered(user, id, state) || (isPlanned && known === undefined)) return;
  commit.forgotten.push(item);
  const recipient = findRecipient(state.recipients, state.args.store, user);
  if (recipient === undefined) return;
  recipient.pin = commit.pin;
  for (const { arrival } of known?.fresh ?? []) commit.forgottenArrivals.push(arrival);
  forgetRuns(recipient, id, commit, state);
}

/** Nothing waits for the device any more, whichever conversation it was of. */
function forgetRuns(recipient: Recipient, device: number, commit: Commit, state: InboxState): void {
  const { store } = state.args;
  for (const { sender } of store.waitingConversations(recipient.user)) {
    findConversation(recipient, store, sender, senderKeyOf(sender));
  }
  for (const conversation of recipient.conversations?.values() ?? []) {
    if (runOf(conversation, device) === undefined) continue;
    touch(commit.touched, conversation, recipient);
    dropRun(conversation, device);
  }
}

/** Removes the inboxes of the forgotten, each once. */
export function writeForgotten(commit: Commit, state: InboxState, batch: StoreBatch): void {
  const done = new Set<string>();
  for (const { user, device } of commit.forgotten) {
    const name = `${user}.${device}`;
    if (done.has(name)) continue;
    done.add(name);
    releaseInbox(commit, user, device, state.args.store);
    commit.bytes -= batch.forgetInbox(user, device);
  }
}

/**
 * How entries go out to a device: those that were committed for it at once, and those that wait, page by page, as far as its window has room.
 *
 * A push never runs ahead of the flush (`device.head`), never reads what is being moved or removed, and is numbered for each attachment.
 * Which entries come ahead of their turn `staged-drain.ts` says.
 */

import type { Context } from '../../runtime/index.ts';
import { givePlace, isWaiting } from './catch-up.ts';
import { isOfGroup, withBodies } from './group-entries.ts';
import { conversationOf } from './entries.ts';
import { enqueue } from './queue.ts';
import type { InboxState } from './state.ts';
import { tell } from './tell.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage } from '../messages.ts';
import {
  aheadOf,
  type Conversation,
  type Device,
  hasRoom,
  notePushed,
  notePushedAhead,
  type Online,
  type Pushed,
  pushedBytes,
  type Recipient,
} from './recipients.ts';
import { planAhead, readPage } from './staged-drain.ts';
import type { InboxEntry } from '../store/inbox-store.ts';

type Ctx = Context;

/** Pushes from the store what comes after the cursor, as far as the window has room. */
export function pump(recipient: Recipient, device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  if (device.moving || isWaiting(state.catchUp, online) || isBeingAcknowledged(device, online, state)) return;
  if (online.ahead !== undefined && !pumpAhead(recipient, device, online, state, ctx)) return;
  while (online.cursor < device.head && hasRoom(online)) {
    const page = nextFresh(device, online, state) ?? nextWaiting(recipient, device, online, state);
    if (page.entries.length === 0) continue;
    notePage(page, recipient, online, state);
    deliver(online, page.entries, ctx);
    acknowledgeNotice(recipient, device, online, state, ctx);
  }
  if (online.cursor < device.head || online.drained) return;
  handOver(online, ctx);
  online.drained = true;
  givePlace(state.catchUp, online);
  if (state.catchUp.waiting.size > 0) ctx.requestTurnEnd();
  tell(online.connection, { kind: 'drained', push: ++online.pushes }, ctx);
}

/** What a former connection acknowledged is being removed: it is not to be read once more. */
function isBeingAcknowledged(device: Device, online: Online, state: InboxState): boolean {
  const acknowledged = state.commit?.acknowledged.get(device);
  return acknowledged !== undefined && acknowledged.online !== online;
}

/** Pushes what comes ahead of its turn. Returns whether all of it is pushed. */
function pumpAhead(recipient: Recipient, device: Device, online: Online, state: InboxState, ctx: Ctx): boolean {
  const { store } = state.args;
  if (online.ahead === 'due') online.ahead = planAhead(recipient, device, store);
  const ahead = aheadOf(online);
  if (ahead === undefined) return true;
  while (ahead.pages.length > 0 && hasRoom(online)) {
    const page = readPage(ahead.pages.shift()!, recipient, device, online, store);
    const entries = withBodies(page, state.bodies, store);
    for (const entry of entries) notePushedAhead(online, ahead, entry, conversationOf(entry, recipient, state));
    if (entries.length > 0) deliver(online, entries, ctx, online.cursor);
  }
  return ahead.pages.length === 0;
}

/** Neighbours in an inbox often have one sender, which then is looked up once. */
function notePage({ entries, arrival }: Page, recipient: Recipient, online: Online, state: InboxState): void {
  let last: InboxEntry | undefined;
  let conversation: Conversation | undefined;
  for (const entry of entries) {
    if (conversation === undefined || last === undefined || !isSameSender(entry, last)) {
      conversation = conversationOf(entry, recipient, state);
    }
    notePushed(online, entry, conversation, arrival);
    last = entry;
  }
}

function isSameSender(left: InboxEntry, right: InboxEntry): boolean {
  if (left.senderDevice !== right.senderDevice || left.senderCreation !== right.senderCreation) return false;
  return left.sender === right.sender;
}

interface Page {
  readonly entries: readonly InboxEntry[];
  /** Of the one fresh entry; 0 for waiting ones. */
  readonly arrival: number;
}

/** The entry after the cursor, if it is a fresh one. Moves the cursor over one that is gone. */
function nextFresh(device: Device, online: Online, state: InboxState): Page | undefined {
  const fresh = device.fresh.find(({ seq }) => seq > online.cursor);
  if (fresh === undefined || fresh.seq !== online.cursor + 1) return undefined;
  const entry = state.args.store.fresh(fresh.arrival);
  if (entry !== undefined) {
    return { entries: withBodies([entry], state.bodies, state.args.store), arrival: fresh.arrival };
  }
  online.cursor = fresh.seq;
  return { entries: [], arrival: 0 };
}

/** A page of waiting entries after the cursor, up to the next fresh one. Moves the cursor over a place that is empty. */
function nextWaiting(recipient: Recipient, device: Device, online: Online, state: InboxState): Page {
  const fresh = device.fresh.find(({ seq }) => seq > online.cursor);
  const through = fresh === undefined ? device.head : fresh.seq - 1;
  const count = online.windowMax - online.window.length;
  const bytes = LIMITS.windowBytesMax - online.windowBytes;
  const { store } = state.args;
  const read = store.entries(recipient.user, device.id, online.cursor, through, count, bytes);
  const entries = fitting(withBodies(withoutThoseAhead(read, online), state.bodies, store), bytes);
  if (entries.length === 0) online.cursor = read.at(-1)?.seq ?? through;
  return { entries, arrival: 0 };
}

/** As many as fit with the bodies that they stand for, and one at least. */
function fitting(entries: readonly InboxEntry[], bytesMax: number): readonly InboxEntry[] {
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    bytes += pushedBytes(entries[index]!);
    if (bytes > bytesMax && index > 0) return entries.slice(0, index);
  }
  return entries;
}

function withoutThoseAhead(entries: readonly InboxEntry[], online: Online): readonly InboxEntry[] {
  const ahead = aheadOf(online);
  return ahead === undefined ? entries : entries.filter(({ seq }) => !ahead.pushed.has(seq));
}

/** What was held for the connection goes to it now; see `pacing.ts`. */
export function handOver(online: Online, ctx: Ctx): void {
  const { held } = online;
  if (held === undefined) return;
  online.held = undefined;
  deliver(online, held, ctx);
}

/** Behind what is held for the connection, in parts that a packet between threads holds: a window may be larger than that. */
export function deliver(online: Online, entries: readonly InboxEntry[], ctx: Ctx, after?: number): void {
  handOver(online, ctx);
  let start = 0;
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    const size = pushedBytes(entries[index]!);
    if (bytes + size > LIMITS.pushBytesMax && index > start) {
      tell(online.connection, delivery(online, entries.slice(start, index), after), ctx);
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  tell(online.connection, delivery(online, start === 0 ? entries : entries.slice(start), after), ctx);
}

function delivery(online: Online, entries: readonly InboxEntry[], after: number | undefined): ConnectionMessage {
  const push = ++online.pushes;
  return after === undefined ? { kind: 'deliver', push, entries } : { kind: 'deliver', push, entries, after };
}

/** To a client that knows no notices, or no groups, they are as good as stored: one at the front of its window would stay there. */
export function acknowledgeNotice(
  recipient: Recipient,
  device: Device,
  online: Online,
  state: InboxState,
  ctx: Ctx,
): void {
  const first = online.window[0];
  if (first === undefined || understands(online, first)) return;
  const { connection } = online;
  enqueue({ kind: 'acknowledge', connection, user: recipient.user, device: device.id, seq: first.seq }, state, ctx);
}

function understands({ staged, groups }: Online, { id, conversation }: Pushed): boolean {
  return id === 0 ? staged : groups || !isOfGroup(conversation);
}

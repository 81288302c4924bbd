/**
 * The messages that wait for one actor, in order of arrival, bounded.
 *
 *   entry    kind and time of arrival of the first message, 0 if there is none here     ┐ in the process itself
 *   payload  that message                                                               ┘
 *   backlog  what came after it and before it was empty: entry, payload, entry …          borrowed while it is needed
 *
 * Most mailboxes hold nothing or one message, so a message to an empty one lies in the process and costs no object; as
 * long as there is a backlog everything goes through that. Exit signals do
 * not wait here: a process keeps them apart, acts on them first and never refuses one. What a signal turns into for the
 * author (a `Down`, a trapped `Exit`) does wait here, behind the messages that arrived before it, because an author
 * relies on seeing an actor's last message before the news of its end; such entries are never refused and never dropped,
 * and are bounded by the links, monitors and timers that the actor made itself.
 *
 * It knows no scheduler and no sender: what a refusal means is decided in `overflow.ts`.
 */

import { Backlog } from './backlog.ts';
import { isKept, type Kind } from './envelope.ts';
import { LIMITS } from './limits.ts';

/** The fields of a process that are its mailbox. */
export interface Mailbox {
  /** Kind in the lower `ENTRY_KIND_BITS` bits, above them the tick of arrival; 0 for none. It is the oldest. */
  entry: number;
  payload: unknown;
  /** The later ones; null if there are none. */
  backlog: Backlog | null;
  /** Entries that `offer` may fill. */
  readonly mailboxMax: number;
}

/** Bits of an entry that hold its kind. */
export const ENTRY_KIND_BITS: 4 = 4;
const KIND_MASK = (1 << ENTRY_KIND_BITS) - 1;

// Emptied backlogs of this thread, for the next mailbox that needs one, and the room in them.
const spares: Backlog[] = [];
let spareValues = 0;

export function kindOf(entry: number): Kind {
  return (entry & KIND_MASK) as Kind;
}

export function hasMessages(mailbox: Mailbox): boolean {
  return mailbox.entry !== 0 || mailbox.backlog !== null;
}

/** Messages waiting. */
export function mailboxCount({ entry, backlog }: Mailbox): number {
  return (entry === 0 ? 0 : 1) + (backlog === null ? 0 : backlog.count);
}

/** The entry of the oldest message; 0 if none waits. */
export function oldestEntry({ entry, backlog }: Mailbox): number {
  return entry !== 0 || backlog === null ? entry : backlog.entryAt(0);
}

/** Appends a message. `false`: the mailbox is at its bound and has not taken it. */
export function offer(mailbox: Mailbox, entry: number, payload: unknown): boolean {
  if (mailbox.backlog === null) {
    if (mailbox.entry !== 0 && mailbox.mailboxMax <= 1) return false;
  } else if (mailboxCount(mailbox) >= mailbox.mailboxMax) {
    return false;
  }
  push(mailbox, entry, payload);
  return true;
}

/** Appends an entry that may not be refused. */
export function push(mailbox: Mailbox, entry: number, payload: unknown): void {
  if (mailbox.backlog !== null) {
    mailbox.backlog.push(entry, payload);
  } else if (mailbox.entry === 0) {
    mailbox.entry = entry;
    mailbox.payload = payload;
  } else {
    mailbox.backlog = borrow();
    mailbox.backlog.push(entry, payload);
  }
}

/** Takes the oldest payload; ask `oldestEntry` before, which must not be 0. */
export function shift(mailbox: Mailbox): unknown {
  if (mailbox.entry !== 0) {
    const { payload } = mailbox;
    mailbox.entry = 0;
    mailbox.payload = undefined;
    return payload;
  }
  const backlog = mailbox.backlog!;
  const payload = backlog.shift();
  if (backlog.count === 0) giveBack(mailbox, backlog);
  return payload;
}

/**
 * Takes out the oldest message that may be lost, to make room, and returns its entry and payload; `undefined` if the
 * mailbox holds only what may not. Time in proportion to how many of those lie before it.
 */
export function dropOldest(mailbox: Mailbox): { entry: number; payload: unknown } | undefined {
  const { entry, backlog } = mailbox;
  if (entry !== 0 && !isKept(kindOf(entry))) return { entry, payload: shift(mailbox) };
  if (backlog === null) return undefined;
  for (let index = 0; index < backlog.count; index += 1) {
    const found = backlog.entryAt(index);
    if (!isKept(kindOf(found))) return { entry: found, payload: takeOut(mailbox, backlog, index) };
  }
  return undefined;
}

/** Forgets everything. A backlog is not kept for others: what it holds would stay alive. */
export function clear(mailbox: Mailbox): void {
  mailbox.entry = 0;
  mailbox.payload = undefined;
  mailbox.backlog = null;
}

/** Moves what lies before `index` one place back over the message there. */
function takeOut(mailbox: Mailbox, backlog: Backlog, index: number): unknown {
  const payload = backlog.payloadAt(index);
  for (let at = index; at > 0; at -= 1) backlog.replace(at, backlog.entryAt(at - 1), backlog.payloadAt(at - 1));
  backlog.shift();
  if (backlog.count === 0) giveBack(mailbox, backlog);
  return payload;
}

function borrow(): Backlog {
  const spare = spares.pop();
  if (spare === undefined) return new Backlog();
  spareValues -= spare.capacity;
  return spare;
}

function giveBack(mailbox: Mailbox, backlog: Backlog): void {
  mailbox.backlog = null;
  if (spareValues + backlog.capacity > LIMITS.backlogSpareValuesMax) return;
  spareValues += backlog.capacity;
  spares.push(backlog);
}

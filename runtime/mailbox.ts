/**
 * The messages that wait for one actor, in order of arrival, bounded.
 *
 *   entry    kind and time of arrival of the oldest message, 0 if none waits     ┐ in the process itself
 *   payload  that message                                                        ┘
 *   backlog  the ones behind it: entry, payload, entry, payload …                  borrowed while it is needed
 *
 * Most mailboxes hold nothing or one message, so the oldest one lies in the process and costs no object. Exit signals do
 * not wait here: a process keeps them apart, acts on them first and never refuses one. What a signal turns into for the
 * author (a `Down`, a trapped `Exit`) does wait here, behind the messages that arrived before it, because an author
 * relies on seeing an actor's last message before the news of its end; such entries are never refused and never dropped,
 * and are bounded by the links, monitors and timers that the actor made itself.
 *
 * It knows no scheduler and no sender: what a refusal means is decided in `overflow.ts`.
 */

import { isKept, type Kind } from './envelope.ts';
import { LIMITS } from './limits.ts';
import { Ring } from './ring.ts';

/** The fields of a process that are its mailbox. */
export interface Mailbox {
  /** Kind in the lower `ENTRY_KIND_BITS` bits, above them the tick of arrival; 0 if no message waits. */
  entry: number;
  payload: unknown;
  backlog: Ring<unknown> | null;
  /** Entries that `offer` may fill. */
  readonly mailboxMax: number;
}

/** Bits of an entry that hold its kind. */
export const ENTRY_KIND_BITS: 4 = 4;
const KIND_MASK = (1 << ENTRY_KIND_BITS) - 1;

// Emptied backlogs of this thread, for the next mailbox that needs one, and the room in them.
const spares: Ring<unknown>[] = [];
let spareValues = 0;

export function kindOf(entry: number): Kind {
  return (entry & KIND_MASK) as Kind;
}

/** Messages waiting. */
export function mailboxCount({ entry, backlog }: Mailbox): number {
  if (entry === 0) return 0;
  return backlog === null ? 1 : 1 + backlog.count / 2;
}

/** Appends a message. `false`: the mailbox is at its bound and has not taken it. */
export function offer(mailbox: Mailbox, entry: number, payload: unknown): boolean {
  if (mailbox.entry !== 0 && isFull(mailbox)) return false;
  push(mailbox, entry, payload);
  return true;
}

/** Appends an entry that may not be refused. */
export function push(mailbox: Mailbox, entry: number, payload: unknown): void {
  if (mailbox.entry === 0) {
    mailbox.entry = entry;
    mailbox.payload = payload;
    return;
  }
  const backlog = (mailbox.backlog ??= borrow());
  backlog.push(entry);
  backlog.push(payload);
}

/** Takes the oldest payload; read `entry` before, which must not be 0. */
export function shift(mailbox: Mailbox): unknown {
  const { payload, backlog } = mailbox;
  if (backlog === null) {
    mailbox.entry = 0;
    mailbox.payload = undefined;
    return payload;
  }
  mailbox.entry = backlog.shift() as number;
  mailbox.payload = backlog.shift();
  if (backlog.count === 0) giveBack(mailbox, backlog);
  return payload;
}

/**
 * Takes out the oldest message that may be lost, to make room, and returns its entry and payload; `undefined` if the
 * mailbox holds only what may not. Time in proportion to how many of those lie before it.
 */
export function dropOldest(mailbox: Mailbox): { entry: number; payload: unknown } | undefined {
  if (mailbox.entry === 0) return undefined;
  if (!isKept(kindOf(mailbox.entry))) return { entry: mailbox.entry, payload: shift(mailbox) };
  const { backlog } = mailbox;
  if (backlog === null) return undefined;
  for (let index = 0; index < backlog.count; index += 2) {
    const entry = backlog.at(index) as number;
    if (!isKept(kindOf(entry))) return { entry, payload: takeOut(mailbox, backlog, index) };
  }
  return undefined;
}

/** Forgets everything. A backlog is not kept for others: what it holds would stay alive. */
export function clear(mailbox: Mailbox): void {
  mailbox.entry = 0;
  mailbox.payload = undefined;
  mailbox.backlog = null;
}

function isFull(mailbox: Mailbox): boolean {
  const { backlog, mailboxMax } = mailbox;
  return backlog === null ? mailboxMax <= 1 : 1 + backlog.count / 2 >= mailboxMax;
}

/** Moves what lies before `index`, and the oldest message, one place back over the entry there. */
function takeOut(mailbox: Mailbox, backlog: Ring<unknown>, index: number): unknown {
  const payload = backlog.at(index + 1);
  for (let at = index; at > 0; at -= 2) {
    backlog.replace(at, backlog.at(at - 2));
    backlog.replace(at + 1, backlog.at(at - 1));
  }
  backlog.replace(0, mailbox.entry);
  backlog.replace(1, mailbox.payload);
  shift(mailbox);
  return payload;
}

function borrow(): Ring<unknown> {
  const spare = spares.pop();
  if (spare === undefined) return new Ring<unknown>(LIMITS.backlogFirstValues);
  spareValues -= spare.capacity;
  return spare;
}

function giveBack(mailbox: Mailbox, backlog: Ring<unknown>): void {
  mailbox.backlog = null;
  if (spareValues + backlog.capacity > LIMITS.backlogSpareValuesMax) return;
  spareValues += backlog.capacity;
  spares.push(backlog);
}

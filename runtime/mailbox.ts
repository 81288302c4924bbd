/**
 * The messages that wait for one actor, in order of arrival, bounded.
 *
 * Signals do not wait here: a process keeps them apart, acts on them first and never refuses one. What a signal turns
 * into for the author (a `Down`, a trapped `Exit`) does wait here, behind the messages that arrived before it, because
 * an author relies on seeing an actor's last message before the news of its end; such entries are never refused either,
 * and are bounded by the links and monitors that the actor made itself.
 *
 * Most mailboxes hold nothing or one message, so the oldest entry lies in the mailbox itself and a ring is borrowed
 * only for the ones behind it: an idle actor's mailbox is 64 bytes.
 */

import { KIND, type Kind } from './envelope.ts';
import { LIMITS } from './limits.ts';
import { Ring } from './ring.ts';

// Emptied rings of this thread, for the next mailbox that needs one.
const spareRings: Ring<unknown>[] = [];

export class Mailbox {
  /** Kind of the oldest entry; `KIND.none` if the mailbox is empty. */
  kind: Kind = KIND.none;
  #payload: unknown = undefined;
  // Kind and payload of each later entry, alternating.
  #rest: Ring<unknown> | null = null;
  readonly #max: number;
  #count: number = 0;

  /** @param countMax - Entries that `offer` may fill. */
  constructor(countMax: number) {
    this.#max = countMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Appends a message. `false`: the mailbox is at its bound and has not taken it. */
  offer(kind: Kind, payload: unknown): boolean {
    if (this.#count >= this.#max) return false;
    this.push(kind, payload);
    return true;
  }

  /** Appends an entry that may not be refused. */
  push(kind: Kind, payload: unknown): void {
    this.#count += 1;
    if (this.kind === KIND.none) {
      this.kind = kind;
      this.#payload = payload;
      return;
    }
    const rest = (this.#rest ??= spareRings.pop() ?? new Ring<unknown>(LIMITS.ringChunkValues));
    rest.push(kind);
    rest.push(payload);
  }

  /** Takes the oldest payload; read `kind` before. Only when `count` is not 0. */
  shift(): unknown {
    const payload = this.#payload;
    this.#count -= 1;
    const rest = this.#rest;
    if (rest === null) {
      this.kind = KIND.none;
      this.#payload = undefined;
      return payload;
    }
    this.kind = rest.shift() as Kind;
    this.#payload = rest.shift();
    if (rest.count === 0) this.#giveBack(rest);
    return payload;
  }

  clear(): void {
    this.kind = KIND.none;
    this.#payload = undefined;
    this.#rest = null;
    this.#count = 0;
  }

  #giveBack(rest: Ring<unknown>): void {
    this.#rest = null;
    if (spareRings.length < LIMITS.spareRingCountMax) spareRings.push(rest);
  }
}

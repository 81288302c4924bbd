/**
 * What the person here does in chats, said as often as it has to be: at most every few seconds, and until the keys stop.
 *
 * Knows neither people nor groups: a chat is a key, and what is said of it goes out by a function. Used by `presence.ts` for
 * chats of two and by `group-typing.ts` for groups.
 */

import type { TypingState } from '../protocol/wire/index.ts';
import type { Clock } from './environment.ts';
import { LIMITS } from './limits.ts';

interface OwnState {
  readonly state: TypingState;
  readonly sentAtMs: number;
  readonly timer: unknown;
}

/** The typing of one account, by chat. */
export class OwnTyping {
  readonly #clock: Clock;
  readonly #say: (chat: string, state: TypingState) => void;
  readonly #chats = new Map<string, OwnState>();

  /** @param say - Tells the server; called with `paused` only after another state. */
  constructor(clock: Clock, say: (chat: string, state: TypingState) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** Call it at every key: it ends by itself when the calls do. */
  set(chat: string, state: TypingState): void {
    const own = this.#chats.get(chat);
    if (state === 'paused') return this.#stop(chat, own);
    const clock = this.#clock;
    clock.clearTimer(own?.timer);
    const timer = clock.setTimer(LIMITS.typingIdleMs, () => this.set(chat, 'paused'));
    const isNews = own?.state !== state || clock.monotonicMs() - own.sentAtMs >= LIMITS.typingRepeatMs;
    const sentAtMs = isNews ? clock.monotonicMs() : own.sentAtMs;
    this.#chats.set(chat, { state, sentAtMs, timer });
    if (isNews) this.#say(chat, state);
  }

  /** The connection is gone, and with it what was said. */
  forget(): void {
    for (const { timer } of this.#chats.values()) this.#clock.clearTimer(timer);
    this.#chats.clear();
  }

  #stop(chat: string, own: OwnState | undefined): void {
    if (own === undefined) return;
    this.#clock.clearTimer(own.timer);
    this.#chats.delete(chat);
    this.#say(chat, 'paused');
  }
}

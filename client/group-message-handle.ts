/**
 * A message to a group as its sender holds it, and how far it has come with each member.
 *
 * It has no state of its own beyond its place in the group: members say how far they have come by places, so that one number
 * for a member covers every message. Read next: `group-conversation.ts`.
 */

import type { ClientError } from './errors.ts';
import { memberStates, stateOfAll } from './group-progress.ts';
import type { GroupProgress } from './group-progress.ts';
import { idOfOrdinal } from './history.ts';
import type { JournalledMessage } from './message-handle.ts';
import { textOf } from './message-handle.ts';
import type { MemberState, MessageState, SentMessage } from './messages.ts';

/** A message as its sender holds it. */
export class GroupMessageHandle implements SentMessage {
  readonly id: string;
  readonly number: number;
  readonly to: string;
  readonly text: string;
  readonly sentAt: number;
  readonly sent: Promise<void>;
  readonly #progress: GroupProgress;
  #order = 0;
  #isRefused = false;
  #delivered: Promise<void> | undefined;
  #read: Promise<void> | undefined;
  #resolve!: () => void;
  #reject!: (error: ClientError) => void;

  constructor(progress: GroupProgress, to: string, entry: JournalledMessage) {
    this.#progress = progress;
    this.id = idOfOrdinal(entry.ordinal);
    this.number = entry.id;
    this.to = to;
    this.text = textOf(entry.content);
    this.sentAt = entry.sentAt;
    this.sent = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not look at `sent` is told by the `refused` event; an unheard rejection must not end the process.
    this.sent.catch(() => undefined);
  }

  get members(): readonly MemberState[] {
    return memberStates(this.#order, this.#progress.marks);
  }

  get state(): MessageState {
    return this.#isRefused ? 'refused' : stateOfAll(this.#order, this.members);
  }

  get delivered(): Promise<void> {
    return (this.#delivered ??= this.#reaching(['delivered', 'read']));
  }

  get read(): Promise<void> {
    return (this.#read ??= this.#reaching(['read']));
  }

  /** @param order - The place that the server gave it. */
  succeed(order: number): void {
    this.#order = order;
    this.#resolve();
    this.#progress.notify();
  }

  fail(error: ClientError): void {
    this.#isRefused = error.code !== 'CLI_CLOSED';
    this.#reject(error);
  }

  #reaching(states: readonly MessageState[]): Promise<void> {
    return new Promise((resolve) => {
      this.#progress.watch(() => {
        if (this.#isRefused) return true;
        const isReached = states.includes(this.state);
        if (isReached) resolve();
        return isReached;
      });
    });
  }
}

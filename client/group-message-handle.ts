/**
 * A message to a group as its sender holds it, and how far it has come with each member.
 *
 * It has no state of its own beyond its place in the group: members say how far they have come by places, so that one number
 * for a member covers every message. Read next: `group-conversation.ts`.
 */

import { memberStates, stateOfAll } from './group-progress.ts';
import type { GroupProgress } from './group-progress.ts';
import { SentHandle } from './message-handle.ts';
import type { JournalledMessage } from './message-handle.ts';
import type { MemberState, MessageState } from './messages.ts';

/** A message to a group as its sender holds it. */
export class GroupMessageHandle extends SentHandle {
  readonly #progress: GroupProgress;
  #order = 0;

  constructor(progress: GroupProgress, to: string, entry: JournalledMessage) {
    super(to, entry);
    this.#progress = progress;
  }

  get members(): readonly MemberState[] {
    return memberStates(this.#order, this.#progress.marks);
  }

  get state(): MessageState {
    return this.isRefused ? 'refused' : stateOfAll(this.#order, this.members);
  }

  /** @param order - The place that the server gave it. */
  succeed(order: number): void {
    this.#order = order;
    this.resolve();
    this.#progress.notify();
  }

  protected watch(watcher: () => boolean): void {
    this.#progress.watch(watcher);
  }
}

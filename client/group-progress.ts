/**
 * How far the members of a group have come, and with them each message: members say it by places in the group, so that one number for a
 * member covers every message. Read next: `group-message-handle.ts`.
 */

import type { MemberMark } from './group-layout.ts';
import type { MemberState, MessageState } from './messages.ts';

/** How far the members of one group have come, and who wants to know. */
export class GroupProgress {
  #marks: readonly MemberMark[];
  #watchers: (() => boolean)[] = [];

  constructor(marks: readonly MemberMark[]) {
    this.#marks = marks;
  }

  get marks(): readonly MemberMark[] {
    return this.#marks;
  }

  /** Takes the marks as they are now. */
  move(marks: readonly MemberMark[]): void {
    this.#marks = marks;
    this.notify();
  }

  notify(): void {
    this.#watchers = this.#watchers.filter((watcher) => !watcher());
  }

  /** Calls `watcher` now and at each change, until it returns true. */
  watch(watcher: () => boolean): void {
    if (!watcher()) this.#watchers.push(watcher);
  }
}

/**
 * How far a message has come with each member.
 *
 * @param order - Its place; 0 while the server has not acknowledged it. Who came later is not among them.
 */
export function memberStates(order: number, marks: readonly MemberMark[]): MemberState[] {
  if (order === 0) return [];
  return marks
    .filter(({ since }) => since < order)
    .map(({ user, delivered, read }) => ({
      user,
      state: read >= order ? 'read' : delivered >= order ? 'delivered' : 'sent',
    }));
}

/** How far a message has come with all of them: as far as with the last one. In an empty group it stays sent. */
export function stateOfAll(order: number, states: readonly MemberState[]): MessageState {
  if (order === 0) return 'queued';
  if (states.length === 0 || states.some(({ state }) => state === 'sent')) return 'sent';
  return states.every(({ state }) => state === 'read') ? 'read' : 'delivered';
}

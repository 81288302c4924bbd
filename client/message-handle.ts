/**
 * A sent message as its sender holds it: a name, a text, and promises of how far it has come.
 *
 * It has no state of its own beyond "refused": everything else follows from the watermarks of its conversation, so a
 * receipt for a thousand messages touches none of them. Read next: `conversation.ts`, which makes and settles it;
 * `group-message-handle.ts` for one to a group.
 */

import type { OutgoingContent } from './content.ts';
import type { ClientError } from './errors.ts';
import { idOfOrdinal, stateUnder } from './history.ts';
import type { MarksRecord } from './layout.ts';
import type { MemberState, MessageState, SentMessage } from './messages.ts';

/** What a handle needs of its conversation. */
export interface MarkSource {
  readonly user: string;
  readonly marks: MarksRecord;
  /** Whether the server has given up a message that it had acknowledged. */
  isLost(id: number): boolean;
  /** Calls `watcher` now and at each change of the marks, until it returns true. */
  watch(watcher: () => boolean): void;
}

/** A message as it was journalled. */
export interface JournalledMessage {
  readonly id: number;
  readonly ordinal: number;
  readonly sentAt: number;
  readonly content: OutgoingContent;
}

/** What handles have in common. One keeps nothing alive: waiting for delivery begins when somebody asks. */
export abstract class SentHandle implements SentMessage {
  readonly id: string;
  readonly number: number;
  readonly to: string;
  readonly text: string;
  readonly sentAt: number;
  readonly sent: Promise<void>;
  protected isRefused = false;
  #delivered: Promise<void> | undefined;
  #read: Promise<void> | undefined;
  #resolve!: () => void;
  #reject!: (error: ClientError) => void;

  constructor(to: string, entry: JournalledMessage) {
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

  abstract get members(): readonly MemberState[];

  abstract get state(): MessageState;

  /** Calls `watcher` now and whenever `state` may be another, until it returns true. */
  protected abstract watch(watcher: () => boolean): void;

  get delivered(): Promise<void> {
    return (this.#delivered ??= this.#reaching(['delivered', 'read']));
  }

  get read(): Promise<void> {
    return (this.#read ??= this.#reaching(['read']));
  }

  fail(error: ClientError): void {
    this.isRefused = error.code !== 'CLI_CLOSED';
    this.#reject(error);
  }

  protected resolve(): void {
    this.#resolve();
  }

  /** Pending for ever once refused: the number may then belong to another message. */
  #reaching(states: readonly MessageState[]): Promise<void> {
    return new Promise((resolve) => {
      this.watch(() => {
        const { state } = this;
        const isReached = states.includes(state);
        if (isReached) resolve();
        return isReached || state === 'refused';
      });
    });
  }
}

/** A message to a person as its sender holds it. */
export class MessageHandle extends SentHandle {
  readonly #conversation: MarkSource;

  constructor(conversation: MarkSource, entry: JournalledMessage) {
    super(conversation.user, entry);
    this.#conversation = conversation;
  }

  get members(): readonly MemberState[] {
    return [];
  }

  get state(): MessageState {
    if (this.isRefused || this.#conversation.isLost(this.number)) return 'refused';
    return stateUnder(this.number, this.#conversation.marks);
  }

  succeed(): void {
    this.resolve();
  }

  protected watch(watcher: () => boolean): void {
    this.#conversation.watch(watcher);
  }
}

/** The text of a content, or the caption; empty where there is none. */
export function textOf({ body }: OutgoingContent): string {
  if (body.kind === 'attachment') return body.caption;
  return 'text' in body ? body.text : '';
}

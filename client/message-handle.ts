/**
 * A sent message as its sender holds it: a name, a text, and promises of how far it has come.
 *
 * It has no state of its own beyond "refused": everything else follows from the watermarks of its conversation, so a
 * receipt for a thousand messages touches none of them. Read next: `conversation.ts`, which makes and settles it.
 */

import type { OutgoingContent } from './content.ts';
import type { ClientError } from './errors.ts';
import { idOfOrdinal, stateUnder } from './history.ts';
import type { MarksRecord } from './layout.ts';
import type { MemberState, MessageState, SentMessage } from './messages.ts';

/** Sees the watermarks; true when it has seen enough. */
export type MarkWatcher = (marks: MarksRecord) => boolean;

/** What a handle needs of its conversation. */
export interface MarkSource {
  readonly user: string;
  readonly marks: MarksRecord;
  /** Whether the server has given up a message that it had acknowledged. */
  isLost(id: number): boolean;
  /** Calls `watcher` now and at each change of the marks, until it returns true. */
  watch(watcher: MarkWatcher): void;
}

/** A message as it was journalled. */
export interface JournalledMessage {
  readonly id: number;
  readonly ordinal: number;
  readonly sentAt: number;
  readonly content: OutgoingContent;
}

/** A message as its sender holds it. It keeps nothing alive: waiting for delivery begins when somebody asks. */
export class MessageHandle implements SentMessage {
  readonly id: string;
  readonly number: number;
  readonly to: string;
  readonly text: string;
  readonly sentAt: number;
  readonly sent: Promise<void>;
  readonly #conversation: MarkSource;
  #isRefused = false;
  #delivered: Promise<void> | undefined;
  #read: Promise<void> | undefined;
  #resolve!: () => void;
  #reject!: (error: ClientError) => void;

  constructor(conversation: MarkSource, entry: JournalledMessage) {
    this.#conversation = conversation;
    this.id = idOfOrdinal(entry.ordinal);
    this.number = entry.id;
    this.to = conversation.user;
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
    return [];
  }

  get state(): MessageState {
    if (this.#isRefused || this.#conversation.isLost(this.number)) return 'refused';
    return stateUnder(this.number, this.#conversation.marks);
  }

  get delivered(): Promise<void> {
    return (this.#delivered ??= this.#reaching((marks) => marks.deliveredId >= this.number));
  }

  get read(): Promise<void> {
    return (this.#read ??= this.#reaching((marks) => marks.readId >= this.number));
  }

  succeed(): void {
    this.#resolve();
  }

  fail(error: ClientError): void {
    this.#isRefused = error.code !== 'CLI_CLOSED';
    this.#reject(error);
  }

  /** Pending for ever once refused: the number may then belong to another message. */
  #reaching(isReached: (marks: MarksRecord) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#conversation.watch((marks) => {
        if (this.#isRefused || this.#conversation.isLost(this.number)) return true;
        if (isReached(marks)) resolve();
        return isReached(marks);
      });
    });
  }
}

/** The text of a content, or the caption; empty where there is none. */
export function textOf({ body }: OutgoingContent): string {
  if (body.kind === 'attachment') return body.caption;
  return 'text' in body ? body.text : '';
}

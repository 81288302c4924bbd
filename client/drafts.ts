/**
 * Messages that are not journalled yet: they wait while others are being written, and then go to the disk together.
 *
 * A group of them costs one flush, however many there are; so what is enqueued in a burst is journalled in a few. Read next:
 * `conversation.ts`, `group-conversation.ts`, which journal them.
 */

import type { OutgoingContent } from './content.ts';
import type { ClientError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { SentMessage } from './messages.ts';

/** What is to be sent. Without a timer of its own it gets the conversation's. */
export type DraftContent = Omit<OutgoingContent, 'timerSeconds'> & { readonly timerSeconds?: number };

/** One that waits, and who waits for it. */
export interface Draft {
  readonly content: DraftContent;
  readonly resolve: (message: SentMessage) => void;
  readonly reject: (error: unknown) => void;
}

/** The drafts of one conversation, in the order of their calls. */
export class Drafts {
  readonly #journal: (drafts: readonly Draft[]) => Promise<void>;
  #waiting: Draft[] = [];
  #isRunning = false;
  /** On their way to the disk. */
  #takenCount = 0;

  /** @param journal - Makes a group durable and resolves each; calls `adopted` when they count as messages. Rejects all of them with what it rejects with. */
  constructor(journal: (drafts: readonly Draft[]) => Promise<void>) {
    this.#journal = journal;
  }

  get count(): number {
    return this.#waiting.length + this.#takenCount;
  }

  /** Resolves when the message is durable here. */
  add(content: DraftContent): Promise<SentMessage> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ content, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Those being journalled are in the outbox now, which counts them. */
  adopted(): void {
    this.#takenCount = 0;
  }

  /** Rejects what waits. */
  fail(error: ClientError): void {
    for (const draft of this.#waiting.splice(0)) draft.reject(error);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, LIMITS.draftGroupCountMax);
      this.#takenCount = group.length;
      try {
        await this.#journal(group);
      } catch (error) {
        for (const draft of group) draft.reject(error);
      }
      this.#takenCount = 0;
    }
    this.#isRunning = false;
  }
}

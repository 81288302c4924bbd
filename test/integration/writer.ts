/** Load for tests that end something under it: people who keep writing to each other, and what each of them saw. */

import { randomInt } from 'node:crypto';
import type { Test } from 'tap';
import type { Transcript } from './delivery-check.ts';
import { pause, until, type Person, PATIENCE_MS } from './people.ts';

/** Messages of one writer that are not acknowledged yet. More would measure how long a node takes to start. */
const UNDER_WAY_MAX = 100;

/** Who is written to, and what they got. */
export type Recipient = Pick<Person, 'phone' | 'received'>;

/** Somebody who keeps writing to somebody, with a few messages under way at a time. */
export class Writer {
  readonly sent: string[] = [];
  readonly acknowledged: Set<string> = new Set();
  readonly from: Person;
  readonly to: Recipient;
  #writing = true;
  readonly #done: Promise<void>;

  constructor(from: Person, to: Recipient) {
    this.from = from;
    this.to = to;
    this.#done = this.#write();
  }

  async #write(): Promise<void> {
    const acknowledgements: Promise<void>[] = [];
    while (this.#writing) {
      while (this.sent.length - this.acknowledged.size >= UNDER_WAY_MAX) await pause(5);
      const text = `${this.from.phone}>${this.to.phone} ${this.sent.length + 1}`;
      this.sent.push(text);
      const message = await this.from.client.enqueue(this.to.phone, text);
      acknowledgements.push(message.sent.then(() => void this.acknowledged.add(text)));
      await pause(randomInt(8));
    }
    await Promise.all(acknowledgements);
  }

  /** Stops writing and resolves when everything written is acknowledged. */
  finish(): Promise<void> {
    this.#writing = false;
    return this.#done;
  }

  /** What is known of this conversation, for a run that goes wrong. */
  describe(): string {
    const { sent, acknowledged, received } = this.transcript();
    const counts = `${sent.length} sent, ${acknowledged.size} acknowledged, ${received.length} received`;
    return `${this.from.phone} to ${this.to.phone}: ${counts}, the last of them "${received.at(-1)}"`;
  }

  transcript(): Transcript {
    const prefix = `${this.from.phone}>`;
    const received = this.to.received.map((message) => message.text).filter((text) => text.startsWith(prefix));
    return { sent: this.sent, acknowledged: this.acknowledged, received };
  }
}

/** Waits until everything written has arrived, as long as something does. */
export async function untilComplete(t: Test, writers: readonly Writer[]): Promise<void> {
  const missing = (): number =>
    writers.reduce((sum, writer) => sum + writer.sent.length - writer.transcript().received.length, 0);
  for (let left = missing(); left > 0;) {
    const before = left;
    await until('another message to arrive', PATIENCE_MS, () => (left = missing()) < before).catch((error: unknown) => {
      for (const writer of writers) t.comment(writer.describe());
      throw error;
    });
  }
}

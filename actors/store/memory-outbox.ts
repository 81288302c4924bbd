/** The outbox in memory, for unit tests and simulation: the part of `memory.ts` that `outbox-store.ts` lays down. */

import type { SenderAddress } from './inbox-store.ts';
import { decodeOutboxEntry, decodeOutboxHead, encodeOutboxEntry, outboxKey } from './outbox-layout.ts';
import { outboxBytes } from './outbox-store.ts';
import type { OutboxBatch, OutboxEntry, OutboxHead, OutboxPlace, OutboxStore } from './outbox-store.ts';

export class MemoryOutbox implements OutboxStore {
  /** By key in hexadecimal digits, which sort as the bytes do. */
  readonly #values = new Map<string, { readonly key: Buffer; readonly value: Buffer }>();
  #doubtedMs = 0;

  /** Collects the writes of one commit into `writes`, which run when it takes effect. */
  collect(writes: (() => void)[]): OutboxBatch {
    return {
      put: (entry) => {
        const key = outboxKey(entry.sender, entry.to, entry.id);
        const value = encodeOutboxEntry(entry);
        writes.push(() => this.#values.set(key.toString('hex'), { key, value }));
      },
      remove: (sender, to, id) => {
        const key = outboxKey(sender, to, id).toString('hex');
        writes.push(() => this.#values.delete(key));
      },
    };
  }

  /** As a store is that came back without its newest entries: they are gone. */
  lose(nowMs: number): void {
    this.#values.clear();
    this.#doubtedMs = nowMs;
  }

  heads(after: OutboxPlace | undefined, countMax: number): OutboxHead[] {
    const start = after && outboxKey(after.sender, after.to, after.id);
    const behind = this.#sorted().filter(({ key }) => start === undefined || Buffer.compare(key, start) > 0);
    return behind.slice(0, countMax).map(({ key, value }) => decodeOutboxHead(key, value));
  }

  entries(
    sender: SenderAddress,
    to: string,
    after: number,
    through: number,
    countMax: number,
    bytesMax: number,
  ): OutboxEntry[] {
    const page: OutboxEntry[] = [];
    let bytes = 0;
    for (const entry of this.#all()) {
      const { user, device, creation } = entry.sender;
      if (user !== sender.user || device !== sender.device || creation !== sender.creation) continue;
      if (entry.to !== to || entry.id <= after || entry.id > through) continue;
      bytes += outboxBytes(entry.envelopes);
      if (page.length === countMax || (bytes > bytesMax && page.length > 0)) break;
      page.push(entry);
    }
    return page;
  }

  doubtedMs(): number {
    return this.#doubtedMs;
  }

  #all(): OutboxEntry[] {
    return this.#sorted().map(({ key, value }) => decodeOutboxEntry(key, value));
  }

  #sorted(): { readonly key: Buffer; readonly value: Buffer }[] {
    const sorted = [...this.#values].sort(([left], [right]) => (left < right ? -1 : 1));
    return sorted.map(([, entry]) => entry);
  }
}

/**
 * The store of one shard in memory, for unit tests and simulation: same contract, same layout of values, no disk.
 *
 * `failNextCommits` makes commits end as `'full'`, so that tests reach the paths that a full disk takes; `holdCommits` keeps them
 * under way, so that tests reach what happens meanwhile.
 */

import type { PrivacySettings } from '../../protocol/wire/index.ts';
import { ENTRY_OVERHEAD_BYTES, isMessageOf } from './inbox-store.ts';
import { MemoryGroups } from './memory-groups.ts';
import type {
  AccountRecord,
  CommitResult,
  ConversationRecord,
  DeviceRecord,
  FreshEntry,
  InboxEntry,
  InboxHead,
  InboxStore,
  KemPreKey,
  PreKey,
  SenderAddress,
  StoreBatch,
  StoreStock,
  WaitingConversation,
} from './inbox-store.ts';
import { MemoryOutbox } from './memory-outbox.ts';
import { ProtectionMemory } from './protection-memory.ts';

type Write = () => void;

export class MemoryStore implements InboxStore {
  readonly protection: ProtectionMemory = new ProtectionMemory();
  readonly queuedBytesMax: number = Infinity;
  readonly groups: MemoryGroups = new MemoryGroups();
  readonly outbox: MemoryOutbox = new MemoryOutbox();
  readonly #entries = new Map<string, InboxEntry[]>();
  readonly #fresh = new Map<number, FreshEntry>();
  readonly #marks = new Map<string, { readonly acknowledged: number; readonly last: number }>();
  readonly #conversations = new Map<string, ConversationRecord>();
  readonly #accounts = new Map<string, AccountRecord>();
  readonly #phones = new Map<string, string>();
  readonly #devices = new Map<string, DeviceRecord>();
  readonly #preKeys = new Map<string, PreKey[]>();
  readonly #kemPreKeys = new Map<string, KemPreKey[]>();
  readonly #seen = new Map<string, number>();
  readonly #privacy = new Map<string, PrivacySettings>();
  #queuedBytes = 0;
  #failures = 0;
  #held: { readonly promise: Promise<void>; readonly release: () => void } | undefined = undefined;
  #commits = 0;

  /** The next `count` commits are refused as full. */
  failNextCommits(count: number): void {
    this.#failures = count;
  }

  /** From now on commits stay under way until `releaseCommits`; then they take effect in the order of their beginning. */
  holdCommits(): void {
    let release = (): void => undefined;
    const promise = new Promise<void>((resolve) => (release = resolve));
    this.#held ??= { promise, release };
  }

  releaseCommits(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  /** Commits that took effect. */
  get commitCount(): number {
    return this.#commits;
  }

  async commit(write: (batch: StoreBatch) => void): Promise<CommitResult> {
    const writes: Write[] = [];
    write(this.#collect(writes));
    const refused = this.#failures > 0;
    if (refused) this.#failures--;
    await (this.#held?.promise ?? Promise.resolve());
    if (refused) return 'full';
    for (const apply of writes) apply();
    this.#commits++;
    return 'ok';
  }

  #collect(writes: Write[]): StoreBatch {
    return {
      groups: this.groups.collect(writes),
      outbox: this.outbox.collect(writes),
      putEntry: (user, device, entry) => {
        const copy = { ...entry, ciphertext: entry.ciphertext.slice() };
        writes.push(() => insert(this.#list(this.#entries, address(user, device)), copy, (each) => each.seq));
      },
      putFresh: (arrival, user, device, entry) => {
        const copy = { ...entry, ciphertext: entry.ciphertext.slice() };
        writes.push(() => this.#fresh.set(arrival, { arrival, user, device, entry: copy }));
      },
      removeFresh: (arrival) => writes.push(() => this.#fresh.delete(arrival)),
      removeEntry: (user, device, seq) => {
        writes.push(() => discard(this.#list(this.#entries, address(user, device)), (each) => each.seq === seq));
      },
      putAcknowledged: (user, device, acknowledged, last) => {
        writes.push(() => this.#marks.set(address(user, device), { acknowledged, last }));
      },
      putConversation: (recipient, sender, record) => {
        const copy = structuredClone(record);
        writes.push(() => this.#conversations.set(conversationName(recipient, sender), copy));
      },
      putAccount: (account) => {
        writes.push(() => {
          this.#accounts.set(account.user, account);
          this.#phones.set(account.phone, account.user);
        });
      },
      putDevice: (user, device, record) => writes.push(() => this.#devices.set(address(user, device), record)),
      removeDevice: (user, device) => {
        writes.push(() => {
          this.#devices.delete(address(user, device));
          this.#preKeys.delete(address(user, device));
          this.#kemPreKeys.delete(address(user, device));
          this.protection.removePush(user, device);
        });
      },
      forgetInbox: (user, device) => {
        writes.push(() => {
          this.#entries.delete(address(user, device));
          this.#marks.delete(address(user, device));
        });
        return this.#bytesOf(user, device);
      },
      putPreKey: (user, device, preKey) => {
        writes.push(() => insert(this.#list(this.#preKeys, address(user, device)), preKey, (each) => each.id));
      },
      removePreKey: (user, device, id) => {
        writes.push(() => discard(this.#list(this.#preKeys, address(user, device)), (each) => each.id === id));
      },
      putKemPreKey: (user, device, preKey) => {
        writes.push(() => insert(this.#list(this.#kemPreKeys, address(user, device)), preKey, (each) => each.id));
      },
      removeKemPreKey: (user, device, id) => {
        writes.push(() => discard(this.#list(this.#kemPreKeys, address(user, device)), (each) => each.id === id));
      },
      putSeenMinute: (user, minute) => writes.push(() => this.#seen.set(user, minute)),
      putPrivacy: (user, settings) => writes.push(() => this.#privacy.set(user, settings)),
      putQueuedBytes: (bytes) => writes.push(() => (this.#queuedBytes = bytes)),
      protection: this.protection.batch((write) => writes.push(write)),
    };
  }

  #bytesOf(user: string, device: number): number {
    const entries = this.#entries.get(address(user, device)) ?? [];
    return entries.reduce((sum, entry) => sum + entry.ciphertext.length + ENTRY_OVERHEAD_BYTES, 0);
  }

  #list<T>(lists: Map<string, T[]>, key: string): T[] {
    let list = lists.get(key);
    if (list === undefined) lists.set(key, (list = []));
    return list;
  }

  /** Entries in the fresh tier. */
  get freshCount(): number {
    return this.#fresh.size;
  }

  fresh(arrival: number): InboxEntry | undefined {
    return this.#fresh.get(arrival)?.entry;
  }

  freshEntries(countMax: number): FreshEntry[] {
    return [...this.#fresh.values()].sort((left, right) => left.arrival - right.arrival).slice(0, countMax);
  }

  entries(
    user: string,
    device: number,
    after: number,
    through: number,
    countMax: number,
    bytesMax: number,
  ): InboxEntry[] {
    const page: InboxEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries.get(address(user, device)) ?? []) {
      if (entry.seq <= after || entry.seq > through) continue;
      bytes += entry.ciphertext.length;
      if (page.length === countMax || (bytes > bytesMax && page.length > 0)) break;
      page.push(entry);
    }
    return page;
  }

  entriesOf(
    user: string,
    device: number,
    sender: SenderAddress,
    after: number,
    through: number,
    {
      looksMax,
      countMax,
      bytesMax,
    }: { readonly looksMax: number; readonly countMax: number; readonly bytesMax: number },
  ): InboxEntry[] {
    const found: InboxEntry[] = [];
    let bytes = 0;
    for (const entry of this.entries(user, device, after, through, looksMax, Infinity)) {
      if (!isMessageOf(sender, entry)) continue;
      bytes += entry.ciphertext.length;
      if (found.length === countMax || (bytes > bytesMax && found.length > 0)) break;
      found.push(entry);
    }
    return found;
  }

  waitingConversations(recipient: string): WaitingConversation[] {
    const waiting: WaitingConversation[] = [];
    for (const [name, record] of this.#conversations) {
      const [owner, sender] = name.split('<') as [string, string];
      if (owner !== recipient || record.waiting === undefined || record.waiting.length === 0) continue;
      const [user, device, creation] = sender.split('.') as [string, string, string];
      waiting.push({ sender: { user, device: Number(device), creation: Number(creation) }, record });
    }
    return waiting;
  }

  inboxHeads(after: { readonly user: string; readonly device: number } | undefined, countMax: number): InboxHead[] {
    const heads: InboxHead[] = [];
    for (const [name, entries] of this.#entries) {
      const [user, device] = name.split('.') as [string, string];
      if (entries.length > 0) heads.push({ user, device: Number(device), ts: entries[0]!.ts });
    }
    return heads
      .sort(byInbox)
      .filter((head) => after === undefined || byInbox(head, after) > 0)
      .slice(0, countMax);
  }

  acknowledged(user: string, device: number): number {
    return this.#marks.get(address(user, device))?.acknowledged ?? 0;
  }

  lastSeq(user: string, device: number): number {
    const last = this.#marks.get(address(user, device))?.last ?? 0;
    return Math.max(last, this.#entries.get(address(user, device))?.at(-1)?.seq ?? 0);
  }

  conversation(recipient: string, sender: SenderAddress): ConversationRecord | undefined {
    return this.#conversations.get(conversationName(recipient, sender));
  }

  latestCreation(recipient: string, sender: string, device: number): number | undefined {
    const prefix = `${recipient}<${sender}.${device}.`;
    let latest: number | undefined;
    for (const name of this.#conversations.keys()) {
      if (name.startsWith(prefix)) latest = Math.max(latest ?? 0, Number(name.slice(prefix.length)));
    }
    return latest;
  }

  hasWritten(sender: string, recipient: string): boolean {
    const prefix = `${recipient}<${sender}.`;
    // Device 0 is a group of that id.
    return [...this.#conversations.keys()].some((name) => name.startsWith(prefix) && !name.startsWith(`${prefix}0.`));
  }

  account(user: string): AccountRecord | undefined {
    return this.#accounts.get(user);
  }

  userOfPhone(phone: string): string | undefined {
    return this.#phones.get(phone);
  }

  device(user: string, device: number): DeviceRecord | undefined {
    return this.#devices.get(address(user, device));
  }

  kemPreKeys(user: string, device: number, countMax: number): KemPreKey[] {
    return (this.#kemPreKeys.get(address(user, device)) ?? []).slice(0, countMax);
  }

  countKemPreKeys(user: string, device: number, countMax: number): number {
    return this.kemPreKeys(user, device, countMax).length;
  }

  preKeys(user: string, device: number, countMax: number): PreKey[] {
    return (this.#preKeys.get(address(user, device)) ?? []).slice(0, countMax);
  }

  stock(): StoreStock {
    const sum = (lists: ReadonlyMap<string, readonly unknown[]>): number =>
      [...lists.values()].reduce((total, { length }) => total + length, 0);
    return { devices: this.#devices.size, preKeys: sum(this.#preKeys), kemPreKeys: sum(this.#kemPreKeys) };
  }

  countEntries(user: string, device: number, countMax: number): number {
    return Math.min(this.#entries.get(address(user, device))?.length ?? 0, countMax);
  }

  seenMinute(user: string): number | undefined {
    return this.#seen.get(user);
  }

  privacy(user: string): PrivacySettings | undefined {
    return this.#privacy.get(user);
  }

  queuedBytes(): number {
    return this.#queuedBytes;
  }

  async close(): Promise<void> {}
}

function address(user: string, device: number): string {
  return `${user}.${device}`;
}

type Inbox = Pick<InboxHead, 'user' | 'device'>;

function byInbox(left: Inbox, right: Inbox): number {
  return left.user === right.user ? left.device - right.device : left.user < right.user ? -1 : 1;
}

function conversationName(recipient: string, sender: SenderAddress): string {
  return `${recipient}<${sender.user}.${sender.device}.${sender.creation}`;
}

function insert<T>(list: T[], item: T, order: (item: T) => number): void {
  const at = list.findIndex((each) => order(each) >= order(item));
  if (at === -1) list.push(item);
  else list.splice(at, order(list[at]!) === order(item) ? 1 : 0, item);
}

function discard<T>(list: T[], matches: (item: T) => boolean): void {
  const at = list.findIndex(matches);
  if (at !== -1) list.splice(at, 1);
}

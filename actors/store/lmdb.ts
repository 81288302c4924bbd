/**
 * The store of one shard in an LMDB environment. The only importer of lmdb.
 *
 * Group commit: everything that one `commit` collects is one transaction on lmdb's write thread. `overlappingSync` is
 * off: the promise of a commit then resolves after LMDB's own flush, and there is no moment in which an acknowledged
 * commit is visible but not on disk. Overlap would gain nothing, because an inbox keeps one commit in flight anyway.
 * `eventTurnBatching` is off as well: batches are explicit here, each costs one instruction list and one promise (see docs/internals/group-commit.md), and lmdb's own batches reject a promise that nobody holds.
 *
 * A failed commit is either a full disk, which is told apart by asking the file system for its free space, or a disk
 * that cannot be trusted. The latter is reported through `onFatal` and the process must end: LMDB's pages in memory
 * may be ahead of the disk. `disk-reserve.ts` keeps it from coming to that.
 */

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Database, RootDatabase } from 'lmdb';
import type { PrivacySettings } from '../../protocol/wire/index.ts';
import { decode, encode } from '../../runtime/codec.ts';
import { beyondAll, doubted } from './doubt.ts';
import { LIMITS } from '../limits.ts';
import { DiskReserve } from './disk-reserve.ts';
import { GroupTables } from './group-tables.ts';
import { inboxEntries, inboxKeys, keyOf, placed, userOf } from './inbox-codec.ts';
import { ENTRY_OVERHEAD_BYTES, isMessageOf } from './inbox-store.ts';
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
import * as layout from './layout.ts';
import { OutboxTables } from './outbox-tables.ts';
import { protectionBatch, ProtectionReader, protectionTables, type ProtectionTables } from './protection-layout.ts';
import type { ProtectionStore } from './protection-store.ts';
import { RawTables, TABLE_NAMES, tableNumber } from './raw-tables.ts';
import type { WriteSet } from './write-set.ts';

// The CommonJS build: lmdb's ES module build loads its native addon a second time in a worker thread.
const { open } = createRequire(import.meta.url)('lmdb') as typeof import('lmdb');

/** The writer starts on a batch when it is whole: on a part of one it would wait for each next instruction. */
const BATCH_START_COUNT = 1_000_000;
const START_KEY = Buffer.from('start');
const NOTHING = Buffer.alloc(0);
const QUEUED_BYTES_KEY = Buffer.from('queued-bytes');
const DOUBTED_KEY = Buffer.from('doubted');
const INBOX = tableNumber('inbox');
const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const;

type Table = Database<Buffer, Buffer>;

export interface LmdbOptions {
  /** Directory of this shard; made if missing. */
  readonly directory: string;
  /** Called when a commit failed for another reason than space, or could not be collected. The process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** Where the commits of a shard go that has copies elsewhere: into its log first, and then to the disk. */
export interface CommitLog {
  /** Runs `collect` at once with the write set that goes out next; resolves when that is in the log and flushed here. */
  commit(collect: (writes: WriteSet) => void): Promise<CommitResult>;
}

/** What a store that was copied back has of each. */
export interface RenewalCounts {
  readonly devices: number;
  readonly conversations: number;
  readonly groups: number;
  readonly preKeys: number;
}

/** A store that other nodes may have copies of. */
export interface ReplicaStore extends InboxStore {
  readonly raw: RawTables;
  /** For a store that was copied back at `nowMs` of wall time: see `../backup.ts`. Nobody else may use it meanwhile. */
  renew(nowMs: number): RenewalCounts;
  /** The same as writes of a commit, for a store whose copies shall have it too; before its actors start. */
  renewInto(writes: WriteSet, nowMs: number): void;
  /** From now on commits go through `log`; without one, straight to the disk. */
  logCommits(log: CommitLog | undefined): void;
}

/** Opens the shard. Throws what lmdb throws; the caller turns it into APP_STORE_UNREADABLE. */
export function openLmdbStore(options: LmdbOptions): ReplicaStore {
  mkdirSync(options.directory, { recursive: true });
  return new LmdbStore(options);
}

class LmdbStore implements ReplicaStore {
  readonly #options: LmdbOptions;
  readonly #root: RootDatabase;
  readonly #inbox: Database<InboxEntry, Buffer>;
  readonly #fresh: Table;
  readonly #acknowledged: Table;
  readonly #conversation: Table;
  readonly #account: Table;
  readonly #phone: Table;
  readonly #device: Table;
  readonly #prekey: Table;
  readonly #kem: Table;
  readonly #seen: Table;
  readonly #privacy: Table;
  readonly #meta: Table;
  readonly groups: GroupTables<Table>;
  readonly outbox: OutboxTables<Table>;
  readonly #protection: ProtectionTables<Table>;
  readonly protection: ProtectionStore;
  readonly #batch: StoreBatch;
  readonly #reserve: DiskReserve;
  readonly raw: RawTables;
  readonly #numbers = new Map<object, number>();
  #log: CommitLog | undefined = undefined;
  /** While a commit is collected for the log. */
  #writes: WriteSet | undefined = undefined;

  constructor(options: LmdbOptions) {
    this.#options = options;
    // `batchStartThreshold` is missing from lmdb's types.
    const tuning = { overlappingSync: false, eventTurnBatching: false, batchStartThreshold: BATCH_START_COUNT };
    this.#root = open({ path: options.directory, maxDbs: 64, noSubdir: false, ...tuning, ...BINARY });
    const table = (name: string): Table => {
      const opened = this.#root.openDB<Buffer, Buffer>({ name, ...BINARY });
      this.#numbers.set(opened, tableNumber(name));
      return opened;
    };
    // `keyEncoder` and `encoder` are missing from lmdb's types of a database's options.
    const inbox = { name: 'inbox', encoder: inboxEntries, keyEncoder: inboxKeys };
    this.#inbox = this.#root.openDB<InboxEntry, Buffer>(inbox);
    this.#fresh = table('fresh');
    this.#acknowledged = table('acknowledged');
    this.#conversation = table('conversation');
    this.#account = table('account');
    this.#phone = table('phone');
    this.#device = table('device');
    this.#prekey = table('prekey');
    this.#kem = table('kem');
    this.#seen = table('seen');
    this.#privacy = table('privacy');
    this.#meta = table('meta');
    const writes = {
      put: (...write: [Table, Buffer, Buffer]) => this.#put(...write),
      remove: (...removal: [Table, Buffer]) => this.#remove(...removal),
    };
    const doubtedMs = (): number => this.#metaNumber(DOUBTED_KEY);
    this.groups = new GroupTables(table('group'), table('body'), writes, doubtedMs);
    this.outbox = new OutboxTables(table('outbox'), writes, doubtedMs);
    this.#protection = protectionTables(table);
    this.protection = new ProtectionReader(this.#protection);
    this.#batch = this.#makeBatch();
    this.#reserve = new DiskReserve(options.directory);
    const byName = new Map(Array.from(this.#numbers, ([opened, number]) => [number, opened as Table]));
    const raw = TABLE_NAMES.map((name, number) => byName.get(number) ?? table(name));
    const writer = {
      put: writes.put,
      remove: writes.remove,
      commit: (write: () => void) => this.#commitHere(write),
      isShort: () => this.#reserve.isShort,
    };
    this.raw = new RawTables(raw, writer, this.#root.openDB<Buffer, Buffer>({ name: 'tail', ...BINARY }));
  }

  get queuedBytesMax(): number {
    return this.#reserve.bytesMax(this.queuedBytes());
  }

  logCommits(log: CommitLog | undefined): void {
    this.#log = log;
  }

  commit(write: (batch: StoreBatch) => void): Promise<CommitResult> {
    if (this.#log === undefined) return this.#commitHere(() => write(this.#batch));
    return this.#log.commit((writes) => this.#collect(writes, write));
  }

  #collect(writes: WriteSet, write: (batch: StoreBatch) => void): void {
    const { length } = writes;
    this.#writes = writes;
    try {
      write(this.#batch);
    } catch (error) {
      writes.truncate(length);
      // As without a log. The actor that waits for this commit would wait for good, and its shard with it.
      this.#options.onFatal(error);
      throw error;
    } finally {
      this.#writes = undefined;
    }
  }

  async #commitHere(write: () => void): Promise<CommitResult> {
    try {
      const committed = this.#root.batch(write);
      // lmdb would start its writer in the next round of the event loop, after the sockets; a further operation starts it now.
      this.#put(this.#meta, START_KEY, NOTHING);
      await committed;
      return 'ok';
    } catch (error) {
      // lmdb attaches the cause as a promise that nobody else waits for.
      const cause: unknown = await Promise.resolve((error as { commitError?: unknown }).commitError).catch((e) => e);
      if (this.#reserve.isShort) return 'full';
      this.#options.onFatal(cause ?? error);
      throw error;
    }
  }

  #makeBatch(): StoreBatch {
    return {
      groups: this.groups.batch,
      outbox: this.outbox.batch,
      putEntry: (user, device, entry) => {
        const key = layout.entryKey(user, device, entry.seq);
        if (this.#writes === undefined) this.#inbox.put(key, entry)?.catch?.(disregard);
        else this.#writes.put(INBOX, key, layout.encodeEntry(entry));
      },
      putFresh: (arrival, user, device, entry) => {
        this.#put(this.#fresh, layout.encodeUint48(arrival), layout.encodeFresh(user, device, entry));
      },
      removeFresh: (arrival) => this.#remove(this.#fresh, layout.encodeUint48(arrival)),
      removeEntry: (user, device, seq) => this.#removeEntry(user, device, seq),
      putAcknowledged: (user, device, seq, last) => {
        this.#put(this.#acknowledged, layout.deviceKey(user, device), layout.encodeMarks(seq, last));
      },
      putConversation: (recipient, sender, record) => {
        this.#put(this.#conversation, layout.conversationKey(recipient, sender), layout.encodeConversation(record));
      },
      putAccount: (account) => {
        this.#put(this.#account, layout.userKey(account.user), record(account));
        this.#put(this.#phone, Buffer.from(account.phone, 'ascii'), layout.userKey(account.user));
      },
      putDevice: (user, device, value) => this.#put(this.#device, layout.deviceKey(user, device), record(value)),
      removeDevice: (user, device) => {
        this.#remove(this.#device, layout.deviceKey(user, device));
        this.#remove(this.#protection.push, layout.deviceKey(user, device));
        for (const table of [this.#prekey, this.#kem]) {
          for (const key of keysOfDevice(table, user, device)) this.#remove(table, key);
        }
      },
      forgetInbox: (user, device) => {
        this.#remove(this.#acknowledged, layout.deviceKey(user, device));
        return this.#removeEntries(user, device);
      },
      putPreKey: (user, device, preKey) => {
        this.#put(this.#prekey, layout.preKeyKey(user, device, preKey.id), Buffer.from(preKey.key));
      },
      removePreKey: (user, device, id) => this.#remove(this.#prekey, layout.preKeyKey(user, device, id)),
      putKemPreKey: (user, device, preKey) => {
        this.#put(this.#kem, layout.preKeyKey(user, device, preKey.id), layout.encodeKemPreKey(preKey));
      },
      removeKemPreKey: (user, device, id) => this.#remove(this.#kem, layout.preKeyKey(user, device, id)),
      putSeenMinute: (user, minute) => this.#put(this.#seen, layout.userKey(user), layout.encodeMinute(minute)),
      putPrivacy: (user, settings) => this.#put(this.#privacy, layout.userKey(user), record(settings)),
      putQueuedBytes: (bytes) => this.#put(this.#meta, QUEUED_BYTES_KEY, layout.encodeUint48(bytes)),
      protection: protectionBatch<Table>(
        this.#protection,
        (table, key, value) => this.#put(table, key, value),
        (table, key) => this.#remove(table, key),
      ),
    };
  }

  // Inside a batch the promise of the batch speaks for every operation; the ones of the operations would only be
  // rejected a second time.
  #put(table: Table, key: Buffer, value: Buffer): void {
    if (this.#writes !== undefined) return this.#writes.put(this.#numbers.get(table)!, key, value);
    table.put(key, value)?.catch?.(disregard);
  }

  #remove(table: Table, key: Buffer): void {
    if (this.#writes !== undefined) return this.#writes.remove(this.#numbers.get(table)!, key);
    table.remove(key)?.catch?.(disregard);
  }

  #removeEntry(user: string, device: number, seq: number): void {
    const key = layout.entryKey(user, device, seq);
    if (this.#writes === undefined) this.#inbox.remove(key)?.catch?.(disregard);
    else this.#writes.remove(INBOX, key);
  }

  #removeEntries(user: string, device: number): number {
    const start = layout.entryKey(user, device, 0);
    const end = layout.entryKey(user, device, 2 ** 48 - 1);
    let bytes = 0;
    for (const { key, value } of this.#inbox.getRange({ start, end, snapshot: false })) {
      bytes += value.ciphertext.length + ENTRY_OVERHEAD_BYTES;
      this.#removeEntry(user, device, keyOf(key).seq);
    }
    return bytes;
  }

  fresh(arrival: number): InboxEntry | undefined {
    const value = this.#fresh.get(layout.encodeUint48(arrival));
    if (value === undefined) return undefined;
    const { key, entry } = layout.splitFresh(value);
    return layout.decodeEntry(layout.seqOfEntryKey(key), entry);
  }

  freshEntries(countMax: number): FreshEntry[] {
    const range = this.#fresh.getRange({ limit: countMax, snapshot: false });
    return Array.from(range, ({ key, value }) => {
      const { key: inboxKey, entry } = layout.splitFresh(value);
      const { user, device } = layout.inboxOfEntryKey(inboxKey);
      const seq = layout.seqOfEntryKey(inboxKey);
      return { arrival: layout.decodeUint48(key), user, device, entry: layout.decodeEntry(seq, entry) };
    });
  }

  entries(
    user: string,
    device: number,
    after: number,
    through: number,
    countMax: number,
    bytesMax: number,
  ): InboxEntry[] {
    const entries: InboxEntry[] = [];
    const start = layout.entryKey(user, device, after + 1);
    const end = layout.entryKey(user, device, through + 1);
    let bytes = 0;
    for (const { key, value } of this.#inbox.getRange({ start, end, limit: countMax, snapshot: false })) {
      const entry = placed(value, keyOf(key));
      bytes += entry.ciphertext.length;
      if (bytes > bytesMax && entries.length > 0) break;
      entries.push(entry);
    }
    return entries;
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
    const start = layout.entryKey(user, device, after + 1);
    const end = layout.entryKey(user, device, through + 1);
    let bytes = 0;
    for (const { key, value } of this.#inbox.getRange({ start, end, limit: looksMax, snapshot: false })) {
      if (!isMessageOf(sender, value)) continue;
      bytes += value.ciphertext.length;
      if (found.length === countMax || (bytes > bytesMax && found.length > 0)) break;
      found.push(placed(value, keyOf(key)));
    }
    return found;
  }

  waitingConversations(recipient: string): WaitingConversation[] {
    const waiting: WaitingConversation[] = [];
    for (const { key, value } of this.#conversation.getRange({
      ...layout.conversationsOf(recipient),
      snapshot: false,
    })) {
      if (!layout.hasRuns(value)) continue;
      waiting.push({ sender: layout.senderOfConversationKey(key), record: layout.decodeConversation(value) });
    }
    return waiting;
  }

  inboxHeads(after: { readonly user: string; readonly device: number } | undefined, countMax: number): InboxHead[] {
    const heads: InboxHead[] = [];
    let start = after === undefined ? layout.entryKey('0', 0, 0) : layout.entryKey(after.user, after.device + 1, 0);
    while (heads.length < countMax) {
      const [head] = this.#inbox.getRange({ start, limit: 1, snapshot: false });
      if (head === undefined) break;
      const key = keyOf(head.key);
      const [user, device] = [userOf(key), key.device];
      heads.push({ user, device, ts: head.value.ts });
      start = layout.entryKey(user, device + 1, 0);
    }
    return heads;
  }

  acknowledged(user: string, device: number): number {
    return this.#marks(user, device).acknowledged;
  }

  #marks(user: string, device: number): { readonly acknowledged: number; readonly last: number } {
    const value = this.#acknowledged.get(layout.deviceKey(user, device));
    return value === undefined ? { acknowledged: 0, last: 0 } : layout.decodeMarks(value);
  }

  lastSeq(user: string, device: number): number {
    const start = layout.entryKey(user, device, 2 ** 48 - 1);
    const end = layout.entryKey(user, device, 0);
    // Entries may have gone from the end too, pruned or acknowledged ahead of their turn: their positions stay given out.
    const { last } = this.#marks(user, device);
    for (const key of this.#inbox.getKeys({ start, end, reverse: true, limit: 1, snapshot: false })) {
      return Math.max(last, keyOf(key).seq);
    }
    return last;
  }

  conversation(recipient: string, sender: SenderAddress): ConversationRecord | undefined {
    const value = this.#conversation.get(layout.conversationKey(recipient, sender));
    return value === undefined ? undefined : layout.decodeConversation(value);
  }

  latestCreation(recipient: string, sender: string, device: number): number | undefined {
    const start = layout.conversationKey(recipient, { user: sender, device, creation: 0xffff_ffff });
    const end = layout.conversationKey(recipient, { user: sender, device, creation: 0 });
    for (const key of this.#conversation.getKeys({ start, end, reverse: true, limit: 1, snapshot: false })) {
      return layout.creationOfConversationKey(key);
    }
    // The end of a range is not in it: creation 0, with which a group stands in its members' inboxes.
    return this.#conversation.doesExist(end) ? 0 : undefined;
  }

  hasWritten(sender: string, recipient: string): boolean {
    // Not from device 0: as that a group stands in its members' inboxes, and whoever makes one may give it the id of a user.
    const start = layout.conversationKey(recipient, { user: sender, device: 1, creation: 0 });
    const end = layout.conversationKey(recipient, { user: sender, device: 255, creation: 0 });
    for (const _ of this.#conversation.getKeys({ start, end, limit: 1, snapshot: false })) return true;
    return false;
  }

  account(user: string): AccountRecord | undefined {
    return this.#record<AccountRecord>(this.#account, layout.userKey(user));
  }

  userOfPhone(phone: string): string | undefined {
    const value = this.#phone.get(Buffer.from(phone, 'ascii'));
    return value === undefined ? undefined : layout.userOfValue(value);
  }

  device(user: string, device: number): DeviceRecord | undefined {
    return this.#record<DeviceRecord>(this.#device, layout.deviceKey(user, device));
  }

  #record<T>(table: Table, key: Buffer): T | undefined {
    const value = table.get(key);
    return value === undefined ? undefined : (decode(value) as T);
  }

  preKeys(user: string, device: number, countMax: number): PreKey[] {
    const range = this.#prekey.getRange({ ...rangeOfDevice(user, device), limit: countMax, snapshot: false });
    return Array.from(range, ({ key, value }) => ({ id: layout.idOfPreKeyKey(key), key: new Uint8Array(value) }));
  }

  kemPreKeys(user: string, device: number, countMax: number): KemPreKey[] {
    const range = this.#kem.getRange({ ...rangeOfDevice(user, device), limit: countMax, snapshot: false });
    return Array.from(range, ({ key, value }) => layout.decodeKemPreKey(layout.idOfPreKeyKey(key), value));
  }

  countKemPreKeys(user: string, device: number, countMax: number): number {
    const range = { ...rangeOfDevice(user, device), limit: countMax, snapshot: false };
    return Math.min(countMax, this.#kem.getKeysCount(range)); // lmdb counts on beyond the limit
  }

  stock(): StoreStock {
    const count = (table: Table): number => (table.getStats() as { readonly entryCount: number }).entryCount;
    return { devices: count(this.#device), preKeys: count(this.#prekey), kemPreKeys: count(this.#kem) };
  }

  countEntries(user: string, device: number, countMax: number): number {
    const start = layout.entryKey(user, device, 0);
    const end = layout.entryKey(user, device, 2 ** 48 - 1);
    return this.#inbox.getKeysCount({ start, end, limit: countMax, snapshot: false });
  }

  seenMinute(user: string): number | undefined {
    const value = this.#seen.get(layout.userKey(user));
    return value === undefined ? undefined : layout.decodeMinute(value);
  }

  privacy(user: string): PrivacySettings | undefined {
    return this.#record<PrivacySettings>(this.#privacy, layout.userKey(user));
  }

  queuedBytes(): number {
    return this.#metaNumber(QUEUED_BYTES_KEY);
  }

  #metaNumber(key: Buffer): number {
    const value = this.#meta.get(key);
    return value === undefined ? 0 : layout.decodeUint48(value);
  }

  backup(directory: string): Promise<void> {
    return this.#root.backup(directory, true);
  }

  renew(nowMs: number): RenewalCounts {
    return this.#root.transactionSync(() => this.#renew(nowMs));
  }

  renewInto(writes: WriteSet, nowMs: number): void {
    this.#collect(writes, () => void this.#renew(nowMs));
  }

  /** Into the write set that is being collected, or the transaction around it. */
  #renew(nowMs: number): RenewalCounts {
    const counts = { devices: 0, conversations: 0, groups: this.groups.renew(nowMs), preKeys: 0 };
    for (const key of copiesOf(this.#device.getKeys())) {
      const [user, device] = [layout.userOfValue(key), key[8]!];
      const { acknowledged } = this.#marks(user, device);
      const last = beyondAll(this.lastSeq(user, device), nowMs);
      this.#put(this.#acknowledged, key, layout.encodeMarks(acknowledged, last));
      counts.devices += 1;
    }
    for (const key of copiesOf(this.#conversation.getKeys())) {
      const record = doubted(layout.decodeConversation(this.#conversation.get(key)!), LIMITS.gapCountMax);
      this.#put(this.#conversation, key, layout.encodeConversation(record));
      // The row of a group at one of its members: its sender has no device. A group is counted where it is owned.
      if (key[16] !== 0) counts.conversations += 1;
    }
    for (const table of [this.#prekey, this.#kem]) {
      for (const key of copiesOf(table.getKeys())) {
        this.#remove(table, key);
        counts.preKeys += 1;
      }
    }
    this.#put(this.#meta, DOUBTED_KEY, layout.encodeUint48(Math.floor(nowMs)));
    return counts;
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}

/** Keys as they are now: what follows changes the table. */
function copiesOf(keys: Iterable<Buffer>): Buffer[] {
  return Array.from(keys, (key) => Buffer.from(key));
}

/** The keys of a device's pre-keys in a table. The end of a range is not in it, so the device after is where it ends. */
function rangeOfDevice(user: string, device: number): { readonly start: Buffer; readonly end: Buffer } {
  return { start: layout.preKeyKey(user, device, 0), end: layout.preKeyKey(user, device + 1, 0) };
}

function keysOfDevice(table: Table, user: string, device: number): Buffer[] {
  return Array.from(table.getKeys({ ...rangeOfDevice(user, device), snapshot: false }), (key) => Buffer.from(key));
}

function record(value: object): Buffer {
  return Buffer.from(encode(value));
}

/** The batch reports a failure; the same failure on an operation, and the cause that lmdb attaches to it, would go unheard. */
function disregard(error: unknown): void {
  const cause = (error as { commitError?: Promise<unknown> } | undefined)?.commitError;
  cause?.catch(() => undefined);
}

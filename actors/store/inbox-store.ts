/**
 * What the server asks of a store, and what a store promises: the contract of one shard.
 *
 * Promises, held by `contract.test.ts` for every implementation:
 *
 * 1. A commit is all or nothing, and `commit` resolves to `'ok'` only when it is flushed to the disk.
 * 2. Commits take effect in the order in which they were started.
 * 3. Reads are synchronous, see everything whose commit has resolved, and never see half of a commit. They may see a
 *    commit that is not flushed yet: a caller that pushes what it reads keeps its own mark of what is flushed.
 * 4. After a refused commit the store is as before it, and later commits may succeed.
 *
 * An entry stands in one of two tiers. *Fresh*: in the order of arrival, for devices that will get it at once and most
 * likely acknowledge it soon; neighbours on disk are neighbours in time, so a commit touches few pages however many
 * devices it serves. *Waiting*: by device and position, for devices that are away. Whoever takes a
 * store over moves everything that is fresh to waiting (`../inbox/claim.ts`): who was online is not known any more.
 *
 * The store knows no sockets and no actors. Bytes that it returns are owned by the caller; bytes given to a batch
 * must not change until the commit has resolved. Layout on disk: `layout.ts`. Implementations: `lmdb.ts`, `memory.ts`.
 */

import type { EnvelopeType, PrivacySettings } from '../../protocol/wire/index.ts';
import type { GroupBatch, GroupBody, GroupStore } from './group-store.ts';
import type { GapRecord } from './loss.ts';
import type { OutboxBatch, OutboxStore } from './outbox-store.ts';
import type { ProtectionBatch, ProtectionStore } from './protection-store.ts';

/** What an entry holds: a ciphertext, the place of a message or change in a group (`group-store.ts`), or a notice that messages are gone (`loss.ts`). */
export type EntryType = EnvelopeType | 'group' | 'pruned';

/** One undelivered message of one device. */
export interface InboxEntry {
  readonly seq: number;
  /** User id of the sender, 15 digits. */
  readonly sender: string;
  readonly senderDevice: number;
  /** Which registration of the sender's device wrote it; tells conversations of a reused device id apart. */
  readonly senderCreation: number;
  /** Message id within the conversation. */
  readonly id: number;
  /** Server time of acceptance, milliseconds. */
  readonly ts: number;
  readonly type: EntryType;
  /** Empty for an entry of a group, whose sender is the group, with device and creation 0, and whose id is the place in it. */
  readonly ciphertext: Uint8Array;
  /** What an entry of a group stands for. Never stored with it: whoever pushes it puts it there. */
  readonly body?: GroupBody;
}

/** The server's record of one conversation (one sender device to one recipient user). Both marks only grow. */
export interface ConversationRecord {
  /** Highest accepted message id. */
  readonly accepted: number;
  /** Highest message id that some device of the recipient has acknowledged. */
  readonly delivered: number;
  /** What waits of it for each device, in the waiting tier; missing when nothing does. */
  readonly waiting?: readonly WaitingRun[];
  /** What was lost of it, by ascending id, at most `LIMITS.gapCountMax`; missing when nothing was. */
  readonly gaps?: readonly GapRecord[];
}

/** The messages of one conversation that wait for one device. Kept in the record of the conversation, which their commit writes anyway. */
export interface WaitingRun {
  readonly device: number;
  /** No entry of the run has a smaller position. */
  readonly first: number;
  /** Position of its last entry. */
  readonly last: number;
  readonly count: number;
  /** As counted against the bounds: ciphertext and overhead. */
  readonly bytes: number;
}

/** An entry of the fresh tier, with the inbox that it is of. */
export interface FreshEntry {
  readonly arrival: number;
  readonly user: string;
  readonly device: number;
  readonly entry: InboxEntry;
}

/** A conversation of which something waits. */
export interface WaitingConversation {
  readonly sender: SenderAddress;
  readonly record: ConversationRecord;
}

/** The oldest waiting entry of an inbox. */
export interface InboxHead {
  readonly user: string;
  readonly device: number;
  /** When it was accepted, milliseconds. Positions of an inbox have ascending times, so nothing in it is older. */
  readonly ts: number;
}

/** One life of one sender device: the sending half of a conversation's key. */
export interface SenderAddress {
  readonly user: string;
  readonly device: number;
  readonly creation: number;
}

export interface AccountRecord {
  readonly user: string;
  readonly phone: string;
  /** Ids of the registered devices, ascending. */
  readonly devices: readonly number[];
  /** Devices so far: the `creation` of the next one is one more. */
  readonly creations: number;
  /** The device that registered; missing in a record of an earlier release, whose only device it is. */
  readonly primary?: number | undefined;
  /** The device list that the primary has signed, opaque here; missing until it has. */
  readonly list?: Uint8Array | undefined;
  /** The last list before the number was registered anew. */
  readonly formerList?: Uint8Array | undefined;
}

/** What the server knows of a device. Public keys only. */
export interface DeviceRecord {
  readonly creation: number;
  /** Signal's registration id. */
  readonly registration: number;
  /** Ed25519, 32 bytes. */
  readonly loginKey: Uint8Array;
  /** X25519 with type byte, 33 bytes. */
  readonly identityKey: Uint8Array;
  readonly signedPreKey: { readonly id: number; readonly key: Uint8Array; readonly signature: Uint8Array };
  /** Handed out when no one-time KEM pre-key is left; missing where the device never uploaded one. */
  readonly lastResort?: KemPreKey | undefined;
}

export interface PreKey {
  readonly id: number;
  /** X25519 with type byte, 33 bytes. */
  readonly key: Uint8Array;
}

/** Opaque to the server, which computes with neither half. */
export interface KemPreKey {
  readonly id: number;
  /** ML-KEM-1024 with type byte, 1,569 bytes. */
  readonly key: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * The outcome of a commit. `'full'`: nothing was written and there is no room; deletions may still succeed. Any other
 * failure of the disk ends the process: what is visible might not be on the disk, so nothing may be built on it.
 */
export type CommitResult = 'ok' | 'full';

/** Collects the writes of one commit. Valid only inside the callback of `commit`. */
export interface StoreBatch {
  readonly groups: GroupBatch;
  readonly outbox: OutboxBatch;
  putEntry(user: string, device: number, entry: InboxEntry): void;
  /** Adds an entry to the fresh tier. `arrival` grows from one to the next for as long as anything is fresh. */
  putFresh(arrival: number, user: string, device: number, entry: InboxEntry): void;
  removeFresh(arrival: number): void;
  removeEntry(user: string, device: number, seq: number): void;
  /** Everything up to `seq` is gone from the inbox, and `last` is the highest position ever given out in it. */
  putAcknowledged(user: string, device: number, seq: number, last: number): void;
  putConversation(recipient: string, sender: SenderAddress, record: ConversationRecord): void;
  putAccount(account: AccountRecord): void;
  putDevice(user: string, device: number, record: DeviceRecord): void;
  /** Removes the device with its pre-keys of both kinds and its push registration. Its inbox goes entry by entry: `forgetInbox`. */
  removeDevice(user: string, device: number): void;
  /** Removes every committed waiting entry and the acknowledged mark of an inbox. Returns the bytes that the entries counted. */
  forgetInbox(user: string, device: number): number;
  putPreKey(user: string, device: number, preKey: PreKey): void;
  removePreKey(user: string, device: number, id: number): void;
  putKemPreKey(user: string, device: number, preKey: KemPreKey): void;
  removeKemPreKey(user: string, device: number, id: number): void;
  /** When a user was last there: minutes since 1970. */
  putSeenMinute(user: string, minute: number): void;
  putPrivacy(user: string, settings: PrivacySettings): void;
  /** Replaces the count of bytes that undelivered messages take. */
  putQueuedBytes(bytes: number): void;
  /** Writes of the accounts' decisions, in the same commit. */
  readonly protection: ProtectionBatch;
}

export interface InboxStore {
  readonly groups: GroupStore;
  readonly outbox: OutboxStore;
  /** The accounts' decisions. */
  readonly protection: ProtectionStore;
  /** Bytes of undelivered messages that the disk allows now; Infinity while it has room. Costs a system call: ask once a commit. */
  readonly queuedBytesMax: number;
  /** Runs `write` at once, then commits what it collected. See promises 1, 2 and 4. */
  commit(write: (batch: StoreBatch) => void): Promise<CommitResult>;
  /** A fresh entry. */
  fresh(arrival: number): InboxEntry | undefined;
  /** The first fresh entries in the order of arrival, at most `countMax`. */
  freshEntries(countMax: number): FreshEntry[];
  /** Waiting entries with `after < seq <= through`, ascending, until `countMax` or `bytesMax` of ciphertext is reached; at least one if there is one. */
  entries(
    user: string,
    device: number,
    after: number,
    through: number,
    countMax: number,
    bytesMax: number,
  ): InboxEntry[];
  /**
   * Waiting entries of one sender with `after < seq <= through`, ascending: a look at `looksMax` entries of the inbox at most, whoever
   * sent them, and at most `countMax` entries or `bytesMax` of ciphertext; the first one found has room in any case. Notices are left out.
   */
  entriesOf(
    user: string,
    device: number,
    sender: SenderAddress,
    after: number,
    through: number,
    bounds: { readonly looksMax: number; readonly countMax: number; readonly bytesMax: number },
  ): InboxEntry[];
  /** Conversations to `recipient` of which something waits. */
  waitingConversations(recipient: string): WaitingConversation[];
  /** Heads of the inboxes that come after the one given, in the order of the disk; each costs one look. */
  inboxHeads(after: { readonly user: string; readonly device: number } | undefined, countMax: number): InboxHead[];
  /** Every position up to here is gone from the inbox; 0 for a new one. */
  acknowledged(user: string, device: number): number;
  /** The highest position that was ever given out, as far as it is on the disk. The next entry takes one more. */
  lastSeq(user: string, device: number): number;
  conversation(recipient: string, sender: SenderAddress): ConversationRecord | undefined;
  /** The latest registration of a sender's device that has written to `recipient`. */
  latestCreation(recipient: string, sender: string, device: number): number | undefined;
  /** Whether any device of `sender` has ever written to `recipient`. A group of that id, which its maker chooses, is nobody's device. */
  hasWritten(sender: string, recipient: string): boolean;
  account(user: string): AccountRecord | undefined;
  userOfPhone(phone: string): string | undefined;
  device(user: string, device: number): DeviceRecord | undefined;
  /** Pre-keys by ascending id. */
  preKeys(user: string, device: number, countMax: number): PreKey[];
  /** One-time KEM pre-keys by ascending id. */
  kemPreKeys(user: string, device: number, countMax: number): KemPreKey[];
  /** Counts them, up to `countMax`, without reading them. */
  countKemPreKeys(user: string, device: number, countMax: number): number;
  /** Counts the waiting entries of an inbox, up to `countMax`. */
  countEntries(user: string, device: number, countMax: number): number;
  seenMinute(user: string): number | undefined;
  privacy(user: string): PrivacySettings | undefined;
  /** How many of each there are in all. Costs no look at any of them. */
  stock(): StoreStock;
  /** As last written by `putQueuedBytes`; 0 in a new store. */
  queuedBytes(): number;
  /**
   * Copies the store as it is now into `directory`, while it goes on: one snapshot, compacted. Absent in a store without a disk.
   *
   * Rejects when the copy cannot be written.
   */
  backup?(directory: string): Promise<void>;
  close(): Promise<void>;
}

/** Devices that are registered, and the one-time keys that are left of all of them. */
export interface StoreStock {
  readonly devices: number;
  readonly preKeys: number;
  readonly kemPreKeys: number;
}

/** What one entry takes on the disk beside its ciphertext: key, header, its share of pages. Used for the store's bound. */
export const ENTRY_OVERHEAD_BYTES = 64;

/** The runs with one more entry in the one of `device`. A new list; the runs given are not changed. */
export function extendRuns(
  runs: readonly WaitingRun[],
  device: number,
  { seq, bytes }: { readonly seq: number; readonly bytes: number },
): WaitingRun[] {
  const run = runs.find((each) => each.device === device);
  if (run === undefined) return [...runs, { device, first: seq, last: seq, count: 1, bytes }];
  const ends = { first: Math.min(run.first, seq), last: Math.max(run.last, seq) };
  const extended = { device, ...ends, count: run.count + 1, bytes: run.bytes + bytes };
  return runs.map((each) => (each === run ? extended : each));
}

/** Whether an entry is a message of `sender`, and no notice about messages of theirs. */
export function isMessageOf({ user, device, creation }: SenderAddress, entry: InboxEntry): boolean {
  const { sender, senderDevice, senderCreation, type } = entry;
  return sender === user && senderDevice === device && senderCreation === creation && type !== 'pruned';
}

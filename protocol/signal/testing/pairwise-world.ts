/**
 * Devices that write to each other one to one over a network that loses, repeats and reorders, while any of them starts
 * sessions, crashes between any two steps, or comes back from a backup; and a server that now and then strips a bundle.
 * Test-only.
 *
 * A device's memory is its disk: encoded records and the pre-keys that are left. An operation computes, then stores in one
 * transaction, then releases; a crash falls between two of these. What cannot be read is asked for once more, by a
 * receipt that names it, and its sender begins a fresh session for that: the healing that a client does.
 *
 * Every message key is recorded with what left under it. The same key for two ciphertexts is the one thing that must never be.
 */
import { isSignalError, type SignalErrorCode } from '../errors.ts';
import { prepareSend } from '../double-ratchet.ts';
import type { KemPreKey, OneTimePreKey } from '../pre-keys.ts';
import { deriveMessageKeys } from '../ratchet-keys.ts';
import { decodeSessionRecord, encodeSessionRecord } from '../record-codec.ts';
import { initiateSession } from '../session.ts';
import { closeSession, needsRenewal } from '../session-record.ts';
import { Device, seededIntegers, seededRandom, type Envelope } from './device.ts';
import { must } from './outcome.ts';
import { toHex } from './transcripts.ts';

/** Where an operation ends early, if it does. */
type Crash = 'none' | 'before storing' | 'before releasing';

/** What is on a disk. */
interface Disk {
  readonly records: ReadonlyMap<number, Uint8Array>;
  readonly oneTimePreKeys: ReadonlyMap<number, OneTimePreKey>;
  readonly kemPreKeys: ReadonlyMap<number, KemPreKey>;
}

interface Letter extends Envelope {
  readonly kind: 'letter';
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

interface RetryReceipt {
  readonly kind: 'retry';
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

type Packet = Letter | RetryReceipt;

export interface PairwiseCounts {
  sent: number;
  read: number;
  repeated: number;
  refused: number;
  healed: number;
  initiated: number;
  downgrades: number;
  crashes: number;
  restores: number;
}

const oneTimePreKeyCount = 6;
const kemPreKeyCount = 3;

/** Key material is made once; what a seed decides is everything that happens with it. */
const pool: Device[] = [];

function pooledDevice(index: number): Device {
  while (pool.length <= index) {
    pool.push(new Device(`pairwise/${pool.length}`, oneTimePreKeyCount, { kemPreKeyCount }));
  }
  return pool[index]!;
}

/** One device of the world. */
class Party {
  readonly device: Device;
  disk: Disk;
  /** An earlier disk. */
  backup: Disk;
  /** Texts that the application has seen since the disk was last restored. */
  readTexts: Set<string> = new Set();
  /** Came back from a backup at some time: what was under way to or from it may be unreadable. */
  wasRestored = false;

  constructor(index: number, seed: string) {
    this.device = pooledDevice(index).fork(seededRandom(`${seed}/${index}`));
    const { oneTimePreKeys, kemPreKeys } = this.device;
    this.disk = { records: new Map(), oneTimePreKeys: new Map(oneTimePreKeys), kemPreKeys: new Map(kemPreKeys) };
    this.backup = this.disk;
  }

  /** Reads the disk into the device, as each operation begins. */
  load(peer: number): void {
    const bytes = this.disk.records.get(peer);
    this.device.record = bytes && must(decodeSessionRecord(bytes));
    replace(this.device.oneTimePreKeys, this.disk.oneTimePreKeys);
    replace(this.device.kemPreKeys, this.disk.kemPreKeys);
  }

  /** Writes what the device has now, in one transaction. */
  store(peer: number): void {
    const { record, oneTimePreKeys, kemPreKeys } = this.device;
    const records = new Map(this.disk.records);
    if (record !== undefined) records.set(peer, encodeSessionRecord(record));
    this.disk = { records, oneTimePreKeys: new Map(oneTimePreKeys), kemPreKeys: new Map(kemPreKeys) };
  }

  /** Comes back with an earlier disk, and stops sending in every session of it. */
  restore(): void {
    const records = [...this.backup.records].map(
      ([peer, bytes]) => [peer, encodeSessionRecord(closeSession(must(decodeSessionRecord(bytes))))] as const,
    );
    this.disk = { ...this.backup, records: new Map(records) };
    this.readTexts = new Set();
    this.wasRestored = true;
  }
}

function replace<K, V>(target: Map<K, V>, source: ReadonlyMap<K, V>): void {
  target.clear();
  for (const [key, value] of source) target.set(key, value);
}

export class PairwiseWorld {
  readonly parties: readonly Party[];
  readonly counts: PairwiseCounts = {
    ...{ sent: 0, read: 0, repeated: 0, refused: 0, healed: 0 },
    ...{ initiated: 0, downgrades: 0, crashes: 0, restores: 0 },
  };
  readonly pick: (bound: number) => number;
  packets: Packet[] = [];
  /** What left under each message key. */
  readonly released: Map<string, string> = new Map();
  /** Texts that were asked for once more. */
  readonly #retried = new Set<string>();
  #faulty = true;

  constructor(seed: string, partyCount: number) {
    this.pick = seededIntegers(seed);
    this.parties = Array.from({ length: partyCount }, (_, index) => new Party(index, seed));
  }

  /** One thing happens. */
  step(): void {
    const action = this.pick(100);
    const [from, to] = this.#pickPair();
    if (action < 2) this.initiate(from, to);
    else if (action < 42) this.send(from, to, `${from}>${to} ${this.counts.sent}`, this.#pickCrash());
    else if (action < 90) this.#deliver();
    else if (action < 95) this.#drop();
    else if (action < 99) this.parties[from]!.backup = this.parties[from]!.disk;
    else this.#restore(from);
  }

  /** Begins a session anew, whatever there is. */
  initiate(from: number, to: number): boolean {
    const [party, peer] = [this.parties[from]!, this.parties[to]!];
    party.load(to);
    const { device } = party;
    const begun = initiateSession(device.local, this.#bundleOf(peer), device.record, device.random);
    if (isSignalError(begun)) {
      if (begun.code !== 'SIG_DOWNGRADE') throw new Error(`a bundle was refused with ${begun.code}`);
      this.counts.downgrades++;
      return false;
    }
    device.record = begun.record;
    party.store(to);
    this.counts.initiated++;
    return true;
  }

  /** What the server gives out now: any one-time keys that are left, or none, and rarely a bundle without its KEM part. */
  #bundleOf(peer: Party): ReturnType<Device['bundle']> {
    replace(peer.device.oneTimePreKeys, peer.disk.oneTimePreKeys);
    replace(peer.device.kemPreKeys, peer.disk.kemPreKeys);
    const oneTime = [...peer.disk.oneTimePreKeys.keys()][this.pick(oneTimePreKeyCount + 2)];
    const isStripped = this.#faulty && this.pick(25) === 0;
    if (isStripped) return peer.device.strippedBundle(oneTime);
    const kem = [...peer.disk.kemPreKeys.keys()][this.pick(kemPreKeyCount + 2)];
    return peer.device.bundle(oneTime, kem);
  }

  send(from: number, to: number, text: string, crash: Crash = 'none'): void {
    const party = this.parties[from]!;
    party.load(to);
    if (!party.device.canSend && !this.initiate(from, to)) return;
    party.load(to);
    const key = this.#nextKey(party.device);
    const envelope = party.device.send(text);
    if (crash === 'before storing') return;
    party.store(to);
    // What is stored and not released is gone for good here; a client keeps it in its outbox and sends the same bytes.
    if (crash === 'before releasing') return;
    this.#release(key, envelope);
    this.packets.push({ ...envelope, kind: 'letter', from, to, text });
    this.counts.sent++;
  }

  /** The key under which the next message of a device will be encrypted: the key itself, not its name. */
  #nextKey(device: Device): string {
    const { seed } = must(prepareSend(device.record!.current!.ratchet));
    const { cipherKey, iv } = deriveMessageKeys(seed);
    return toHex(cipherKey) + toHex(iv);
  }

  #release(key: string, { ciphertext }: Envelope): void {
    const bytes = toHex(ciphertext);
    const before = this.released.get(key);
    if (before !== undefined && before !== bytes) throw new Error('a message key was used twice');
    this.released.set(key, bytes);
  }

  /** Any packet that is under way, mostly the oldest; one in four stays there and comes again. */
  #deliver(): void {
    if (this.packets.length === 0) return;
    const index = this.pick(3) === 0 ? this.pick(this.packets.length) : 0;
    const packet = this.packets[index]!;
    if (this.pick(4) !== 0) this.packets.splice(index, 1);
    this.arrive(packet, this.#pickCrash());
  }

  arrive(packet: Packet, crash: Crash = 'none'): void {
    if (packet.kind === 'letter') this.#receive(packet, crash);
    else this.#heal(packet);
  }

  #receive(letter: Letter, crash: Crash): void {
    const party = this.parties[letter.to]!;
    party.load(letter.from);
    const before = party.disk;
    const outcome =
      letter.type === 'ratchet' && party.device.record === undefined ? 'SIG_NO_SESSION' : party.device.receive(letter);
    if (isSignalError(outcome) || outcome === 'SIG_NO_SESSION') {
      this.#checkUnchanged(party, before, letter.from);
      return this.#refused(letter, isSignalError(outcome) ? outcome.code : 'SIG_NO_SESSION');
    }
    if (outcome !== letter.text) throw new Error('something else was read');
    if (crash === 'before storing') return void this.packets.push(letter); // not acknowledged: it comes again
    if (needsRenewal(party.device.record!)) party.device.record = closeSession(party.device.record!);
    party.store(letter.from);
    if (party.readTexts.has(letter.text) && !this.#retried.has(letter.text)) {
      throw new Error('a repeated message was read again');
    }
    party.readTexts.add(letter.text);
    this.counts.read++;
  }

  /** A refused message left no trace, in memory or on disk. */
  #checkUnchanged(party: Party, before: Disk, peer: number): void {
    const { record, oneTimePreKeys, kemPreKeys } = party.device;
    const stored = before.records.get(peer);
    const same = record === undefined ? stored === undefined : toHex(encodeSessionRecord(record)) === toHex(stored!);
    const keys = oneTimePreKeys.size === before.oneTimePreKeys.size && kemPreKeys.size === before.kemPreKeys.size;
    if (!same || !keys || party.disk !== before) throw new Error('a failure changed something');
  }

  /** A refusal must have its reason; what was not read is asked for once more. */
  #refused({ from, to, text, type }: Letter, code: SignalErrorCode): void {
    const [sender, receiver] = [this.parties[from]!, this.parties[to]!];
    const wasRead = receiver.readTexts.has(text);
    if (wasRead) this.counts.repeated++;
    else this.counts.refused++;
    if (wasRead && code === 'SIG_DUPLICATE') return;
    const reasons: readonly SignalErrorCode[] = ['SIG_UNKNOWN_PREKEY', 'SIG_DOWNGRADE'];
    const isExplained =
      wasRead ||
      sender.wasRestored ||
      receiver.wasRestored ||
      (type === 'prekey' && reasons.includes(code)) ||
      this.#retried.has(text) ||
      this.#followsUnreadOffer(code);
    if (!isExplained) throw new Error(`a first delivery gave ${code}`);
    if (code === 'SIG_DOWNGRADE') this.counts.downgrades++;
    if (wasRead || this.#retried.has(text)) return;
    this.#retried.add(text);
    this.packets.push({ kind: 'retry', from: to, to: from, text });
  }

  /** A ratchet message cannot follow an offer that nobody read, so nothing else needs an excuse. */
  #followsUnreadOffer(code: SignalErrorCode): boolean {
    return code === 'SIG_NO_SESSION';
  }

  /** A retry receipt: a fresh session, and the text again. */
  #heal({ from, to, text }: RetryReceipt): void {
    const party = this.parties[to]!;
    party.load(from);
    if (party.device.record !== undefined) {
      party.device.record = closeSession(party.device.record);
      party.store(from);
    }
    this.send(to, from, text);
    this.counts.healed++;
  }

  #drop(): void {
    if (this.packets.length > 0) this.packets.splice(this.pick(this.packets.length), 1);
  }

  #restore(index: number): void {
    this.parties[index]!.restore();
    this.counts.restores++;
  }

  #pickPair(): [number, number] {
    const from = this.pick(this.parties.length);
    const step = 1 + this.pick(this.parties.length - 1);
    return [from, (from + step) % this.parties.length];
  }

  #pickCrash(): Crash {
    const chance = this.pick(40);
    if (chance > 1) return 'none';
    this.counts.crashes++;
    return chance === 0 ? 'before storing' : 'before releasing';
  }

  /** The network behaves from now on: everything under way arrives. */
  calm(): void {
    this.#faulty = false;
    for (let packet = this.packets.shift(); packet !== undefined; packet = this.packets.shift()) this.arrive(packet);
  }

  /**
   * Whether two parties read each other after at most two round trips, in one session. Retry receipts and what they bring
   * count with the message that needed them.
   */
  settle(left: number, right: number): void {
    for (let trip = 0; trip < 2; trip++) {
      for (const [from, to] of [
        [left, right],
        [right, left],
      ] as const)
        this.#converse(from, to, `settling ${trip}`);
    }
    const refused = this.counts.refused;
    this.#converse(left, right, 'settled');
    this.#converse(right, left, 'settled');
    if (this.counts.refused !== refused) throw new Error('two round trips did not heal the pair');
    const [first, second] = [this.#baseKeyOf(left, right), this.#baseKeyOf(right, left)];
    if (first !== second) throw new Error('the ends did not agree on a session');
  }

  #converse(from: number, to: number, topic: string): void {
    const text = `${from}>${to} ${topic}`;
    this.send(from, to, text);
    this.calm();
    if (!this.parties[to]!.readTexts.has(text)) throw new Error(`not read: ${text}`);
  }

  #baseKeyOf(owner: number, peer: number): string {
    const record = must(decodeSessionRecord(this.parties[owner]!.disk.records.get(peer)!));
    return toHex(record.current!.baseKey);
  }
}

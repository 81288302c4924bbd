/**
 * A group of devices with real sessions and sender keys, over a network that loses, repeats and reorders, with disks that
 * are written before anything leaves and devices that crash between any two steps. Test-only.
 *
 * The roster is one truth here, as it is where devices and membership are signed. Everything that leaves is recorded, so
 * that a reader who should not have been one, and a message key used twice, show.
 */
import { isSignalError } from '../errors.ts';
import { decodeLedger, encodeLedger, noteLoss, type GroupPolicy } from '../group-distribution.ts';
import { dispatchToGroup, type GroupSending } from '../group-sender.ts';
import { acceptDistribution, decryptFromGroup, readGroupHeader } from '../group-session.ts';
import { decodeSessionRecord, encodeSessionRecord } from '../record-codec.ts';
import { decodeSenderKey, decodeSenderKeyRecord, encodeSenderKey, encodeSenderKeyRecord } from '../sender-key-codec.ts';
import { Device, seededIntegers, type Envelope } from './device.ts';
import { must } from './outcome.ts';
import { fromHex, toHex } from './transcripts.ts';

/** A group message as it was sent. */
export interface Sent {
  readonly from: string;
  readonly text: string;
  readonly ciphertext: Uint8Array;
  /** Who was to read it. */
  readonly roster: ReadonlySet<string>;
}

type Packet =
  | { readonly kind: 'hand-out'; readonly from: string; readonly to: string; readonly envelope: Envelope }
  | { readonly kind: 'message'; readonly from: string; readonly to: string; readonly sent: Sent };

/** One device: its memory is a map of encoded records, so a restart is what is read back from them. */
class Member {
  readonly name: string;
  readonly device: Device;
  /** Every record by its key: what is on disk. */
  disk: Map<string, Uint8Array> = new Map();
  readonly readTexts: Set<string> = new Set();
  /** Messages that came before their key: not acknowledged, and tried again when a key comes. */
  waiting: Packet[] = [];

  constructor(name: string, seed: string) {
    this.name = name;
    this.device = new Device(`${seed}/${name}`);
  }

  /** Runs `step` on a copy of the disk, which becomes the disk if the step says so. */
  async transact<T>(step: (disk: Map<string, Uint8Array>) => Promise<{ commit: boolean; value: T }>): Promise<T> {
    const next = new Map(this.disk);
    const { commit, value } = await step(next);
    if (commit) this.disk = next;
    return value;
  }

  sending(disk: Map<string, Uint8Array>): GroupSending | undefined {
    const [key, ledger] = [disk.get('own'), disk.get('ledger')];
    return key && ledger && { senderKey: must(decodeSenderKey(key)), ledger: must(decodeLedger(ledger)) };
  }

  /** The pairwise session with `peer`, begun from its bundle where there is none. */
  seal(disk: Map<string, Uint8Array>, peer: Member, content: Uint8Array): Envelope {
    this.#load(disk, peer.name);
    if (!this.device.canSend) this.device.initiate(peer.device.bundle());
    const envelope = this.device.send(toHex(content));
    this.#save(disk, peer.name);
    return envelope;
  }

  open(disk: Map<string, Uint8Array>, peer: string, envelope: Envelope): Uint8Array | undefined {
    this.#load(disk, peer);
    if (this.device.record === undefined && envelope.type === 'ratchet') return undefined;
    const outcome = this.device.receive(envelope);
    if (isSignalError(outcome)) return undefined;
    this.#save(disk, peer);
    return fromHex(outcome);
  }

  #load(disk: Map<string, Uint8Array>, peer: string): void {
    const bytes = disk.get(`session/${peer}`);
    this.device.record = bytes && must(decodeSessionRecord(bytes));
  }

  #save(disk: Map<string, Uint8Array>, peer: string): void {
    disk.set(`session/${peer}`, encodeSessionRecord(this.device.record!));
  }
}

export interface WorldCounts {
  sent: number;
  read: number;
  repeated: number;
  waited: number;
  rotations: number;
  lost: number;
  crashes: number;
}

export class GroupWorld {
  readonly members: Map<string, Member> = new Map();
  readonly roster: Set<string>;
  readonly history: Sent[] = [];
  readonly keyNames: Set<string> = new Set();
  readonly counts: WorldCounts = { sent: 0, read: 0, repeated: 0, waited: 0, rotations: 0, lost: 0, crashes: 0 };
  readonly pick: (bound: number) => number;
  packets: Packet[] = [];
  nowMs = 0;
  readonly #policy: GroupPolicy;

  /** @param names - Everybody there is; the first `memberCount` of them are members at first. */
  constructor(seed: string, names: readonly string[], memberCount: number, policy: GroupPolicy) {
    this.pick = seededIntegers(seed);
    this.#policy = policy;
    for (const name of names) this.members.set(name, new Member(name, seed));
    this.roster = new Set(names.slice(0, memberCount));
  }

  async step(): Promise<void> {
    this.nowMs += 1;
    const action = this.pick(100);
    if (action < 30) await this.send(this.#pickMember(), this.pick(8));
    else if (action < 82) await this.deliver();
    else if (action < 88) this.drop();
    else this.changeRoster();
  }

  #pickMember(): string {
    return [...this.roster][this.pick(this.roster.size)]!;
  }

  /** @param crash - 0: the device dies before it stored; 1: after that and before anything left; else it lives. */
  async send(name: string, crash = 9): Promise<void> {
    const member = this.members.get(name)!;
    const roster = new Set([...this.roster].filter((other) => other !== name));
    const text = `${name} ${this.counts.sent++}`;
    await member.transact(async (disk) => {
      const dispatch = must(
        await dispatchToGroup(
          {
            policy: this.#policy,
            sending: member.sending(disk),
            roster,
            nowMs: this.nowMs,
            random: member.device.random,
            pairwise: {
              sealDistribution: async (peer, content) => member.seal(disk, this.members.get(peer)!, content),
              sealMessage: async () => undefined,
            },
          },
          new TextEncoder().encode(text),
        ),
      );
      disk.set('own', encodeSenderKey(dispatch.sending!.senderKey));
      disk.set('ledger', encodeLedger(dispatch.sending!.ledger));
      if (dispatch.rotation !== undefined) this.counts.rotations++;
      if (crash < 2) this.counts.crashes++;
      else this.#release(name, text, roster, dispatch.ciphertext!, dispatch.envelopes);
      return { commit: crash !== 0, value: undefined };
    });
  }

  #release(
    from: string,
    text: string,
    roster: ReadonlySet<string>,
    ciphertext: Uint8Array,
    envelopes: readonly { readonly device: string; readonly sealed: Envelope }[],
  ): void {
    const { distributionId, chainId, iteration } = must(readGroupHeader(ciphertext));
    const keyName = `${from}/${toHex(distributionId)}/${chainId}/${iteration}`;
    if (this.keyNames.has(keyName)) throw new Error('a message key was used twice');
    this.keyNames.add(keyName);
    const sent = { from, text, ciphertext, roster };
    this.history.push(sent);
    for (const { device: to, sealed } of envelopes) this.packets.push({ kind: 'hand-out', from, to, envelope: sealed });
    for (const to of roster) this.packets.push({ kind: 'message', from, to, sent });
  }

  /** Any packet, mostly the oldest; one in six stays under way and comes again. */
  async deliver(): Promise<void> {
    if (this.packets.length === 0) return;
    const index = this.pick(3) === 0 ? this.pick(this.packets.length) : 0;
    const packet = this.packets[index]!;
    if (this.pick(6) !== 0) this.packets.splice(index, 1);
    await this.receive(packet);
  }

  drop(): void {
    if (this.packets.length === 0) return;
    this.packets.splice(this.pick(this.packets.length), 1);
    this.counts.lost++;
  }

  /** Somebody leaves, or comes (back): at least two stay. */
  changeRoster(): void {
    const name = [...this.members.keys()][this.pick(this.members.size)]!;
    if (!this.roster.has(name)) this.roster.add(name);
    else if (this.roster.size > 2) this.roster.delete(name);
  }

  async receive(packet: Packet): Promise<void> {
    const member = this.members.get(packet.to)!;
    await member.transact(async (disk) => {
      const commit =
        packet.kind === 'hand-out' ? this.#takeKey(member, disk, packet) : this.#read(member, disk, packet);
      // One in ten dies before it stored: nothing was shown, and the packet comes again.
      if (commit && this.pick(10) === 0) {
        this.counts.crashes++;
        this.packets.push(packet);
        return { commit: false, value: undefined };
      }
      if (commit && packet.kind === 'message') this.#show(member, packet.sent);
      if (commit && packet.kind === 'hand-out') this.packets.push(...member.waiting.splice(0));
      return { commit, value: undefined };
    });
  }

  #takeKey(member: Member, disk: Map<string, Uint8Array>, packet: Packet & { kind: 'hand-out' }): boolean {
    const distribution = member.open(disk, packet.from, packet.envelope);
    if (distribution === undefined) return false;
    const record = this.#recordOf(disk, packet.from);
    const accepted = must(acceptDistribution(record, distribution)).record;
    disk.set(`sender/${packet.from}`, encodeSenderKeyRecord(accepted));
    return true;
  }

  #read(member: Member, disk: Map<string, Uint8Array>, packet: Packet & { kind: 'message' }): boolean {
    const { sent } = packet;
    const outcome = decryptFromGroup(this.#recordOf(disk, sent.from), sent.ciphertext);
    if (!isSignalError(outcome)) {
      if (new TextDecoder().decode(outcome.plaintext) !== sent.text) throw new Error('another text came out');
      if (!sent.roster.has(member.name)) throw new Error(`${member.name} read what was not for it`);
      disk.set(`sender/${sent.from}`, encodeSenderKeyRecord(outcome.record));
      return true;
    }
    if (outcome.code === 'SIG_NO_SENDER_KEY') {
      member.waiting.push(packet);
      this.#askAgain(member.name, sent.from);
    } else if (outcome.code !== 'SIG_DUPLICATE') throw new Error(`a genuine message gave ${outcome.code}`);
    else this.counts.repeated++;
    return false;
  }

  #show(member: Member, sent: Sent): void {
    if (member.readTexts.has(sent.text)) throw new Error('a message was shown twice');
    member.readTexts.add(sent.text);
    this.counts.read++;
  }

  /** The reader tells the sender that it lacks the key: the next message brings it. Strangers are not heard. */
  #askAgain(reader: string, sender: string): void {
    this.counts.waited++;
    const member = this.members.get(sender)!;
    const bytes = member.disk.get('ledger');
    if (bytes === undefined || !this.roster.has(reader)) return;
    member.disk.set('ledger', encodeLedger(noteLoss(must(decodeLedger(bytes)), reader)));
  }

  #recordOf(disk: Map<string, Uint8Array>, from: string) {
    const bytes = disk.get(`sender/${from}`);
    return bytes && must(decodeSenderKeyRecord(bytes));
  }

  /** The network behaves: everything under way arrives, then each member sends twice, and everybody reads the second. */
  async settle(): Promise<void> {
    while (this.packets.length > 0) await this.receive(this.packets.shift()!);
    for (const round of [1, 2]) {
      for (const name of [...this.roster]) {
        await this.send(name);
        while (this.packets.length > 0) await this.receive(this.packets.shift()!);
        const { text } = this.history.at(-1)!;
        const missing = [...this.roster].filter(
          (other) => other !== name && !this.members.get(other)!.readTexts.has(text),
        );
        if (round === 2 && missing.length > 0) throw new Error(`${missing.join()} cannot read ${name}`);
      }
    }
  }

  /** Everybody tries every message that was not for them, with all that they have ever got. Throws where one is read. */
  checkOutsiders(): number {
    let tried = 0;
    for (const member of this.members.values()) {
      for (const sent of this.history) {
        if (sent.roster.has(member.name) || sent.from === member.name) continue;
        tried++;
        const outcome = decryptFromGroup(this.#recordOf(member.disk, sent.from), sent.ciphertext);
        if (!isSignalError(outcome)) throw new Error(`${member.name} read what was not for it: ${sent.text}`);
      }
    }
    return tried;
  }
}

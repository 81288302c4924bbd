/**
 * The load of `groups`: one group whose members are all online on connections of their own; some of them write.
 *
 *   writer ──<message group>──▶ server ──<message group>──▶ every other member
 *   writer ◀──<ack group>────── server ◀──<ack seq>──────── each of them, cumulative, one write a turn
 *
 * Checked: each member gets every place of the group once and in order, his own messages excepted, and the ciphertext that was sent.
 * A delivery counts when its acknowledgement is written; a message's latency is that of its slowest member.
 */

import {
  encodeGroupChange,
  draftGroupChange,
  FrameWriter,
  groupChangeStatement,
  groupMessageStanza,
  inboxAckStanza,
  iqSetStanza,
  isGroupRefusal,
  type GroupAction,
  type ServerMessage,
  type Stanza,
} from '../../protocol/wire/index.ts';
import { createHash } from 'node:crypto';
import { BenchError } from '../errors.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import { Pace } from '../harness/pace.ts';
import { LIMITS } from '../limits.ts';
import type { Speaker } from './connection.ts';
import { Tally, type LoadShape, type Subject } from './measured-run.ts';
import { CIPHERTEXT_TAG_BYTES, readTag, writeTag } from './message-template.ts';
import type { Account } from './opening.ts';
import type { Line } from './pair-load.ts';
import { readServerMessages } from './server-words.ts';
import { OPCODE, type ClientFrameWriter } from './websocket.ts';

/** A member and the connection that it is logged in on. */
export interface MemberEnd {
  readonly account: Account;
  readonly line: Line;
}

export interface GroupLoadOptions {
  /** The first creates the group; the first `writerCount` of them write. */
  readonly members: readonly MemberEnd[];
  readonly writerCount: number;
  /** 15 digits. */
  readonly group: string;
  readonly ciphertextBytes: number;
}

const EPOCH = 1;
const CREATE_IQ = 1;
/** Room that a frame of ours needs beside its ciphertext. */
const FRAME_ROOM_BYTES = 128;

/** A message that is not with every member yet. */
interface Flying {
  readonly intendedMs: number;
  missing: number;
}

export class GroupLoad implements Subject {
  readonly tally: Tally = new Tally();
  readonly failed: Promise<never>;
  /** Resolves when the group exists and every member has been told. */
  readonly created: Promise<void>;
  readonly clock: Clock;
  readonly options: GroupLoadOptions;
  readonly #members: MemberSpeaker[];
  readonly #writers: Map<string, MemberSpeaker>;
  readonly #fail: (error: Error) => void;
  #noteCreated: () => void = () => undefined;
  #informed = 0;
  #inFlight = 0;
  #next = 0;
  #pacing: { readonly pace: Pace; readonly cancel: Cancel } | undefined = undefined;

  /** Takes over the connections, and creates the group. */
  constructor(options: GroupLoadOptions, clock: Clock) {
    this.options = options;
    this.clock = clock;
    let fail: (error: Error) => void = () => undefined;
    this.failed = new Promise<never>((_resolve, reject) => (fail = reject));
    this.failed.catch(() => undefined);
    this.#fail = fail;
    this.created = new Promise((resolve) => (this.#noteCreated = resolve));
    this.#members = options.members.map((end) => new MemberSpeaker(end, this));
    this.#writers = new Map(this.#members.slice(0, options.writerCount).map((member) => [member.user, member]));
    this.#members[0]!.say(iqSetStanza({ id: CREATE_IQ, request: this.#creation() }));
  }

  /** The change that creates the group, signed by nobody: the server cannot tell. */
  #creation(): { readonly kind: 'group-change'; readonly group: string; readonly change: Uint8Array } {
    const { group, members } = this.options;
    const [author, ...others] = members.map(({ account }) => account);
    const adds = others.map(({ user }): GroupAction => ({ kind: 'add', user, role: 'member' }));
    const actions: GroupAction[] = [{ kind: 'create' }, ...adds];
    const { user, device } = author!;
    const draft = draftGroupChange(undefined, { group, author: user, device, time: 0, actions }, sha512);
    if (isGroupRefusal(draft)) throw new BenchError('BENCH_UNEXPECTED', draft.code);
    return { kind: 'group-change', group, change: encodeGroupChange(groupChangeStatement(draft), new Uint8Array(64)) };
  }

  begin(shape: LoadShape): void {
    const nowMs = this.clock.nowMs();
    if (shape.kind === 'closed') {
      this.#inFlight = shape.inFlight;
      for (const writer of this.#writers.values()) writer.intend(shape.inFlight, nowMs);
      return;
    }
    const pace = new Pace({
      ratePerSecond: shape.ratePerSecond,
      startMs: nowMs,
      index: shape.index,
      count: shape.count,
    });
    this.#pacing = { pace, cancel: this.clock.every(LIMITS.paceTickMs, () => this.#keepPace(pace)) };
  }

  #keepPace(pace: Pace): void {
    const writers = [...this.#writers.values()];
    const nowMs = this.clock.nowMs();
    for (let atMs = pace.take(nowMs); atMs !== undefined; atMs = pace.take(nowMs)) {
      writers[this.#next++ % writers.length]!.intend(1, atMs);
    }
  }

  stop(): void {
    const pacing = this.#pacing;
    this.#halt();
    if (pacing !== undefined) this.#keepPace(pacing.pace);
  }

  #halt(): void {
    this.#inFlight = 0;
    this.#pacing?.cancel();
    this.#pacing = undefined;
  }

  isIdle(): boolean {
    return this.#members.every((member) => member.isIdle);
  }

  describe(): string {
    const stuck = [...this.#writers.values()].reduce((sum, { flying }) => sum + flying.size, 0);
    return `${stuck} messages have not reached every member`;
  }

  fail(error: Error): void {
    this.#halt();
    this.#fail(error);
  }

  /** @internal A member was told of the group. */
  informed(): void {
    if (++this.#informed === this.#members.length) this.#noteCreated();
  }

  /** @internal A member got message `id` of `from`. */
  delivered(from: string, id: number, nowMs: number): void {
    const writer = this.#writers.get(from);
    const flying = writer?.flying.get(id);
    if (writer === undefined || flying === undefined) throw new BenchError('BENCH_DUPLICATE', `message ${id}`);
    if (--flying.missing > 0) return;
    writer.flying.delete(id);
    this.tally.arrived(nowMs, flying.intendedMs);
    const room = this.#inFlight - writer.flying.size;
    if (room > 0) writer.intend(room, nowMs);
  }
}

function sha512(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(bytes).digest());
}

/** One member: acknowledges what comes, and writes if it is one of those who do. */
class MemberSpeaker implements Speaker {
  readonly user: string;
  /** Own messages that are not with everybody, by id. */
  readonly flying: Map<number, Flying> = new Map();
  readonly #line: Line;
  readonly #load: GroupLoad;
  readonly #frames: FrameWriter = new FrameWriter();
  readonly #ciphertext: Uint8Array;
  readonly #due: Stanza[] = [];
  #id = 0;
  /** Messages of ours that are due and not written. */
  #unsent = 0;
  #order = 0;
  #seq = 0;
  #acknowledged = 0;

  constructor({ account, line }: MemberEnd, load: GroupLoad) {
    this.user = account.user;
    this.#line = line;
    this.#load = load;
    this.#ciphertext = new Uint8Array(load.options.ciphertextBytes).fill(0xa5);
    line.speaker = this;
  }

  get isIdle(): boolean {
    return this.flying.size === 0 && this.#unsent === 0 && this.#acknowledged === this.#seq;
  }

  say(stanza: Stanza): void {
    this.#due.push(stanza);
    this.#line.wake();
  }

  intend(count: number, intendedMs: number): void {
    const missing = this.#load.options.members.length - 1;
    for (let rest = count; rest > 0; rest--) {
      this.flying.set(++this.#id, { intendedMs, missing });
      this.#unsent++;
    }
    this.#line.wake();
  }

  speak(writer: ClientFrameWriter): boolean {
    if (writer.room < LIMITS.webSocketPayloadBytesMax + FRAME_ROOM_BYTES) return true;
    if (this.#acknowledged < this.#seq) {
      this.#load.tally.completed += this.#seq - this.#acknowledged;
      this.#acknowledged = this.#seq;
      this.#append(inboxAckStanza({ seq: this.#seq }));
    }
    for (const stanza of this.#due.splice(0)) this.#append(stanza);
    if (this.#unsent > 0) this.#append(this.#nextMessage());
    if (!this.#frames.isEmpty) writer.frame(OPCODE.binary, this.#frames.bytes());
    this.#frames.reset();
    return this.#unsent > 0;
  }

  #append(stanza: Stanza): void {
    if (!this.#frames.append(stanza)) throw new BenchError('BENCH_UNEXPECTED', 'a turn does not fit a message');
  }

  #nextMessage(): Stanza {
    const id = this.#id - --this.#unsent;
    writeTag(id, this.#ciphertext, 0);
    const { group } = this.#load.options;
    return groupMessageStanza({ group, id, epoch: EPOCH, ciphertext: this.#ciphertext });
  }

  hear(bytes: Uint8Array, start: number, end: number): void {
    const nowMs = this.#load.clock.nowMs();
    for (const message of readServerMessages(bytes, start, end)) this.#take(message, nowMs);
  }

  #take(message: ServerMessage, nowMs: number): void {
    switch (message.kind) {
      case 'group-message':
        this.#checkBytes(message.id, message.ciphertext);
        this.#note(message.order, message.seq);
        return this.#load.delivered(message.from, message.id, nowMs);
      case 'group-change':
        this.#note(message.order, message.seq);
        return this.#load.informed();
      case 'group-ack':
        // Own places are part of the row; the acknowledgement may come before or after their neighbours.
        this.#load.tally.accepted++;
        return;
      case 'group-error':
        return this.#load.fail(new BenchError('BENCH_REFUSED', message.code));
      case 'iq-error':
        return this.#load.fail(new BenchError('BENCH_REFUSED', message.code));
      case 'iq-result':
      case 'group-receipts':
        return;
      default:
        throw new BenchError('BENCH_UNEXPECTED', message.kind);
    }
  }

  #checkBytes(id: number, ciphertext: Uint8Array): void {
    const isWhole = ciphertext.length === this.#ciphertext.length && readTag(ciphertext, 0) === id;
    const last = ciphertext[ciphertext.length - 1];
    if (!isWhole || (ciphertext.length > CIPHERTEXT_TAG_BYTES && last !== 0xa5)) {
      throw new BenchError('BENCH_CORRUPT', `the ciphertext of message ${id} is another one`);
    }
  }

  /** Who never writes gets every place; who does, all but his own. Positions have no gaps for anybody. */
  #note(order: number, seq: number): void {
    const isNext = this.#id === 0 ? order === this.#order + 1 : order > this.#order;
    if (!isNext || seq !== this.#seq + 1) {
      const code = order <= this.#order ? 'BENCH_DUPLICATE' : 'BENCH_GAP';
      throw new BenchError(code, `place ${order} at ${seq} after ${this.#order} at ${this.#seq}`);
    }
    this.#order = order;
    this.#seq = seq;
    this.#line.wake();
  }

  ended(error: Error): void {
    this.#load.fail(error);
  }
}

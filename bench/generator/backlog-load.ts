/**
 * The load of `offline`: senders write to devices that are away, then all the devices come back at once.
 *
 *   fill    sender ──<message>…──▶ server ──<ack to>──▶ sender           the devices are not connected
 *   drain   device ──login──▶ server ──<message>…, <offline/>──▶ device ──<ack seq>──▶ server ──<receipt>──▶ sender
 *
 * Every stanza goes through the real decoder and parser, and every message is checked (`backlog.ts`, and its ciphertext by the
 * tag in it). The clock of a drain begins before the first connection and ends with the last message, so connecting and
 * logging in count.
 */

import { authStanza, FrameWriter, type ServerMessage } from '../../protocol/wire/index.ts';
import { BenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { LatencyHistogram, type EncodedHistogram } from '../harness/histogram.ts';
import { LIMITS } from '../limits.ts';
import type { AccountKeys } from './account-keys.ts';
import { Backlog } from './backlog.ts';
import type { Speaker } from './connection.ts';
import { INBOX_ACK_BYTES_MAX, MessageTemplate, readTag, writeInboxAck } from './message-template.ts';
import type { Account } from './opening.ts';
import { readServerMessages } from './server-words.ts';
import { OPCODE, type ClientFrameWriter } from './websocket.ts';

/** The part of a connection that a load needs. */
interface Line {
  speaker: Speaker;
  wake(): void;
}

export interface BacklogSender {
  readonly account: Account;
  readonly line: Line;
}

/** A device that is away, with what it needs to come back. */
export interface BacklogDevice {
  readonly account: Account;
  readonly keys: AccountKeys;
}

/** What a drain measured in one generator. Plain data. */
export interface DrainResult {
  readonly messages: number;
  /** From before the first connection to the last message. */
  readonly drainMs: number;
  /** From then to when every sender had its receipts. */
  readonly receiptsMs: number;
  /** From before the first connection to the first message of each device, and to its end-of-queue mark. */
  readonly first: EncodedHistogram;
  readonly last: EncodedHistogram;
  readonly cpuMs: number;
}

/** One device with its backlog. */
interface Recipient extends BacklogDevice {
  readonly backlog: Backlog;
}

export class BacklogLoad {
  readonly clock: Clock;
  readonly failed: Promise<never>;
  readonly first: LatencyHistogram = new LatencyHistogram();
  readonly last: LatencyHistogram = new LatencyHistogram();
  readonly #recipients: Recipient[];
  readonly #fail: (error: Error) => void;
  readonly #ciphertextBytes: number;
  /** When the drain that runs began. */
  beganMs = 0;
  /** When the last message so far came. */
  lastMs = 0;

  /** Takes over the connections of the senders. Each device hears from `conversations` of them, in turn. */
  constructor(
    senders: readonly BacklogSender[],
    devices: readonly BacklogDevice[],
    shape: { readonly conversations: number; readonly messages: number; readonly ciphertext: Uint8Array },
    clock: Clock,
  ) {
    this.clock = clock;
    this.#ciphertextBytes = shape.ciphertext.length;
    let fail: (error: Error) => void = ignore;
    this.failed = new Promise<never>((_resolve, reject) => (fail = reject));
    this.failed.catch(ignore);
    this.#fail = fail;
    const lanes = senders.map((): Lane[] => []);
    this.#recipients = devices.map((device, index) => {
      const chosen = Array.from({ length: shape.conversations }, (_, at) => (index + at) % senders.length);
      const users = chosen.map((at) => senders[at]!.account.user);
      const backlog = new Backlog(`device ${index}`, users, shape.messages);
      const { user: to, device: id } = device.account;
      for (const at of chosen) {
        const template = new MessageTemplate({ to, device: id, ciphertext: shape.ciphertext.slice() });
        lanes[at]!.push({ sender: senders[at]!.account.user, to, backlog, template });
      }
      return { ...device, backlog };
    });
    senders.forEach(({ line }, index) => (line.speaker = new FillSpeaker(lanes[index]!, line, this)));
    this.#lines = senders.map(({ line }) => line);
  }

  readonly #lines: readonly Line[];

  get messages(): number {
    return this.#recipients.reduce((sum, { backlog }) => sum + backlog.total, 0);
  }

  /** Sends everything. Resolves when all of it is on the server's disk. */
  async fill(): Promise<void> {
    for (const line of this.#lines) line.wake();
    await this.#until(() => this.#recipients.every(({ backlog }) => backlog.isFilled), LIMITS.fillMsMax);
  }

  /**
   * Brings all devices back.
   *
   * @param connect - Opens a connection with this speaker; resolves when it is open.
   */
  async drain(connect: (speaker: DrainSpeaker) => Line): Promise<DrainResult> {
    const cpu = process.cpuUsage();
    this.beganMs = this.clock.nowMs();
    for (const recipient of this.#recipients) {
      const speaker = new DrainSpeaker(recipient, this);
      speaker.line = connect(speaker);
    }
    await this.#until(() => this.#recipients.every(({ backlog }) => backlog.isDrained), LIMITS.fillMsMax);
    await this.#until(() => this.#recipients.every(({ backlog }) => backlog.isDone), LIMITS.drainMsMax);
    const receiptsMs = this.clock.nowMs() - this.lastMs;
    const { user, system } = process.cpuUsage(cpu);
    return {
      ...{ messages: this.messages, drainMs: this.lastMs - this.beganMs, receiptsMs },
      ...{ first: this.first.encode(), last: this.last.encode(), cpuMs: (user + system) / 1000 },
    };
  }

  async #until(isDone: () => boolean, timeoutMs: number): Promise<void> {
    const deadlineMs = this.clock.nowMs() + timeoutMs;
    const done = (async () => {
      while (!isDone()) {
        if (this.clock.nowMs() >= deadlineMs) throw new BenchError('BENCH_LOST', this.#describe());
        await new Promise<void>((resolve) => this.clock.after(POLL_MS, resolve));
      }
    })();
    await Promise.race([done, this.failed]);
  }

  #describe(): string {
    const sum = (count: (backlog: Backlog) => number): number =>
      this.#recipients.reduce((total, { backlog }) => total + count(backlog), 0);
    const filled = sum((backlog) => Number(backlog.isFilled));
    const drained = sum((backlog) => Number(backlog.isDrained));
    const received = sum((backlog) => backlog.received);
    return `of ${this.#recipients.length} devices ${filled} filled, ${drained} drained, ${received} messages received`;
  }

  /** Ends the run. The first error counts. */
  fail(error: Error): void {
    this.#fail(error);
  }

  /** @internal Whether a ciphertext is the one that was sent under this id. */
  isWhatWasSent(id: number, ciphertext: Uint8Array): boolean {
    return ciphertext.length === this.#ciphertextBytes && readTag(ciphertext, 0) === id;
  }
}

const POLL_MS = 2;

function ignore(): void {}

/** One conversation of a sender. */
interface Lane {
  readonly sender: string;
  readonly to: string;
  readonly backlog: Backlog;
  readonly template: MessageTemplate;
}

/** Decodes what comes, and says what does not belong here. */
abstract class BacklogSpeaker implements Speaker {
  protected readonly load: BacklogLoad;

  constructor(load: BacklogLoad) {
    this.load = load;
  }

  abstract speak(writer: ClientFrameWriter): boolean;
  protected abstract take(message: ServerMessage): void;

  hear(bytes: Uint8Array, start: number, end: number): void {
    for (const message of readServerMessages(bytes, start, end)) this.take(message);
  }

  ended(error: Error): void {
    this.load.fail(error);
  }
}

/** Sends the messages of a sender's conversations, one of each in turn, a bounded flight of all. Later it takes their receipts. */
class FillSpeaker extends BacklogSpeaker {
  readonly #lanes: readonly Lane[];
  readonly #laneOf: Map<string, Lane>;
  readonly #line: Line;
  /** Takes as many messages a second as the server allows one connection. */
  #allowance: number = LIMITS.fillPerSecondMax;
  #refilledMs = 0;
  #next = 0;
  /** Sent and not acknowledged. */
  #flight = 0;

  constructor(lanes: readonly Lane[], line: Line, load: BacklogLoad) {
    super(load);
    this.#lanes = lanes;
    this.#laneOf = new Map(lanes.map((lane) => [lane.to, lane]));
    this.#line = line;
  }

  speak(writer: ClientFrameWriter): boolean {
    this.#refill();
    for (let idle = 0; idle < this.#lanes.length;) {
      const lane = this.#lanes[this.#next]!;
      const hasRoom =
        Math.min(writer.room, LIMITS.webSocketPayloadBytesMax) >= lane.template.bytesOf(lane.backlog.messages);
      if (!hasRoom) return true;
      if (this.#flight >= LIMITS.fillFlightMax) return false;
      if (this.#allowance < 1) return this.#waitForAllowance();
      const id = lane.backlog.takeNext(lane.sender);
      this.#next = (this.#next + 1) % this.#lanes.length;
      if (id === 0) {
        idle += 1;
        continue;
      }
      idle = 0;
      this.#allowance -= 1;
      this.#flight += 1;
      writer.close(lane.template.write(id, writer.target, writer.open()));
    }
    return false;
  }

  #refill(): void {
    const nowMs = this.load.clock.nowMs();
    if (this.#refilledMs > 0) {
      const earned = ((nowMs - this.#refilledMs) / 1000) * LIMITS.fillPerSecondMax;
      this.#allowance = Math.min(LIMITS.fillPerSecondMax, this.#allowance + earned);
    }
    this.#refilledMs = nowMs;
  }

  #waitForAllowance(): boolean {
    this.load.clock.after(ALLOWANCE_MS, () => this.#line.wake());
    return false;
  }

  protected take(message: ServerMessage): void {
    if (message.kind === 'ack') {
      const { backlog, sender } = this.#laneTo(message.to);
      this.#flight -= backlog.accept(sender, message.id);
      this.#line.wake();
    } else if (message.kind === 'receipt' && message.type === 'delivered') {
      const { backlog, sender } = this.#laneTo(message.from);
      backlog.receipt(sender, message.id);
    } else if (message.kind === 'error') {
      throw new BenchError('BENCH_REFUSED', `${message.code} while filling`);
    } else throw new BenchError('BENCH_UNEXPECTED', `<${message.kind}> to a sender`);
  }

  #laneTo(user: string): Lane {
    const lane = this.#laneOf.get(user);
    if (lane === undefined) throw new BenchError('BENCH_UNEXPECTED', 'an answer about somebody who was not written to');
    return lane;
  }
}

const ALLOWANCE_MS = 5;

/** Logs in and takes what waits. */
export class DrainSpeaker extends BacklogSpeaker {
  line: Line | undefined = undefined;
  readonly #recipient: Recipient;
  #login: Uint8Array | undefined = undefined;

  constructor(recipient: Recipient, load: BacklogLoad) {
    super(load);
    this.#recipient = recipient;
  }

  speak(writer: ClientFrameWriter): boolean {
    if (this.#login !== undefined) writer.frame(OPCODE.binary, this.#login);
    this.#login = undefined;
    if (writer.room < INBOX_ACK_BYTES_MAX) return true;
    const seq = this.#recipient.backlog.takeAcknowledgement();
    if (seq > 0) writer.close(writeInboxAck(seq, writer.target, writer.open()));
    return false;
  }

  protected take(message: ServerMessage): void {
    const { backlog } = this.#recipient;
    switch (message.kind) {
      case 'message':
        return this.#receive(message);
      case 'offline':
        this.load.last.record(this.load.clock.nowMs() - this.load.beganMs);
        return backlog.drained();
      case 'stream':
        return this.#signIn(message.nonce);
      case 'success':
        return;
      case 'failure':
        throw new BenchError('BENCH_REGISTRATION', `${backlog.name} comes back: ${message.code}`);
      default:
        throw new BenchError('BENCH_UNEXPECTED', `<${message.kind}> to a device that comes back`);
    }
  }

  #receive({ from, id, seq, ciphertext }: Extract<ServerMessage, { kind: 'message' }>): void {
    const { backlog } = this.#recipient;
    const nowMs = this.load.clock.nowMs();
    if (backlog.received === 0) this.load.first.record(nowMs - this.load.beganMs);
    backlog.receive(from, id, seq);
    if (!this.load.isWhatWasSent(id, ciphertext)) {
      throw new BenchError('BENCH_CORRUPT', `${backlog.name}: the ciphertext of message ${id} is another one`);
    }
    this.load.lastMs = nowMs;
    this.line?.wake();
  }

  #signIn(nonce: Uint8Array): void {
    const { account, keys } = this.#recipient;
    const { user, device } = account;
    const frames = new FrameWriter();
    frames.append(authStanza({ user, device, signature: keys.signLogin(nonce, user, device) }));
    this.#login = frames.bytes().slice();
    this.line?.wake();
  }
}

/**
 * The load of `messages`: many pairs, each a sender and a recipient on connections of their own.
 *
 *   sender ──<message>…──▶ server ──<message>──▶ recipient        one write a socket and turn in every direction,
 *   sender ◀──<ack to>──── server ◀──<ack seq>── recipient        acknowledgements cumulative
 *   sender ◀─<receipt>──── server
 *
 * Both ends live in this process, so an arrival and its intention are on one clock. What is counted and checked stands in
 * `pair.ts`, when messages are intended in `paced-pairs.ts`; here both are tied to connections.
 */

import { isWireError, type ServerMessage } from '../../protocol/wire/index.ts';
import { BenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import type { Speaker } from './connection.ts';
import type { Tally } from './measured-run.ts';
import {
  CIPHERTEXT_TAG_BYTES,
  INBOX_ACK_BYTES_MAX,
  MessageTemplate,
  readTag,
  writeInboxAck,
} from './message-template.ts';
import type { Account } from './opening.ts';
import { PacedPairs, type Paced } from './paced-pairs.ts';
import { Pair } from './pair.ts';
import { StanzaScanner, type StanzaTaker } from './stanza-scanner.ts';
import type { ClientFrameWriter } from './websocket.ts';

/** How long refusals are gathered before the run is given up, so that the failure can count them by code. */
export const REFUSALS_GATHER_MS = 200;
/** Every message's ciphertext is checked by its tag, and one in this many (a power of two) byte by byte. */
const FULL_CHECK_INTERVAL = 64;

/** The part of a connection that a load needs. */
export interface Line {
  speaker: Speaker;
  wake(): void;
}

export interface PairEnds {
  readonly sender: { readonly account: Account; readonly line: Line };
  readonly recipient: { readonly account: Account; readonly line: Line };
  /** What the sender sends, over and over, with the message id in front. Owned by the load. */
  readonly ciphertext: Uint8Array;
}

/** What both ends of a pair share. */
interface Conversation extends Paced {
  readonly load: PairLoad;
  readonly recipientLine: Line;
  readonly ciphertext: Uint8Array;
}

export class PairLoad extends PacedPairs<Conversation> {
  readonly #refusals: Map<string, number> = new Map();

  /** Takes over the connections: their speakers are replaced. */
  constructor(ends: readonly PairEnds[], clock: Clock) {
    super(clock);
    for (const [index, pair] of ends.entries()) this.add(this.#converse(pair, index));
  }

  #converse({ sender, recipient, ciphertext }: PairEnds, index: number): Conversation {
    const wake = (): void => sender.line.wake();
    const ends = { wake, recipientLine: recipient.line, ciphertext: ciphertext.slice() };
    const conversation: Conversation = { pair: new Pair(`pair ${index}`), load: this, ...ends };
    const { user: to, device } = recipient.account;
    sender.line.speaker = new SenderSpeaker(
      conversation,
      recipient.account,
      new MessageTemplate({ to, device, ciphertext }),
    );
    recipient.line.speaker = new RecipientSpeaker(conversation, sender.account);
    return conversation;
  }

  /** @internal A message was refused. Counts it, and gives the run up a little later with all that came together. */
  refused(code: string): void {
    if (this.#refusals.size === 0) this.clock.after(REFUSALS_GATHER_MS, () => this.fail(this.#refusalError()));
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
    this.halt();
  }

  #refusalError(): BenchError {
    const counts = Array.from(this.#refusals, ([code, count]) => `${code} ${count} times`);
    return new BenchError('BENCH_REFUSED', counts.join(', '));
  }
}

/** What both speakers do: scan a message at one moment, and turn away what does not belong here. */
abstract class PairSpeaker implements Speaker, StanzaTaker {
  protected readonly conversation: Conversation;
  protected readonly pair: Pair;
  protected readonly load: PairLoad;
  protected readonly tally: Tally;
  /** When the message that is being scanned was received. One reading of the clock serves all its stanzas. */
  protected nowMs = 0;
  readonly #scanner: StanzaScanner;
  readonly #correspondent: Account;

  constructor(conversation: Conversation, correspondent: Account) {
    this.conversation = conversation;
    this.pair = conversation.pair;
    this.load = conversation.load;
    this.tally = conversation.load.tally;
    this.#correspondent = correspondent;
    this.#scanner = new StanzaScanner(correspondent, this);
  }

  abstract speak(writer: ClientFrameWriter): boolean;

  hear(bytes: Uint8Array, start: number, end: number): void {
    this.nowMs = this.load.clock.nowMs();
    const refusal = this.#scanner.scan(bytes, start, end);
    if (isWireError(refusal)) throw this.unexpected(refusal.message);
  }

  ended(error: Error): void {
    this.load.fail(error);
  }

  delivery(_id: number, _seq: number, _bytes: Uint8Array, _start: number, _end: number): void {
    throw this.unexpected('<message> to a sender');
  }

  ack(_id: number): void {
    throw this.unexpected('<ack> to a recipient');
  }

  receipt(_id: number): void {
    throw this.unexpected('<receipt> to a recipient');
  }

  /** The stanzas of the conversation in another form than the usual one mean the same; the rest does not belong here. */
  other(message: ServerMessage): void {
    const { user } = this.#correspondent;
    if (message.kind === 'ack' && message.to === user) return this.ack(message.id);
    if (message.kind === 'receipt' && message.type === 'delivered' && message.from === user)
      return this.receipt(message.id);
    if (message.kind === 'error' && message.to === user) return this.load.refused(message.code);
    if (message.kind !== 'message' || message.from !== user) throw this.unexpected(message.kind);
    this.delivery(message.id, message.seq, message.ciphertext, 0, message.ciphertext.length);
  }

  protected unexpected(what: string): BenchError {
    return new BenchError('BENCH_UNEXPECTED', `${this.pair.name}: ${what}`);
  }
}

class SenderSpeaker extends PairSpeaker {
  readonly #template: MessageTemplate;
  readonly #takeReceipt = (intendedMs: number, count: number): void => {
    if (this.tally.includes(intendedMs)) this.tally.receipt.record(this.nowMs - intendedMs, count);
  };

  constructor(conversation: Conversation, recipient: Account, template: MessageTemplate) {
    super(conversation, recipient);
    this.#template = template;
  }

  speak(writer: ClientFrameWriter): boolean {
    const { pair } = this;
    if (pair.sent === pair.due) return false;
    const nowMs = this.load.clock.nowMs();
    while (pair.sent < pair.due) {
      const room = Math.min(writer.room, LIMITS.webSocketPayloadBytesMax);
      if (room < this.#template.bytesOf(pair.sent + 1)) return true;
      this.#noteSending(nowMs);
      // One WebSocket message for each: people write one at a time, and so the closed and the open loop load alike.
      writer.close(this.#template.write(pair.takeDue(nowMs), writer.target, writer.open()));
    }
    return false;
  }

  /** How late the generator itself is: for each message, since one for a turn would hide how many a stall held up. */
  #noteSending(nowMs: number): void {
    const intendedMs = this.pair.nextIntendedMs;
    if (this.tally.includes(intendedMs)) this.tally.sending.record(nowMs - intendedMs);
  }

  override ack(id: number): void {
    this.tally.accepted += this.pair.accept(id);
  }

  override receipt(id: number): void {
    const count = this.pair.receipt(id, this.#takeReceipt);
    if (count > 0) this.load.completed(this.conversation, count, this.nowMs);
  }
}

class RecipientSpeaker extends PairSpeaker {
  speak(writer: ClientFrameWriter): boolean {
    if (writer.room < INBOX_ACK_BYTES_MAX) return true;
    const seq = this.pair.takeAcknowledgement();
    if (seq > 0) writer.close(writeInboxAck(seq, writer.target, writer.open()));
    return false;
  }

  override delivery(id: number, seq: number, bytes: Uint8Array, start: number, end: number): void {
    const intendedMs = this.pair.deliver(id, seq);
    if (!this.#isWhatWasSent(id, bytes, start, end)) {
      throw new BenchError('BENCH_CORRUPT', `${this.pair.name}: the ciphertext of message ${id} is another one`);
    }
    this.tally.arrived(this.nowMs, intendedMs, this.pair.sentMs(id));
    this.conversation.recipientLine.wake();
  }

  #isWhatWasSent(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { ciphertext } = this.conversation;
    if (end - start !== ciphertext.length || readTag(bytes, start) !== id) return false;
    if ((id & (FULL_CHECK_INTERVAL - 1)) !== 0) return true;
    for (let index = CIPHERTEXT_TAG_BYTES; index < ciphertext.length; index += 1) {
      if (bytes[start + index] !== ciphertext[index]) return false;
    }
    return true;
  }
}

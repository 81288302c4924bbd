/**
 * The load of `messages` on XMPP: the same pairs, paces, checks and clocks, in stanzas of XMPP.
 *
 *   sender ──<message>──▶ ejabberd ──<message>──▶ recipient
 *
 * A cycle ends with the arrival: this server sends neither an acknowledgement nor a receipt. What that leaves out of the
 * comparison is said beside the figures.
 */

import { BenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { Pair } from './pair.ts';
import { PacedPairs } from './paced-pairs.ts';
import { xmppAddress, type XmppLine, type XmppSpeaker } from './xmpp-line.ts';

/** The two ends of a pair, logged in. */
export interface XmppEnds {
  readonly sender: XmppLine;
  readonly recipient: XmppLine;
  /** The number of the recipient's account. */
  readonly recipientAccount: number;
}

/** Digits in front of a body that say which message it is; the rest is the same in all. */
const TAG_DIGITS = 10;
const ID = / id='(\d+)'/;
const BODY = /<body>([^<]*)<\/body>/;

/** A conversation of XMPP. */
interface Conversation {
  readonly pair: Pair;
  wake(): void;
}

export class XmppLoad extends PacedPairs<Conversation> {
  /** Takes over the connections. @param bodyBytes - Of a message; as many as a ciphertext has. */
  constructor(ends: readonly XmppEnds[], bodyBytes: number, clock: Clock) {
    super(clock);
    const filler = 'x'.repeat(Math.max(0, bodyBytes - TAG_DIGITS));
    for (const [index, { sender, recipient, recipientAccount }] of ends.entries()) {
      const pair = new Pair(`XMPP pair ${index}`);
      const conversation = { pair, wake: () => sender.wake() };
      sender.speaker = new XmppSender(this, pair, xmppAddress(recipientAccount), filler);
      recipient.speaker = new XmppRecipient(this, conversation, filler);
      this.add(conversation);
    }
  }
}

function bodyOf(id: number, filler: string): string {
  return String(id).padStart(TAG_DIGITS, '0') + filler;
}

class XmppSender implements XmppSpeaker {
  readonly #load: XmppLoad;
  readonly #pair: Pair;
  readonly #head: string;
  readonly #filler: string;

  constructor(load: XmppLoad, pair: Pair, to: string, filler: string) {
    this.#load = load;
    this.#pair = pair;
    this.#head = `<message to='${to}' type='chat' id='`;
    this.#filler = filler;
  }

  speak(): string {
    const pair = this.#pair;
    if (pair.sent === pair.due) return '';
    const nowMs = this.#load.clock.nowMs();
    const { tally } = this.#load;
    let said = '';
    while (pair.sent < pair.due) {
      if (tally.includes(pair.nextIntendedMs)) tally.sending.record(nowMs - pair.nextIntendedMs);
      const id = pair.takeDue(nowMs);
      said += `${this.#head}${id}'><body>${bodyOf(id, this.#filler)}</body></message>`;
    }
    return said;
  }

  hear(stanza: string): void {
    const code = stanza.includes("type='error'") ? 'BENCH_REFUSED' : 'BENCH_UNEXPECTED';
    throw new BenchError(code, `${this.#pair.name}, to its sender: ${stanza}`);
  }

  ended(error: Error): void {
    this.#load.fail(error);
  }
}

class XmppRecipient implements XmppSpeaker {
  readonly #load: XmppLoad;
  readonly #conversation: Conversation;
  readonly #filler: string;

  constructor(load: XmppLoad, conversation: Conversation, filler: string) {
    this.#load = load;
    this.#conversation = conversation;
    this.#filler = filler;
  }

  speak(): string {
    return '';
  }

  hear(stanza: string): void {
    const { pair } = this.#conversation;
    const id = Number(ID.exec(stanza)?.[1]);
    if (BODY.exec(stanza)?.[1] !== bodyOf(id, this.#filler)) {
      throw new BenchError('BENCH_CORRUPT', `${pair.name}: the body of message ${id} is another one`);
    }
    const nowMs = this.#load.clock.nowMs();
    const intendedMs = pair.deliver(id, id);
    const { tally } = this.#load;
    tally.arrived(nowMs, intendedMs, pair.sentMs(id));
    // There is nothing more to come: with the arrival the cycle is complete.
    pair.takeAcknowledgement();
    tally.accepted += pair.accept(id);
    this.#load.completed(this.#conversation, pair.receipt(id, ignore), nowMs);
  }

  ended(error: Error): void {
    this.#load.fail(error);
  }
}

function ignore(): void {}

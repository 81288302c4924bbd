/**
 * A device that acknowledges and does not read: what it says it has stored is pushed no more, and the rest piles up in its socket, first
 * in the kernel's buffers and then in the server's. At the bound it is cut off; then it comes back for its next turn.
 */

import { LIMITS as SERVER } from '../../actors/limits.ts';
import type { ServerMessage } from '../../protocol/wire/index.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import type { Offence } from './control.ts';
import { OffenderLine } from './line.ts';
import { Allowance, eachTick, Refusals, type Offender, type Scene } from './offender.ts';

const CIPHERTEXT: Uint8Array = new Uint8Array(15_000).fill(0xa5);
/** Messages under way from who writes to it. */
const FLIGHT_MAX = 16;
const RULE = { burst: SERVER.inboundBytesBurstMax, perSecond: SERVER.inboundBytesPerSecondMax };

export class SlowReader implements Offender {
  readonly #clock: Clock;
  readonly #reader: OffenderLine;
  readonly #writer: OffenderLine;
  readonly #allowance: Allowance;
  readonly #refusals: Refusals = new Refusals();
  #attempts = 0;
  #acknowledged = 0;
  #sent = 0;
  #cuts = 0;
  #isOffending = false;
  #cancel: Cancel = () => undefined;

  private constructor(reader: OffenderLine, writer: OffenderLine, clock: Clock) {
    this.#clock = clock;
    this.#reader = reader;
    this.#writer = writer;
    this.#allowance = new Allowance(RULE, clock);
    reader.ending = () => this.#cutOff();
    writer.hearing = (message) => this.#hear(message);
    writer.ending = () => this.#resume();
  }

  static async open({ registrar, url, phone, clock }: Scene): Promise<SlowReader> {
    const reader = await OffenderLine.open(registrar, url, phone(0));
    return new SlowReader(reader, await OffenderLine.open(registrar, url, phone(1)), clock);
  }

  begin(): void {
    this.#allowance.begin();
    this.#isOffending = true;
    if (this.#reader.isLive) this.#reader.stopReading();
    this.#cancel = eachTick(this.#clock, () => this.#write());
  }

  /** Who does not read hears nothing of an end: only now it is noticed. */
  end(): void {
    this.#isOffending = false;
    this.#cancel();
    this.#reader.readOn();
  }

  #write(): void {
    const { user: to } = this.#reader.account;
    while (this.#sent - this.#acknowledged < FLIGHT_MAX) {
      this.#attempts += 1;
      const envelopes = [{ device: 1, type: 'ratchet', ciphertext: CIPHERTEXT }] as const;
      this.#writer.say({ kind: 'message', to, id: ++this.#sent, envelopes });
    }
  }

  #hear(message: ServerMessage): void {
    if (message.kind === 'error') this.#refused(message.code, message.id);
    if (message.kind !== 'ack') return;
    this.#acknowledged = Math.max(this.#acknowledged, message.id);
    // What it says that it has stored, it has not even read.
    if (this.#isOffending) this.#reader.say({ kind: 'inbox-ack', seq: this.#acknowledged });
  }

  #refused(code: string, id: number): void {
    this.#refusals.add(code);
    this.#sent = Math.min(this.#sent, id - 1);
  }

  #cutOff(): void {
    this.#cuts += 1;
    void this.#reader.comeBack().then(() => {
      this.#reader.say({ kind: 'inbox-ack', seq: Math.max(1, this.#acknowledged) });
      if (this.#isOffending) this.#reader.stopReading();
    });
  }

  /** Who writes does not wait as long as it is told, and is ended for it: it goes on after what it knows to be stored. */
  #resume(): void {
    this.#allowance.renew();
    void this.#writer.comeBack().then(() => (this.#sent = this.#acknowledged));
  }

  get offence(): Offence {
    const accepted = this.#acknowledged * CIPHERTEXT.length;
    return {
      ...{ attempts: this.#attempts, accepted, allowed: this.#allowance.count },
      ...{ refusals: this.#refusals.byCode, cuts: this.#cuts },
    };
  }
}

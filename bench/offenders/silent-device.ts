/**
 * A device that never acknowledges, to which somebody writes as fast as a connection may: it is pushed a window and nothing more, its
 * inbox fills up to its bound, and then those who write to it are told so.
 */

import { LIMITS as SERVER } from '../../actors/limits.ts';
import type { ServerMessage } from '../../protocol/wire/index.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import type { Offence } from './control.ts';
import { OffenderLine } from './line.ts';
import { eachTick, Refusals, TICK_MS, type Offender, type Scene } from './offender.ts';

const MESSAGES_A_TICK: number = (LIMITS.fillPerSecondMax * TICK_MS) / 1_000;
const CIPHERTEXT: Uint8Array = new Uint8Array(100).fill(0xa5);

export class SilentDevice implements Offender {
  readonly #clock: Clock;
  readonly #device: OffenderLine;
  readonly #writer: OffenderLine;
  readonly #refusals: Refusals = new Refusals();
  #attempts = 0;
  #acknowledged = 0;
  #sent = 0;
  #pushed = 0;
  #cuts = 0;
  #cancel: Cancel = () => undefined;

  private constructor(device: OffenderLine, writer: OffenderLine, clock: Clock) {
    this.#clock = clock;
    this.#device = device;
    this.#writer = writer;
    device.hearing = ({ kind }) => (this.#pushed += kind === 'message' ? 1 : 0);
    device.ending = () => (this.#cuts += 1);
    writer.hearing = (message) => this.#hear(message);
  }

  static async open({ registrar, url, phone, clock }: Scene): Promise<SilentDevice> {
    const device = await OffenderLine.open(registrar, url, phone(0));
    return new SilentDevice(device, await OffenderLine.open(registrar, url, phone(1)), clock);
  }

  begin(): void {
    this.#cancel = eachTick(this.#clock, () => this.#write());
  }

  end(): void {
    this.#cancel();
  }

  #write(): void {
    const { user: to } = this.#device.account;
    for (let rest = MESSAGES_A_TICK; rest > 0; rest--) {
      this.#attempts += 1;
      const envelopes = [{ device: 1, type: 'ratchet', ciphertext: CIPHERTEXT }] as const;
      this.#writer.say({ kind: 'message', to, id: ++this.#sent, envelopes });
    }
  }

  /** Whatever was refused, what follows it is out of order: it goes on where the server is. */
  #hear(message: ServerMessage): void {
    if (message.kind === 'ack') this.#acknowledged = Math.max(this.#acknowledged, message.id);
    if (message.kind !== 'error') return;
    this.#refusals.add(message.code);
    this.#sent = Math.min(this.#sent, message.id - 1);
  }

  get offence(): Offence {
    const allowed = SERVER.windowCountMax;
    return {
      ...{ attempts: this.#attempts, accepted: this.#pushed, allowed },
      ...{ refusals: this.#refusals.byCode, cuts: this.#cuts },
    };
  }
}

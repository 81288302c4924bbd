/**
 * A stranger who wants all the pre-keys of somebody: a thousand requests a second for the bundle of one target. It gets as many as one
 * requester may have of one target, and then a code and a time.
 */

import { LIMITS as SERVER } from '../../actors/limits.ts';
import type { ServerMessage } from '../../protocol/wire/index.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import type { Offence } from './control.ts';
import { OffenderLine } from './line.ts';
import { Allowance, eachTick, Refusals, type Offender, type Scene } from './offender.ts';

const REQUESTS_A_TICK = 10;
const RULE = { burst: SERVER.bundlesOfOneTargetMax, perSecond: 1_000 / SERVER.bundleOfOneTargetMs };

export class PreKeyHammer implements Offender {
  readonly #clock: Clock;
  readonly #line: OffenderLine;
  readonly #target: string;
  readonly #allowance: Allowance;
  readonly #refusals: Refusals = new Refusals();
  #attempts = 0;
  #bundles = 0;
  #cuts = 0;
  #cancel: Cancel = () => undefined;

  private constructor(line: OffenderLine, target: string, clock: Clock) {
    this.#line = line;
    this.#target = target;
    this.#clock = clock;
    this.#allowance = new Allowance(RULE, clock);
    line.hearing = (message) => this.#hear(message);
    line.ending = () => (this.#cuts += 1);
  }

  static async open({ registrar, url, phone, clock }: Scene): Promise<PreKeyHammer> {
    const { account } = await registrar.register(url, phone(0));
    return new PreKeyHammer(await OffenderLine.open(registrar, url, phone(1)), account.user, clock);
  }

  begin(): void {
    this.#allowance.begin();
    this.#cancel = eachTick(this.#clock, () => this.#hammer());
  }

  end(): void {
    this.#cancel();
  }

  #hammer(): void {
    for (let rest = REQUESTS_A_TICK; rest > 0; rest--) {
      this.#attempts += 1;
      this.#line.say({ kind: 'iq-get', id: this.#attempts, request: { kind: 'bundle', user: this.#target } });
    }
  }

  #hear(message: ServerMessage): void {
    if (message.kind === 'iq-error') this.#refusals.add(message.code);
    else if (message.kind === 'iq-result') this.#bundles += 1;
  }

  get offence(): Offence {
    const { count: allowed } = this.#allowance;
    return {
      ...{ attempts: this.#attempts, accepted: this.#bundles, allowed },
      ...{ refusals: this.#refusals.byCode, cuts: this.#cuts },
    };
  }
}

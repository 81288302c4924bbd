/**
 * A member who floods a group: a thousand messages a second, each of which would become a delivery to every other member. The others
 * of the group are online and acknowledge what comes.
 */

import { createHash } from 'node:crypto';
import { LIMITS as SERVER } from '../../actors/limits.ts';
import {
  draftGroupChange,
  encodeGroupChange,
  FEATURES,
  groupChangeStatement,
  isGroupRefusal,
  type GroupAction,
  type ServerMessage,
} from '../../protocol/wire/index.ts';
import { BenchError } from '../errors.ts';
import { mapWithBound } from '../generator/registrar.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import type { Offence } from './control.ts';
import { OffenderLine } from './line.ts';
import { Allowance, eachTick, Refusals, type Offender, type Scene } from './offender.ts';

const MESSAGES_A_TICK = 10;
const RULE = { burst: SERVER.groupMessagesBurstMax, perSecond: SERVER.groupMessagesPerSecondMax };
/** The store is new, so any id is free. */
const GROUP = '700000000000009';
const CIPHERTEXT: Uint8Array = new Uint8Array(100).fill(0xa5);
/** The change that creates the group makes it. */
const EPOCH = 1;

export class GroupFlood implements Offender {
  readonly #clock: Clock;
  readonly #line: OffenderLine;
  readonly #allowance: Allowance;
  readonly #refusals: Refusals = new Refusals();
  #attempts = 0;
  #acknowledged = 0;
  /** The last one that was sent lawfully; what is refused is sent again. */
  #sent = 0;
  #cuts = 0;
  #cancel: Cancel = () => undefined;

  private constructor(line: OffenderLine, others: readonly OffenderLine[], clock: Clock) {
    this.#clock = clock;
    this.#line = line;
    this.#allowance = new Allowance(RULE, clock);
    line.hearing = (message) => this.#hear(message);
    line.ending = () => this.#cutOff();
    for (const other of others) other.hearing = (message) => acknowledge(message, other);
  }

  static async open({ registrar, url, phone, clock, members }: Scene): Promise<GroupFlood> {
    const phones = Array.from({ length: members }, (_, index) => phone(index));
    const lines = await mapWithBound(phones, LIMITS.stormOpeningParallelMax, (each) =>
      OffenderLine.open(registrar, url, each, FEATURES.groups),
    );
    const [line, ...others] = lines;
    await createGroup(line!, others);
    return new GroupFlood(line!, others, clock);
  }

  begin(): void {
    this.#allowance.begin();
    this.#cancel = eachTick(this.#clock, () => this.#flood());
  }

  end(): void {
    this.#cancel();
  }

  /** The same member, who sends to the group what it may in a second, evenly. */
  lawful(): Offender {
    let cancel: Cancel = () => undefined;
    return {
      begin: () => {
        // The bucket is the one that the flood takes from.
        this.#allowance.begin();
        cancel = this.#clock.every(1_000 / RULE.perSecond, () => this.#sendOne());
      },
      end: () => cancel(),
      offence: { attempts: 0, accepted: 0, allowed: 0, refusals: {}, cuts: 0 },
    };
  }

  #sendOne(): void {
    this.#sent = Math.max(this.#sent, this.#acknowledged) + 1;
    this.#say(this.#sent);
  }

  #say(id: number): void {
    this.#line.say({ kind: 'group-message', group: GROUP, id, epoch: EPOCH, ciphertext: CIPHERTEXT });
  }

  /** What was refused is said again, and what follows it as well: patience is what an offender lacks. */
  #flood(): void {
    for (let index = 1; index <= MESSAGES_A_TICK; index++) {
      this.#attempts += 1;
      this.#say(this.#acknowledged + index);
    }
  }

  #hear(message: ServerMessage): void {
    if (message.kind === 'group-error') {
      this.#refusals.add(message.code);
      this.#sent = this.#acknowledged;
    } else if (message.kind === 'group-ack') this.#acknowledged = Math.max(this.#acknowledged, message.id);
  }

  /** A flood is ended, and begins again: perhaps on another worker, which has another bucket for it. */
  #cutOff(): void {
    this.#cuts += 1;
    this.#allowance.renew();
    void this.#line.comeBack();
  }

  get offence(): Offence {
    const { count: allowed } = this.#allowance;
    return {
      ...{ attempts: this.#attempts, accepted: this.#acknowledged, allowed },
      ...{ refusals: this.#refusals.byCode, cuts: this.#cuts },
    };
  }
}

/** The change is signed by nobody: the server cannot tell. */
function createGroup(author: OffenderLine, others: readonly OffenderLine[]): Promise<void> {
  const adds = others.map(({ account }): GroupAction => ({ kind: 'add', user: account.user, role: 'member' }));
  const { user, device } = author.account;
  const actions: GroupAction[] = [{ kind: 'create' }, ...adds];
  const draft = draftGroupChange(undefined, { group: GROUP, author: user, device, time: 0, actions }, sha512);
  if (isGroupRefusal(draft)) throw new BenchError('BENCH_UNEXPECTED', draft.code);
  const change = encodeGroupChange(groupChangeStatement(draft), new Uint8Array(64));
  return new Promise((resolve, reject) => {
    author.hearing = (message) => {
      if (message.kind === 'iq-result') resolve();
      else if (message.kind === 'iq-error') reject(new BenchError('BENCH_REFUSED', message.code));
    };
    author.say({ kind: 'iq-set', id: 1, request: { kind: 'group-change', group: GROUP, change } });
  });
}

function sha512(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(bytes).digest());
}

function acknowledge(message: ServerMessage, line: OffenderLine): void {
  if (message.kind !== 'group-message' && message.kind !== 'group-change') return;
  line.say({ kind: 'inbox-ack', seq: message.seq });
}

/**
 * The sending half of a conversation against a server that flushes late, changes owners and sees devices come and go: thousands of random
 * schedules, in which no message may be told as refused, or lose its id, that the server has accepted.
 *
 * The server here is the protocol's: any id opens a conversation without a record, from then on ids without gaps; refusals at once, acknowledgements
 * after the flush, a resend answered like the first time. Every other server lets nothing past what its connection refused for its rate. And every other
 * one has owners that doubt their record, as after a restore: those take any id again, but none behind a message that its connection has no answer to and
 * they have not; they cannot say which one they expect.
 */

import t from 'tap';
import { openLane, stepLane } from './outbox.ts';
import type { Lane, LaneAction, LaneEvent } from './outbox.ts';
import { SeededRandom } from './testing/seeded-random.ts';

const RUN_COUNT = 2_400;
const MOVE_COUNT = 300;
const CODE_OF_PREPARING = 'CLI_IDENTITY_REFUSED';

/** A message as the sender has it: what it says, and for which devices it is encrypted, 0 while it is not. */
interface Entry {
  readonly serial: number;
  readonly devices: number;
}

interface Transmitted extends Entry {
  readonly id: number;
}

/** One sender, one server, and what is on the way between them. */
class Schedule {
  readonly #random: SeededRandom;
  #lane: Lane = openLane({ nextId: 1, sentId: 0, deliveredId: 0, readId: 0 });
  readonly #entries = new Map<number, Entry>();
  #wire: Transmitted[] = [];
  #answers: LaneEvent[] = [];
  #hasTimer = false;
  /** Devices to encrypt for: those that a refusal named, or 0 for those that are known. */
  #preparing: number | undefined;
  #knownDevices = 1;
  #nextSerial = 1;
  /** The server's: serials by id, without gaps; the first `#durable` of them outlive a change of owner. */
  #stored: number[] = [];
  #durable = 0;
  #devices = 1;
  /** A change of owner lost messages that nothing follows: the server ends such a connection. */
  #isCutOff = false;
  /** Whether what follows a refusal is refused before it comes to the conversation, and the first that was refused so. */
  readonly #guards: boolean;
  #awaited = Infinity;
  /** Whether owners may doubt their record, and whether the present one does: it takes any id then. */
  readonly #doubts: boolean;
  #isInDoubt = false;
  /** What the connection has handed over and has no answer to, copy by copy; and the first that was refused and has not come again. */
  #unanswered: number[] = [];
  #refused = Infinity;
  readonly problems: string[] = [];
  /** Renewals that failed for good while the server had messages that it had not acknowledged. */
  hardCases = 0;
  /** Refusals while the server had no record. */
  openings = 0;
  /** Refusals of an owner that doubts its record, of what came behind a message that was lost with another one. */
  holes = 0;
  /** Messages on the wire, those that were sent again counted each time. */
  transmissions = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#guards = random.chance(0.5);
    this.#doubts = random.chance(0.5);
  }

  run(): void {
    this.#step({ type: 'online' });
    for (let move = 0; move < MOVE_COUNT; move += 1) this.#move(this.#random.integer(20));
    this.#settle();
  }

  #move(choice: number): void {
    if (choice < 4) this.#write();
    else if (choice < 9) this.#take(this.#random.chance(0.1));
    else if (choice < 13) this.#hear();
    else if (choice < 14) this.#flush();
    else if (choice < 16) this.#elapse();
    else if (choice < 18) this.#finishPreparing(this.#random.integer(4));
    else if (this.#random.chance(0.4)) this.#devices += 1;
    else if (this.#random.chance(0.3)) this.#changeOwner();
    else if (this.#random.chance(0.3)) this.#reconnect();
  }

  /** Nothing goes wrong any more: whatever is there must arrive. */
  #settle(): void {
    // On a connection that is known to be one, whatever follows a loss has the sender go back to it, if its owner asks what came before.
    if (this.#isInDoubt && this.#lane.confirmed) this.#write();
    else if (this.#isCutOff) this.#reconnect();
    for (let round = 0; round < 60; round += 1) {
      while (this.#wire.length > 0) this.#take(false);
      this.#flush();
      while (this.#answers.length > 0) this.#hear();
      this.#finishPreparing(0);
      this.#elapse();
    }
    if (this.#entries.size > 0) this.#complain(`${this.#entries.size} messages wait for ever`);
  }

  #write(): void {
    const { nextId, preparedId, hold } = this.#lane;
    const isSealable = preparedId === nextId - 1 && hold.type !== 'renewing' && this.#random.chance(0.7);
    this.#entries.set(nextId, { serial: this.#nextSerial++, devices: isSealable ? this.#knownDevices : 0 });
    this.#step({ type: 'queued', lastId: nextId, preparedId: isSealable ? nextId : preparedId });
  }

  /** The server takes the next message. */
  #take(isBusy: boolean): void {
    const message = this.#wire.shift();
    if (message === undefined) return;
    const { id, serial, devices } = message;
    const after = Math.max(0, ...[...this.#unanswered, this.#refused].filter((each) => each < id));
    this.#unanswered.push(id);
    if (this.#refused === id) this.#refused = Infinity;
    if (this.#guards && id > this.#awaited) return this.#refuse(id, 'APP_OUT_OF_ORDER', undefined);
    if (this.#guards && id === this.#awaited) this.#awaited = Infinity;
    if (isBusy && this.#guards) {
      this.#awaited = Math.min(this.#awaited, id);
      return this.#refuse(id, 'APP_RATE_LIMITED', undefined);
    }
    const expected = this.#stored.length + 1;
    if (id < expected) return;
    if (this.#isInDoubt) return this.#takeInDoubt(message, after, isBusy);
    // Without a record any id opens the conversation, and the smaller ones are resends from then on.
    if (this.#stored.length === 0 && !isBusy && devices === this.#devices) {
      this.#stored = Array.from({ length: id }, (_, at) => (at + 1 === id ? serial : 0));
    } else if (this.#stored.length === 0) {
      this.openings += 1;
      if (isBusy) this.#refuse(id, 'APP_OVERLOADED', undefined);
      else this.#refuse(id, 'APP_DEVICES_CHANGED', undefined);
    } else if (id > expected) this.#refuse(id, 'APP_OUT_OF_ORDER', expected);
    else if (devices !== this.#devices) this.#refuse(id, 'APP_DEVICES_CHANGED', undefined);
    else if (isBusy) this.#refuse(id, 'APP_OVERLOADED', undefined);
    else this.#stored.push(serial);
  }

  #takeInDoubt({ id, serial, devices }: Transmitted, after: number, isBusy: boolean): void {
    if (after > this.#stored.length) {
      this.holes += 1;
      return this.#refuse(id, 'APP_OUT_OF_ORDER', undefined);
    }
    if (devices !== this.#devices) return this.#refuse(id, 'APP_DEVICES_CHANGED', undefined);
    if (isBusy) return this.#refuse(id, 'APP_OVERLOADED', undefined);
    // What it does not know of counts as taken from here on.
    while (this.#stored.length < id - 1) this.#stored.push(0);
    this.#stored.push(serial);
    this.#isInDoubt = false;
  }

  #refuse(id: number, code: `APP_${string}`, expectedId: number | undefined): void {
    const copy = this.#unanswered.indexOf(id);
    if (copy >= 0) this.#unanswered.splice(copy, 1);
    this.#refused = Math.min(this.#refused, id);
    const devices = [this.#devices];
    this.#answers.push({ type: 'refused', id, code, retryAfterMs: undefined, expectedId, devices });
  }

  #flush(): void {
    this.#durable = this.#stored.length;
    if (this.#durable === 0) return;
    this.#awaited = Infinity;
    this.#unanswered = this.#unanswered.filter((id) => id > this.#durable);
    if (this.#refused <= this.#durable) this.#refused = Infinity;
    this.#answers.push({ type: 'acked', id: this.#durable });
  }

  #changeOwner(): void {
    this.#isCutOff ||= this.#durable < this.#stored.length;
    this.#stored = this.#stored.slice(0, this.#durable);
    this.#isInDoubt = this.#doubts && this.#durable > 0;
  }

  #hear(): void {
    const answer = this.#answers.shift();
    if (answer !== undefined) this.#step(answer);
  }

  /** Echoes are not given up while they may still come. */
  #elapse(): void {
    const isAwaiting = this.#lane.hold.type === 'settling' && this.#wire.length + this.#answers.length > 0;
    if (!this.#hasTimer || isAwaiting) return;
    this.#hasTimer = false;
    this.#step({ type: 'elapsed' });
  }

  #reconnect(): void {
    this.#wire = [];
    this.#answers = [];
    this.#preparing = undefined;
    this.#isCutOff = false;
    this.#awaited = Infinity;
    this.#unanswered = [];
    this.#refused = Infinity;
    this.#step({ type: 'offline' });
    if (this.#random.chance(0.5)) this.#write();
    this.#step({ type: 'online' });
  }

  /** @param outcome - 0 and 1: encrypted; 2: later, perhaps; 3: never. */
  #finishPreparing(outcome: number): void {
    const wanted = this.#preparing;
    if (wanted === undefined) return;
    this.#preparing = undefined;
    if (outcome > 1) {
      const isRenewal = this.#lane.hold.type === 'renewing' && outcome === 3;
      if (isRenewal && this.#stored.length > this.#lane.sentId) this.hardCases += 1;
      return this.#step({ type: 'unprepared', code: CODE_OF_PREPARING, retry: outcome === 2 });
    }
    if (wanted > 0) this.#knownDevices = wanted;
    for (const [id, entry] of this.#entries) {
      if (wanted > 0 || entry.devices === 0) this.#entries.set(id, { ...entry, devices: this.#knownDevices });
    }
    this.#step({ type: 'prepared', preparedId: this.#lane.nextId - 1 });
  }

  #step(event: LaneEvent): void {
    const { lane, actions } = stepLane(this.#lane, event);
    this.#lane = lane;
    for (const action of actions) this.#perform(action);
    this.#inspect(event);
  }

  #perform(action: LaneAction): void {
    switch (action.type) {
      case 'transmit':
        for (let id = action.firstId; id <= action.lastId; id += 1) this.#wire.push({ id, ...this.#entries.get(id)! });
        this.transmissions += action.lastId + 1 - action.firstId;
        return;
      case 'prepare':
        this.#preparing = action.devices?.[0] ?? 0;
        return;
      case 'set-timer':
      case 'clear-timer':
        this.#hasTimer = action.type === 'set-timer';
        return;
      case 'acknowledge':
        return this.#acknowledge(action.sentId);
      case 'abandon':
        return this.#abandon(action.firstId);
      case 'announce':
        return;
    }
  }

  #acknowledge(sentId: number): void {
    for (const [id, { serial }] of this.#entries) {
      if (id > sentId) break;
      if (this.#stored[id - 1] !== serial) this.#complain(`${id} has its check mark, and the server another message`);
      this.#entries.delete(id);
    }
  }

  #abandon(firstId: number): void {
    for (const [id, { serial }] of this.#entries) {
      if (id < firstId) continue;
      if (this.#stored.includes(serial)) this.#complain(`${id} is told as refused, and the server has it`);
      this.#entries.delete(id);
    }
  }

  #inspect({ type }: LaneEvent): void {
    const { nextId, sentId, preparedId, cursor, hold } = this.#lane;
    if (hold.type === 'broken') this.#complain(`broken by "${type}"`);
    const isOrdered = sentId <= preparedId && preparedId < nextId && sentId < cursor && cursor <= preparedId + 1;
    if (!isOrdered) this.#complain(`marks after "${type}": ${sentId} ${preparedId} ${cursor} ${nextId}`);
    // What a store must hold to be opened again.
    if (sentId + this.#entries.size + 1 !== nextId) this.#complain(`a gap in the outbox after "${type}"`);
  }

  #complain(problem: string): void {
    this.problems.push(problem);
  }
}

t.test(
  'whatever fails when: what the server has is neither told as refused nor sent under an id of another',
  async (t) => {
    let hardCases = 0;
    let openings = 0;
    let holes = 0;
    let transmissions = 0;
    const problems: string[] = [];
    for (let seed = 1; seed <= RUN_COUNT; seed += 1) {
      const schedule = new Schedule(new SeededRandom(seed));
      schedule.run();
      hardCases += schedule.hardCases;
      openings += schedule.openings;
      holes += schedule.holes;
      transmissions = Math.max(transmissions, schedule.transmissions);
      if (schedule.problems.length > 0) problems.push(`seed ${seed}: ${schedule.problems[0]}`);
    }
    t.same(problems.slice(0, 5), []);
    t.ok(hardCases > RUN_COUNT / 400, `${hardCases} renewals failed while acknowledgements were on their way`);
    t.ok(openings > RUN_COUNT / 10, `${openings} refusals by a server without a record`);
    t.ok(holes > RUN_COUNT / 10, `${holes} refusals of what came behind a loss`);
    t.ok(transmissions < MOVE_COUNT, `${transmissions} messages on the wire at most`);
  },
);

/**
 * A lane at work: takes the steps that `outbox.ts` decides, and has its owner carry out what they lead to.
 *
 * A conversation and a group have one each. Who may step when: what takes ids back runs under the lock under which ids are given out;
 * watermarks only move and come through at any time. It owns the timer and the lane, and knows no plaintext, recipient or store.
 * Read next: `conversation.ts`, `group-conversation.ts`.
 */

import { drawDelayMs } from './backoff.ts';
import { asProtocolCode } from './close-reason.ts';
import type { Clock, Random } from './environment.ts';
import { codeOf } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { stepLane } from './outbox.ts';
import type { Lane, LaneAction, LaneEvent } from './outbox.ts';
import { isPassing } from './requests.ts';

/** Whose lane it is: carries actions out. What fails by the store is reported by the journal. */
export interface LaneOwner {
  /** Sends what is encrypted. */
  transmit(firstId: number, lastId: number): void;
  /**
   * Encrypts what is not, and steps the lane with what became of it; what it rejects with becomes `unprepared`.
   *
   * @param devices - Undefined, or what the server has named when it refused the devices of a message: all of it is encrypted anew.
   * @param isCurrent - False once another preparation has begun or the connection is gone: what this one brings is stale then.
   */
  prepare(devices: readonly number[] | undefined, isCurrent: () => boolean): Promise<void>;
  /** Whether a preparation that failed with `code` may succeed a moment later. */
  mends(code: ErrorCode): boolean;
  /** Ids up to `sentId` are durable at the server. */
  acknowledge(sentId: number): Promise<void>;
  /** The marks of the recipient have moved. */
  announce(): Promise<void> | void;
  /** Messages from `firstId` on were refused for good. Runs under the lock. */
  abandon(firstId: number, code: ErrorCode): Promise<void>;
}

/** What a driver needs of its owner's client. */
export interface LaneServices {
  readonly clock: Clock;
  readonly random: Random;
  /** Runs a task when nobody else gives ids out or takes them back. */
  readonly locked: (task: () => Promise<void>) => Promise<void>;
}

/** What the server says of a message that it does not take. */
export interface LaneRefusal {
  readonly id: number;
  readonly code: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  readonly expected?: number | undefined;
  readonly devices?: readonly number[] | undefined;
}

/** Steps one lane. */
export class LaneDriver {
  readonly #services: LaneServices;
  readonly #owner: LaneOwner;
  #lane: Lane;
  #timer: unknown;
  /** Number of the present preparation; what an older one brings is stale. */
  #preparation = 0;

  constructor(services: LaneServices, owner: LaneOwner, lane: Lane) {
    this.#services = services;
    this.#owner = owner;
    this.#lane = lane;
  }

  /** The lane now. */
  get lane(): Lane {
    return this.#lane;
  }

  online(): void {
    this.step({ type: 'online' });
  }

  offline(): void {
    this.#preparation += 1;
    this.step({ type: 'offline' });
  }

  /** @param isCurrent - False once the connection that the refusal came from is gone. */
  refused({ id, code, retryAfter, expected, devices = [] }: LaneRefusal, isCurrent: () => boolean): void {
    const event: LaneEvent = {
      type: 'refused',
      id,
      code: asProtocolCode(code) ?? 'CLI_PROTOCOL',
      retryAfterMs: retryAfter === undefined ? undefined : retryAfter * 1_000,
      expectedId: expected,
      devices,
    };
    this.stepLocked(event, isCurrent);
  }

  /** A step that only moves marks, or that is taken under the lock. */
  step(event: LaneEvent): void {
    this.stepDurably(event).catch(alreadyReported);
  }

  /** A step that may take ids back. It waits for whoever is giving them out. */
  stepLocked(event: LaneEvent, isCurrent: () => boolean = () => true): void {
    this.#services
      .locked(async () => {
        if (isCurrent()) await this.stepDurably(event);
      })
      .catch(alreadyReported);
  }

  /** Takes a step at once; resolves when what it changed on disk is there. */
  async stepDurably(event: LaneEvent): Promise<void> {
    const { lane, actions } = stepLane(this.#lane, event);
    this.#lane = lane;
    await Promise.all(actions.map((action) => this.#perform(action)));
  }

  /** No timer runs any more, and no preparation goes on. */
  close(): void {
    this.#preparation += 1;
    this.#services.clock.clearTimer(this.#timer);
  }

  #perform(action: LaneAction): Promise<void> | void {
    switch (action.type) {
      case 'transmit':
        return this.#owner.transmit(action.firstId, action.lastId);
      case 'prepare':
        return void this.#prepare(action.devices);
      case 'set-timer':
        return this.#setTimer(drawDelayMs(action.delay, this.#services.random));
      case 'clear-timer':
        return this.#services.clock.clearTimer(this.#timer);
      case 'acknowledge':
        return this.#owner.acknowledge(action.sentId);
      case 'announce':
        return this.#owner.announce();
      case 'abandon':
        return this.#owner.abandon(action.firstId, action.code);
    }
  }

  async #prepare(devices: readonly number[] | undefined): Promise<void> {
    const preparation = (this.#preparation += 1);
    const isCurrent = (): boolean => preparation === this.#preparation;
    try {
      await this.#owner.prepare(devices, isCurrent);
    } catch (error) {
      const code = codeOf(error);
      const retry = isPassing(error) || this.#owner.mends(code);
      this.stepLocked({ type: 'unprepared', code, retry }, isCurrent);
    }
  }

  #setTimer(delayMs: number): void {
    const { clock } = this.#services;
    clock.clearTimer(this.#timer);
    this.#timer = clock.setTimer(delayMs, () => this.stepLocked({ type: 'elapsed' }));
  }
}

/** The journal reports its failure itself, once, and closes the client. */
export function alreadyReported(): void {}

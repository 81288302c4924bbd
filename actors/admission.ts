/**
 * Who may come in now, and when the others are to come back. One for each worker; the listener and the connections ask it
 * before they do anything that costs.
 *
 *   at the upgrade      one token of the worker and one of the address     else 503 or 429 with Retry-After, nothing is made
 *   at a signature      as many more as it costs                           else <failure retry-after> and the close 4503
 *   at a registration   one of the address                                 else APP_RATE_LIMITED
 *
 * The rate of tokens is what the worker was measured to do. While clients are refused, each interval is looked at: was the
 * event loop busy throughout, the logins that were finished in it are the capacity; was it not, the rate was too low and
 * goes up. An interval in which nobody was refused teaches nothing: fewer came than might have. So a worker that is busy with
 * messages admits few, and a worker with nothing else to do all that it can.
 *
 * Who is refused gets the next place in a queue that exists only as a number: it is served at the same rate, so that those
 * who were told to wait come back as fast as they can be taken and no faster.
 *
 * No timer and no socket here; clocks and chance are given. Read next: `listener.ts`, `connection.ts`.
 */

import type { AppCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import { add, Distribution, gauge, type Gauge } from './metrics/meter.ts';
import { fullBucket, takeToken, type BucketRule, type TokenBucket } from './rate-limit.ts';

/** A refusal, and the seconds after which to come back. */
export interface Deferral {
  readonly code: Extract<AppCode, 'APP_OVERLOADED' | 'APP_RATE_LIMITED' | 'APP_DRAINING'>;
  readonly retryAfter: number;
}

/** What admission is told of the world. */
export interface AdmissionServices {
  readonly monotonicMs: () => number;
  /** Milliseconds that the event loop of this worker has spent working, since it began. */
  readonly busyMs: () => number;
  /** Whether the heap is nearly full. */
  readonly isMemoryLow: () => boolean;
  /** Uniform from 0 to below `bound`. */
  readonly integer: (bound: number) => number;
}

/** Bounds of this worker; `Infinity` for none. */
export interface AdmissionBounds {
  /** Open connections of the worker. */
  readonly connections: number;
  /** Open connections of one address. */
  readonly addressConnections: number;
  /** New connections of one address in a second. */
  readonly addressConnects: number;
  /** Requests before login of one address in a minute. */
  readonly addressRegistrations: number;
}

/** What is remembered of an address. */
interface Visitor {
  open: number;
  readonly connects: TokenBucket;
  readonly registrations: TokenBucket;
}

/** Figures of one worker, for its operator. */
export interface AdmissionStatistics {
  /** Connections that are open now. */
  readonly connections: number;
  /** Of these, the ones whose client has logged in. */
  readonly live: number;
  /** Whether nobody is let in, for want of memory or because there are as many connections as may be. */
  readonly isFull: boolean;
  /** Connections begun, and ended, since the start. */
  readonly comings: number;
  /** Logins by ticket that the worker takes in a second, as measured. */
  readonly loginsPerSecond: number;
  /** Connections and logins that were told to come back later, since the start. */
  readonly deferred: number;
}

const ACCEPTED = gauge('blindbeam_connections_accepted_total');
const ADDRESS = gauge('blindbeam_limited_total', { limiter: 'address' });
const LOGIN = gauge('blindbeam_limited_total', { limiter: 'login' });
const REGISTRATION = gauge('blindbeam_limited_total', { limiter: 'registration' });
const LOGINS = {
  signature: gauge('blindbeam_logins_total', { method: 'signature' }),
  ticket: gauge('blindbeam_logins_total', { method: 'ticket' }),
};
const LOGIN_DURATION = new Distribution('blindbeam_login_duration_seconds');

export class Admission {
  readonly #services: AdmissionServices;
  #bounds: AdmissionBounds;
  #connectRule: BucketRule;
  #registrationRule: BucketRule;
  /** By address, the one that came longest ago first. */
  readonly #visitors: Map<string, Visitor> = new Map();
  /** What may still be sent to groups by devices whose connection has ended, the one that ended longest ago first. */
  readonly #groupBuckets: Map<string, TokenBucket> = new Map();
  readonly #tokens: TokenBucket;
  #rate: number = LIMITS.loginsPerSecondStart;
  #open = 0;
  #live = 0;
  #isDraining = false;
  /** Since the start. */
  #admitted = 0;
  /** Clients that were told to come back and have not had the time. */
  #promised = 0;
  #promisedAtMs: number;
  #isMemoryLow = false;
  #deferred = 0;
  /** The interval under way. */
  #sinceMs: number;
  #busyAtMs: number;
  #finished = 0;
  #refused = 0;

  constructor(services: AdmissionServices, bounds: AdmissionBounds) {
    this.#services = services;
    this.#bounds = bounds;
    this.#connectRule = connectRuleOf(bounds);
    this.#registrationRule = registrationRuleOf(bounds);
    const nowMs = services.monotonicMs();
    this.#tokens = fullBucket(this.#loginRule(), nowMs);
    this.#promisedAtMs = nowMs;
    this.#sinceMs = nowMs;
    this.#busyAtMs = services.busyMs();
  }

  statistics(): AdmissionStatistics {
    return {
      connections: this.#open,
      comings: 2 * this.#admitted - this.#open,
      live: this.#live,
      isFull: this.#open >= this.#bounds.connections || this.#isMemoryLow,
      loginsPerSecond: Math.round(this.#rate),
      deferred: this.#deferred,
    };
  }

  /** Other bounds from now on. Who is in stays in. */
  rebound(bounds: AdmissionBounds): void {
    this.#bounds = bounds;
    this.#connectRule = connectRuleOf(bounds);
    this.#registrationRule = registrationRuleOf(bounds);
  }

  /** From now on nobody is let in, or as before. */
  set isDraining(value: boolean) {
    this.#isDraining = value;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /**
   * Asks for a connection. One that is admitted counts until `left`.
   *
   * @param address - As `client-address.ts` names it.
   */
  enter(address: string): Deferral | undefined {
    if (this.#isDraining) return this.#turnAway();
    const nowMs = this.#services.monotonicMs();
    this.#look(nowMs);
    const visitor = this.#visitor(address, nowMs);
    if (visitor.open >= this.#bounds.addressConnections) return this.#limit(ADDRESS, LIMITS.addressFullRetrySeconds);
    const waitMs = take(visitor.connects, this.#connectRule, nowMs);
    if (waitMs > 0) return this.#limit(ADDRESS, Math.ceil(waitMs / 1000));
    if (this.#open >= this.#bounds.connections || this.#isMemoryLow) return this.#defer(nowMs, LIMITS.fullRetrySeconds);
    if (takeToken(this.#tokens, this.#loginRule(), nowMs) > 0) return this.#defer(nowMs, 0);
    visitor.open += 1;
    this.#open += 1;
    add(ACCEPTED);
    this.#admitted += 1;
    return undefined;
  }

  /** A connection that was admitted is gone. */
  left(address: string): void {
    this.#open -= 1;
    const visitor = this.#visitors.get(address);
    if (visitor !== undefined) visitor.open -= 1;
  }

  /** Asks for the check of a signature, which costs what several logins by ticket cost. */
  verify(): Deferral | undefined {
    const nowMs = this.#services.monotonicMs();
    this.#look(nowMs);
    const rule = this.#loginRule();
    for (let taken = 0; taken < LIMITS.signatureTokens; taken++) {
      if (takeToken(this.#tokens, rule, nowMs) > 0) return this.#defer(nowMs, 0);
    }
    return undefined;
  }

  /** Seconds after which a client is to come back whose connection the server closes: each another time. */
  comeBack(): number {
    return 1 + this.#services.integer(LIMITS.comeBackSecondsSpan);
  }

  /**
   * The same where a shard has moved or an inbox restarted: over as many seconds as logins of all live connections take. 0 where those take half a second, as
   * for a few thousand: over that time clients spread by themselves.
   */
  comeBackSoon(): number {
    const seconds = Math.min(LIMITS.comeBackSecondsSpan, Math.round(this.#live / this.#rate));
    return this.#services.integer(seconds + 1);
  }

  /** A claim was found true. @param tookMs - Since the greeting. */
  noteLogin(method: 'signature' | 'ticket', tookMs: number): void {
    add(LOGINS[method]);
    LOGIN_DURATION.note(tookMs / 1_000);
  }

  /** A login has succeeded. The connection counts as live until `ended`. */
  finished(): void {
    this.#finished += 1;
    this.#live += 1;
  }

  /** A connection whose login had succeeded has ended. */
  ended(): void {
    this.#live -= 1;
  }

  /**
   * The connection of a device has ended that had sent to groups: the next one goes on with its bucket, which nobody fills by hanging up. One
   * that was ended for a flood would otherwise be better off than before.
   *
   * @param key - Of the device, as `keyOf` makes it.
   * @param bucket - Owned from now on.
   */
  keepGroupBucket(key: string, bucket: TokenBucket): void {
    this.#groupBuckets.delete(key);
    this.#groupBuckets.set(key, bucket);
    if (this.#groupBuckets.size <= LIMITS.groupBucketsKeptMax) return;
    this.#groupBuckets.delete(this.#groupBuckets.keys().next().value!);
  }

  /** Gives back what was kept of the connection before; `undefined`: it is full, or of another worker. */
  takeGroupBucket(key: string): TokenBucket | undefined {
    const bucket = this.#groupBuckets.get(key);
    if (bucket !== undefined) this.#groupBuckets.delete(key);
    return bucket;
  }

  /** Asks for a request before login, which may send a code to a phone or make an account. */
  register(address: string): Deferral | undefined {
    const nowMs = this.#services.monotonicMs();
    const waitMs = take(this.#visitor(address, nowMs).registrations, this.#registrationRule, nowMs);
    return waitMs > 0 ? this.#limit(REGISTRATION, Math.ceil(waitMs / 1000)) : undefined;
  }

  #loginRule(): BucketRule {
    return { perSecond: this.#rate, burst: this.#rate * LIMITS.loginQueueSeconds };
  }

  /** The node sends its clients away: each is to come back, here or elsewhere, at another time. */
  #turnAway(): Deferral {
    this.#deferred += 1;
    return { code: 'APP_DRAINING', retryAfter: this.comeBack() };
  }

  #limit(limiter: Gauge, retryAfter: number): Deferral {
    this.#deferred += 1;
    add(limiter);
    return { code: 'APP_RATE_LIMITED', retryAfter };
  }

  /** Gives out the next place in the queue of those who come back, and a bit of chance. */
  #defer(nowMs: number, leastSeconds: number): Deferral {
    this.#deferred += 1;
    this.#refused += 1;
    if (leastSeconds === 0) add(LOGIN);
    const served = ((nowMs - this.#promisedAtMs) * this.#rate) / 1000;
    this.#promised = Math.max(0, this.#promised - served) + 1;
    this.#promisedAtMs = nowMs;
    const place = leastSeconds + 1 + Math.floor(this.#promised / this.#rate);
    const seconds = place + this.#services.integer(1 + Math.floor(place / 4));
    return { code: 'APP_OVERLOADED', retryAfter: Math.min(seconds, LIMITS.deferSecondsMax) };
  }

  /** Ends the interval if it is long enough, and learns from it. */
  #look(nowMs: number): void {
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < LIMITS.admissionIntervalMs) return;
    const busyMs = this.#services.busyMs();
    if (this.#refused > 0) this.#learn(elapsedMs, (busyMs - this.#busyAtMs) / elapsedMs);
    this.#isMemoryLow = this.#services.isMemoryLow();
    this.#sinceMs = nowMs;
    this.#busyAtMs = busyMs;
    this.#finished = 0;
    this.#refused = 0;
  }

  #learn(elapsedMs: number, busyShare: number): void {
    const done = (this.#finished * 1000) / elapsedMs;
    const next = busyShare < BUSY_SHARE ? this.#rate * GROWTH : this.#rate + (done - this.#rate) * TRUST;
    this.#rate = Math.min(LIMITS.loginsPerSecondMax, Math.max(LIMITS.loginsPerSecondMin, next));
  }

  #visitor(address: string, nowMs: number): Visitor {
    const known = this.#visitors.get(address);
    if (known !== undefined) return known;
    const visitor: Visitor = {
      open: 0,
      connects: fullBucket(this.#connectRule, nowMs),
      registrations: fullBucket(this.#registrationRule, nowMs),
    };
    this.#visitors.set(address, visitor);
    if (this.#visitors.size > LIMITS.visitorCountMax) this.#forgetOne();
    return visitor;
  }

  /** Looks at a few of the oldest: those with connections stay, and there are at most as many as connections. */
  #forgetOne(): void {
    let looks = 0;
    for (const [address, visitor] of this.#visitors) {
      if (visitor.open === 0) return void this.#visitors.delete(address);
      this.#visitors.delete(address);
      this.#visitors.set(address, visitor);
      if (++looks === FORGET_LOOKS) return;
    }
  }
}

function connectRuleOf({ addressConnects }: AdmissionBounds): BucketRule {
  return { perSecond: addressConnects, burst: addressConnects * BURST_SECONDS };
}

function registrationRuleOf({ addressRegistrations: perMinute }: AdmissionBounds): BucketRule {
  return { perSecond: perMinute / 60, burst: perMinute * BURST_MINUTES };
}

/** As `takeToken`, for a rule that may have no bound. */
function take(bucket: TokenBucket, rule: BucketRule, nowMs: number): number {
  return rule.perSecond === Infinity ? 0 : takeToken(bucket, rule, nowMs);
}

/** An address may come with so many seconds, or minutes, of its rate at once: a household, an office, a carrier's gateway. */
const BURST_SECONDS = 10;
const BURST_MINUTES = 10;
/** Above this share of an interval the event loop counts as busy throughout. */
const BUSY_SHARE = 0.9;
/** How fast a rate that was too low goes up, per interval; how far a measured one is believed. */
const GROWTH = 1.5;
const TRUST = 0.5;
const FORGET_LOOKS = 8;

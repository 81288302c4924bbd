/**
 * Reading a stream of JetStream as it grows, by a consumer that sends when it is asked: all that has come since, in one go.
 *
 *   request ──▶ something is there      ──▶ entries, and a status behind the last one
 *           ──▶ nothing is there        ──▶ the next one as soon as it comes, and a status; or a status after LIMITS.heartbeatMs
 *           ──▶ the consumer is gone    ──▶ silence: after twice as long it is made anew, behind the last entry that came
 *
 * A consumer that pushes would wake two servers and a node for each entry, of which a copy applies those of 50 ms together. The consumer numbers what it
 * sends, so an entry that was lost on the way is told from one that is gone from the stream: numbers without a gap and sequences with one are a log that was cut.
 * It knows neither logs nor copies: `jetstream-net.ts`. What is to be heard as it happens: `jetstream-follow.ts`.
 */

import type { NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { LogEntry, LogReader } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';

type Connection = NatsBus['connection'];
type Manager = Awaited<ReturnType<Connection['jetstreamManager']>>;
type Subscription = ReturnType<Connection['subscribe']>;

/** Of what the library hands over, what is read here. */
interface Delivery {
  /** Of an entry: its own. Of a status: that of the request. */
  readonly subject: string;
  /** Of an entry: what it is, in the form of an acknowledgement's subject. */
  readonly reply?: string | undefined;
  readonly headers?: { readonly code: number } | undefined;
  readonly data: Uint8Array;
}

const NANOS_PER_MS = 1_000_000;

export interface ReaderPlan {
  readonly bus: NatsBus;
  readonly manager: Manager;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stream: string;
  /** Sequence of the first entry that is wanted. */
  readonly from: number;
}

export function readStream(plan: ReaderPlan): LogReader {
  return new StreamReader(plan);
}

class StreamReader implements LogReader {
  readonly #plan: ReaderPlan;
  #nextSequence: number;
  #consumer: PulledConsumer | undefined;
  #isStopped = false;

  constructor(plan: ReaderPlan) {
    this.#plan = plan;
    this.#nextSequence = plan.from;
  }

  async next(): Promise<readonly LogEntry[]> {
    const { clock } = this.#plan;
    const untilMs = clock.monotonicMs() + LIMITS.idleLookMs;
    while (!this.#isStopped && clock.monotonicMs() < untilMs) {
      const entries = await this.#ask();
      this.#nextSequence = (entries.at(-1)?.sequence ?? this.#nextSequence - 1) + 1;
      if (entries.length > 0) return entries;
    }
    return [];
  }

  stop(): void {
    this.#isStopped = true;
    this.#giveUp();
  }

  async #ask(): Promise<readonly LogEntry[]> {
    const { clock, logger, stream } = this.#plan;
    try {
      this.#consumer ??= await makeConsumer(this.#plan, this.#nextSequence);
      // It was stopped while the server was being asked for a consumer.
      if (this.#isStopped) this.#giveUp();
      const { entries, isLast } = (await this.#consumer?.pull()) ?? NOTHING;
      if (isLast) this.#giveUp();
      if (!isLast || entries.length > 0) return entries;
    } catch (error) {
      logger.debug('stream_reading_failed', { stream, reason: String(error) });
      this.#giveUp();
    }
    // Servers that refuse at once would be asked for another consumer at once.
    if (!this.#isStopped) await pause(clock, LIMITS.retryMs);
    return [];
  }

  #giveUp(): void {
    this.#consumer?.end();
    this.#consumer = undefined;
  }
}

/** What came of one request. */
interface Batch {
  readonly entries: readonly LogEntry[];
  /** The consumer has missed something, or is gone. */
  readonly isLast: boolean;
}

const NOTHING: Batch = { entries: [], isLast: false };

/** @throws {Error} (as rejection) what JetStream says, also while its servers elect a leader. */
async function makeConsumer({ bus, manager, clock, stream }: ReaderPlan, from: number): Promise<PulledConsumer> {
  const start = { deliver_policy: 'by_start_sequence', opt_start_seq: from };
  const kept = { ack_policy: 'none', mem_storage: true, num_replicas: 1 };
  const inactive_threshold = LIMITS.consumerIdleMs * NANOS_PER_MS;
  const { name } = await manager.consumers.add(stream, Object.assign({ inactive_threshold }, start, kept) as object);
  return new PulledConsumer(bus, clock, `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`);
}

/** One consumer, which lives on one server and ends with it without a word to anybody. */
class PulledConsumer {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #request: string;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  /** Of the request that is under way, or was last. */
  #answers = '';
  #requestCount = 0;
  /** How many entries it has sent in its life. */
  #sentCount = 0;
  #entries: LogEntry[] = [];
  #timer: unknown;
  #settle: (batch: Batch) => void = () => undefined;

  constructor(bus: NatsBus, clock: Clock, request: string) {
    this.#connection = bus.connection;
    this.#clock = clock;
    this.#request = request;
    this.#inbox = bus.makeInbox();
    const callback = (error: unknown, message: Delivery): void => {
      if (error === null) this.#take(message);
      else this.#finish(true);
    };
    this.#subscription = this.#connection.subscribe(`${this.#inbox}.*`, { callback });
  }

  /** Asks for what there is; one at a time. @throws {Error} when the connection is closed. */
  pull(): Promise<Batch> {
    const limits = { batch: LIMITS.applyCountMax, max_bytes: LIMITS.applyBytesMax };
    const request = Object.assign(limits, { no_wait: true, expires: LIMITS.heartbeatMs * NANOS_PER_MS });
    this.#answers = `${this.#inbox}.${++this.#requestCount}`;
    this.#connection.publish(this.#request, Buffer.from(JSON.stringify(request)), { reply: this.#answers });
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#timer = this.#clock.setTimer(2 * LIMITS.heartbeatMs, () => this.#finish(true));
    });
  }

  end(): void {
    this.#finish(true);
    if (!this.#connection.isClosed()) this.#subscription.unsubscribe();
  }

  #take({ subject, reply, headers, data }: Delivery): void {
    const code = headers?.code ?? 0;
    if (code !== 0) return this.#takeStatus(code, subject);
    const place = placeOf(reply ?? '');
    if (place === undefined || place.number !== this.#sentCount + 1) return this.#finish(true);
    this.#sentCount++;
    this.#entries.push({ sequence: place.sequence, data: Buffer.from(data) });
    if (this.#entries.length === LIMITS.applyCountMax) this.#finish(false);
  }

  #takeStatus(code: number, request: string): void {
    // Some servers send one behind a batch that is full, others do not.
    if (request === this.#answers) this.#finish(isEnd(code) && this.#entries.length === 0);
  }

  #finish(isLast: boolean): void {
    this.#clock.clearTimer(this.#timer);
    const entries = this.#entries;
    this.#entries = [];
    this.#settle({ entries, isLast });
    this.#settle = () => undefined;
  }
}

/** Whether a status says anything else than that there is no more for now: 404 and 408. Full by its bytes is 409 as well, behind entries. */
function isEnd(code: number): boolean {
  return code !== 404 && code !== 408;
}

/** `$JS.ACK.<stream>.<consumer>.<attempts>.<sequence>.<number>.<time>.<pending>`; before the stream a domain and an account, behind all a token, where there are more. */
function placeOf(reply: string): { readonly sequence: number; readonly number: number } | undefined {
  const parts = reply.split('.');
  const at = parts.length > 9 ? 7 : 5;
  const [sequence, number] = [Number(parts[at]), Number(parts[at + 1])];
  return Number.isSafeInteger(sequence) && Number.isSafeInteger(number) ? { sequence, number } : undefined;
}

/**
 * Following a stream of JetStream, for as long as somebody wants to: an ordered consumer (nats-architecture-and-design, ADR-17), and another one where that comes to nothing.
 *
 * A consumer lives on one server alone and ends with it without a word to anybody. So the server says each LIMITS.heartbeatMs that it is there, and two
 * that are missing are its end. What was followed meanwhile is made up for: a consumer begins where the last one ended, or with the last value of each subject.
 *
 * Not the client library's ordered consumer, which takes one that has said nothing for two heartbeats for dead from the moment at which it is asked for, asks for another one, and
 * goes on asking for the former ones as well, each second, for ever. Where servers elect a leader, or are slow, a consumer takes longer than that to be made: sixteen
 * followers asked 31 times a second, and who follows what rarely changes may never have one that lives. Here one is asked for at a time, by a name of its own,
 * so that asking again asks for the same one; its silence counts from the answer on. Servers of release 2.9 give a consumer to one of the stream's servers that may be dead
 * (`createGroupForConsumer`), so who is not answered takes another name after a while.
 *
 * It knows neither logs nor registries: `jetstream-net.ts`, `jetstream-registry.ts`.
 */

import { RefusedMessages, type NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import { JETSTREAM, jetStreamCodeOf } from './jetstream-codes.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';

type Connection = NatsBus['connection'];
type Manager = Awaited<ReturnType<Connection['jetstreamManager']>>;
type Message = Parameters<NonNullable<NonNullable<Parameters<Connection['subscribe']>[1]>['callback']>>[1];

const NANOS_PER_MS = 1_000_000;
/** Nobody acknowledges, so nothing is waited for; longer than any consumer lives. */
const ACK_WAIT_NANOS = 22 * 3_600_000 * NANOS_PER_MS;
/** Headers of a sign of life: the number of the last message that was delivered, and where to say that more can be taken. */
const LAST_DELIVERED = 'Nats-Last-Consumer';
const STALLED = 'Nats-Consumer-Stalled';

/** `data` is the reader's. */
export interface StreamMessage {
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: { get(name: string): string } | undefined;
}

export interface FollowPlan {
  readonly bus: NatsBus;
  readonly manager: Manager;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stream: string;
  /** One, or many by a wildcard. */
  readonly subject: string;
  /** Where a consumer begins; asked for each new one. */
  readonly start: () => StreamStart;
  /** A message that it throws at is passed over and logged. */
  readonly onMessage: (message: StreamMessage) => void;
}

/** By the names of JetStream's own configuration. */
export type StreamStart =
  | { readonly deliver_policy: 'by_start_sequence'; readonly opt_start_seq: number }
  | { readonly deliver_policy: 'last_per_subject' };

export interface StreamFollowing {
  /** For how long no consumer has said anything, monotonic milliseconds; one that is well speaks each LIMITS.heartbeatMs. */
  silentMs(): number;
  stop(): void;
}

/** Begins to follow; nothing comes any more after `stop`. */
export function followStream(plan: FollowPlan): StreamFollowing {
  const following = new Following(plan);
  void following.run();
  return following;
}

class Following implements StreamFollowing {
  readonly #plan: FollowPlan;
  readonly #refused: RefusedMessages;
  readonly #stopped = new AbortController();
  #heardMs: number;

  constructor(plan: FollowPlan) {
    this.#plan = plan;
    this.#refused = new RefusedMessages(plan.logger);
    this.#heardMs = plan.clock.monotonicMs();
  }

  silentMs(): number {
    return this.#plan.clock.monotonicMs() - this.#heardMs;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async run(): Promise<void> {
    const { clock, logger, stream } = this.#plan;
    while (!this.#stopped.signal.aborted) {
      const consumer = new Consumer(this.#plan, this.#stopped.signal, {
        word: () => (this.#heardMs = clock.monotonicMs()),
        message: (message) => this.#hand(message),
      });
      const reason = await consumer.run();
      if (reason !== 'stopped') logger.debug('stream_consumer_ended', { stream, reason });
      await pause(clock, LIMITS.consumerRetryMs, this.#stopped.signal);
    }
  }

  #hand(message: StreamMessage): void {
    try {
      this.#plan.onMessage(message);
    } catch (error) {
      this.#refused.note(message.subject, error);
    }
  }
}

/** Who hears a consumer. */
interface Hearer {
  /** It has said something, whatever it is. */
  word(): void;
  message(message: StreamMessage): void;
}

/** Why a consumer is not gone on with. */
type End = 'stopped' | 'not made' | 'silent' | 'gap' | 'refused';

/** One consumer, until it breaks. */
class Consumer {
  readonly #plan: FollowPlan;
  readonly #hearer: Hearer;
  /** When it ends, by whatever. */
  readonly #ended = new AbortController();
  readonly #inbox: string;
  /** Of the last message that it has delivered. */
  #delivered = 0;
  /** Signs of life, of messages too, since somebody looked. */
  #words = 0;
  #isMade = false;
  #end: End = 'stopped';

  constructor(plan: FollowPlan, stopped: AbortSignal, hearer: Hearer) {
    this.#plan = plan;
    this.#hearer = hearer;
    this.#inbox = plan.bus.createInbox();
    stopped.addEventListener('abort', () => this.#breakOff('stopped'), { signal: this.#ended.signal });
  }

  async run(): Promise<End> {
    const { connection } = this.#plan.bus;
    if (connection.isClosed()) return 'refused';
    // Before it is asked for: it may speak before the answer does.
    const subscription = connection.subscribe(this.#inbox, {
      callback: (error, message) => (error === null ? this.#take(message) : this.#breakOff('refused')),
    });
    this.#ended.signal.addEventListener('abort', () => void (connection.isClosed() || subscription.unsubscribe()));
    await this.#make();
    await this.#listen();
    return this.#end;
  }

  #breakOff(end: End): void {
    if (this.#ended.signal.aborted) return;
    this.#end = end;
    this.#ended.abort();
  }

  /** Asks for it, again and again by the same name, until the servers say that it is there or it says so itself. */
  async #make(): Promise<void> {
    const { manager, clock, stream } = this.#plan;
    const { signal } = this.#ended;
    const config = this.#configure();
    const untilMs = clock.monotonicMs() + LIMITS.consumerMakeMs;
    while (!signal.aborted && !this.#isMade) {
      try {
        await manager.consumers.add(stream, config);
        this.#isMade = true;
      } catch (error) {
        if (this.#isMade || jetStreamCodeOf(error) === JETSTREAM.consumerNameExists) this.#isMade = true;
        else if (jetStreamCodeOf(error) !== undefined || clock.monotonicMs() >= untilMs) this.#breakOff('not made');
        else await pause(clock, LIMITS.consumerRetryMs, signal);
      }
    }
  }

  #configure(): object {
    const { subject, start } = this.#plan;
    const fixed = { ack_policy: 'none', replay_policy: 'instant', max_deliver: 1, ack_wait: ACK_WAIT_NANOS };
    const place = { num_replicas: 1, mem_storage: true, flow_control: true };
    const own = {
      name: this.#inbox.slice(this.#inbox.lastIndexOf('.') + 1),
      deliver_subject: this.#inbox,
      filter_subject: subject,
      idle_heartbeat: LIMITS.heartbeatMs * NANOS_PER_MS,
    };
    return Object.assign(own, fixed, place, start());
  }

  /** Looks as often as it should speak; a thread that stood still has looked once, not often. */
  async #listen(): Promise<void> {
    const { clock } = this.#plan;
    const { signal } = this.#ended;
    for (let missed = 0; !signal.aborted;) {
      this.#words = 0;
      await pause(clock, LIMITS.heartbeatMs, signal);
      missed = this.#words > 0 ? 0 : missed + 1;
      if (missed === 2) this.#breakOff('silent');
    }
  }

  #take(message: Message): void {
    if (this.#ended.signal.aborted) return;
    this.#words++;
    this.#hearer.word();
    this.#isMade = true;
    const { data, reply } = message;
    // Status lines, which no message of a stream has: 1xx of a consumer that lives. Headers are decoded by whoever looks at them, so nobody does for each record.
    const code = data.length === 0 ? (message.headers?.code ?? 0) : 0;
    if (code >= 300) return this.#breakOff('refused');
    if (code >= 100) return this.#answer(message);
    const place = placeOf(reply);
    // Something was lost on the way, or this is no message of a stream.
    if (place === undefined || place.delivered !== this.#delivered + 1) return this.#breakOff('gap');
    this.#delivered = place.delivered;
    this.#hearer.message({
      seq: place.sequence,
      subject: message.subject,
      data,
      get headers() {
        return message.headers;
      },
    });
  }

  /** A sign of life, or the question whether more can be taken. */
  #answer({ headers, reply }: Message): void {
    const { connection } = this.#plan.bus;
    const question = reply === undefined || reply === '' ? headers?.get(STALLED) : reply;
    if (question !== undefined && question !== '' && !connection.isClosed()) connection.publish(question);
    const last = headers?.get(LAST_DELIVERED);
    if (last !== undefined && last !== '' && Number(last) !== this.#delivered) this.#breakOff('gap');
  }
}

interface Place {
  /** In the stream. */
  readonly sequence: number;
  /** Among the messages of its consumer, from 1. */
  readonly delivered: number;
}

/**
 * Where a message stands, by the subject for its acknowledgement: `$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<delivered>.<time>.<pending>`, or with
 * `<domain>.<account>.` before the stream and one more part behind (nats-architecture-and-design, ADR-15).
 */
function placeOf(reply: string | undefined): Place | undefined {
  const parts = reply?.split('.') ?? [];
  if (parts[0] !== '$JS' || parts[1] !== 'ACK') return undefined;
  const at = parts.length === 9 ? 5 : 7;
  const [sequence, delivered] = [Number(parts[at]), Number(parts[at + 1])];
  return Number.isSafeInteger(sequence) && Number.isSafeInteger(delivered) ? { sequence, delivered } : undefined;
}

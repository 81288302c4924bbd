/**
 * Following a stream of JetStream, for as long as somebody wants to: an ordered consumer, which the client library makes anew where it misses something,
 * and another one where that comes to nothing.
 *
 * A consumer lives on one server alone and ends with it without a word to anybody. So the server says each LIMITS.heartbeatMs that it is there, and two
 * that are missing are its end. What was followed meanwhile is made up for: a consumer begins where the last one ended, or with the last value of each subject.
 * It knows neither logs nor registries: `jetstream-net.ts`, `jetstream-registry.ts`.
 */

import { RefusedMessages, type NatsBus } from '../../runtime/cluster/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';

type JetStream = ReturnType<NatsBus['connection']['jetstream']>;
type ConsumerOptions = Parameters<JetStream['subscribe']>[1];

const NANOS_PER_MS = 1_000_000;

/** Of what the library hands over, what is read here. `data` is the reader's. */
export interface StreamMessage {
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: { get(name: string): string } | undefined;
}

export interface FollowPlan {
  readonly jetstream: JetStream;
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

/** Begins to follow; nothing comes any more after `stop`. */
export function followStream(plan: FollowPlan): { stop(): void } {
  const following = new Following(plan);
  void following.run();
  return following;
}

class Following {
  readonly #plan: FollowPlan;
  readonly #refused: RefusedMessages;
  #isStopped = false;
  /** Ends the consumer that there is. */
  #end: () => void = () => undefined;

  constructor(plan: FollowPlan) {
    this.#plan = plan;
    this.#refused = new RefusedMessages(plan.logger);
  }

  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  async run(): Promise<void> {
    const { clock, logger, stream } = this.#plan;
    while (!this.#isStopped) {
      await this.#consume().catch((error: unknown) => {
        logger.debug('stream_subscription_failed', { stream, reason: String(error) });
      });
      if (!this.#isStopped) await pause(clock, LIMITS.retryMs);
    }
  }

  /** One consumer, until it breaks. */
  async #consume(): Promise<void> {
    const { jetstream, subject } = this.#plan;
    let breakOff = (): void => undefined;
    const broken = new Promise<void>((resolve) => (breakOff = resolve));
    const subscription = await jetstream.subscribe(subject, this.#optionsOf(breakOff));
    this.#end = breakOff;
    // It was stopped while the server was being asked for a consumer.
    if (this.#isStopped) breakOff();
    void subscription.closed.then(breakOff);
    await broken;
    // The library would go on with one that it could not make anew, beside the next one.
    subscription.unsubscribe();
  }

  #optionsOf(breakOff: () => void): ConsumerOptions {
    const { stream, subject, start } = this.#plan;
    const config = { ack_policy: 'none', idle_heartbeat: LIMITS.heartbeatMs * NANOS_PER_MS, filter_subject: subject };
    const callbackFn = (error: unknown, message: StreamMessage | null): void => {
      if (error !== null) breakOff();
      else if (message !== null && !this.#isStopped) this.#hand(message);
    };
    const options = { stream, ordered: true, config: Object.assign(config, start()), mack: false, max: 0, callbackFn };
    return options as unknown as ConsumerOptions;
  }

  #hand(message: StreamMessage): void {
    try {
      this.#plan.onMessage(message);
    } catch (error) {
      this.#refused.note(message.subject, error);
    }
  }
}

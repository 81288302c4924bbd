/**
 * How a device that is away is told that something waits: the interface of a push provider, and the one that only logs.
 *
 * A wake-up says nothing: not who wrote, how much waits or which account it is for. The push service that carries it learns that
 * a device of this server was woken, and when; nothing else. Providers: `web-push.ts`, `apns.ts`, `fcm.ts`. They get the network as
 * `PushTransport`, so a test hands them a double. Who is woken when: `../wakeups.ts`.
 */

import type { Logger } from '../../runtime/index.ts';
import type { PushRegistration } from '../store/protection-store.ts';

/** What became of one wake-up. */
export type PushOutcome =
  /** The service has taken it; whether the device gets it, nobody tells. */
  | { readonly kind: 'sent' }
  /** The registration is void: forget it. */
  | { readonly kind: 'gone' }
  /** Not now. `afterMs`: as the service asked, 0 if it did not say. */
  | { readonly kind: 'later'; readonly afterMs: number; readonly reason: string }
  /** It will not work: a setting of ours is wrong, or the service refuses us. */
  | { readonly kind: 'failed'; readonly reason: string };

/** One way to wake devices. */
export interface PushProvider {
  readonly platform: PushRegistration['platform'];
  /** Whether wake-ups could go there; asked when a device registers. */
  accepts(registration: PushRegistration): boolean;
  /** Sends one wake-up. Never rejects: what goes wrong is an outcome. `reason` never holds a token or an address. */
  wake(registration: PushRegistration): Promise<PushOutcome>;
}

/** A request to a push service. */
export interface PushRequest {
  readonly method: 'POST';
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface PushResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** The network towards push services. Rejects when there is no answer. */
export type PushTransport = (request: PushRequest) => Promise<PushResponse>;

/** What a provider reads of time: tokens are dated. */
export interface WallClock {
  /** Milliseconds since 1970. */
  nowMs(): number;
}

/** Sends `request` and turns a missing answer into an outcome. */
export async function attempt(
  transport: PushTransport,
  request: PushRequest,
  judge: (response: PushResponse) => PushOutcome,
): Promise<PushOutcome> {
  try {
    return judge(await transport(request));
  } catch (error) {
    return { kind: 'later', afterMs: 0, reason: (error as NodeJS.ErrnoException).code ?? (error as Error).name };
  }
}

/** What a status means where a service has no words of its own. */
export function judgeStatus({ status, headers }: PushResponse): PushOutcome {
  if (status >= 200 && status < 300) return { kind: 'sent' };
  if (status === 404 || status === 410) return { kind: 'gone' };
  if (status === 429 || status >= 500) {
    return { kind: 'later', afterMs: retryAfterMs(headers['retry-after']), reason: `status ${status}` };
  }
  return { kind: 'failed', reason: `status ${status}` };
}

/** Seconds alone are read: a date would need the service's clock and ours to agree. */
function retryAfterMs(header: string | undefined): number {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : 0;
}

/** For development: says in the log that a device would be woken. Takes registrations of `platform`, whatever they hold. */
export function createLogProvider(platform: PushRegistration['platform'], log: Logger): PushProvider {
  return {
    platform,
    accepts: () => true,
    async wake() {
      log.info('wake_up', { platform });
      return { kind: 'sent' };
    },
  };
}

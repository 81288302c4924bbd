/**
 * FCM: wake-ups to Android devices by the HTTP v1 interface, as data messages of high priority without anything to show.
 *
 * The server names itself by a service account: a signed assertion is exchanged for an access token, which serves for most of an
 * hour. Source: Google's documentation of `projects.messages.send` and of "OAuth 2.0 for server to server applications" (read as of
 * 2025); RFC 7523 for the assertion.
 */

import type { KeyObject } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { signToken } from './json-web-token.ts';
import {
  attempt,
  judgeStatus,
  type PushOutcome,
  type PushProvider,
  type PushResponse,
  type PushTransport,
  type WallClock,
} from './provider.ts';

export interface FcmOptions {
  readonly projectId: string;
  /** The service account. */
  readonly clientEmail: string;
  /** RSA, private. */
  readonly key: KeyObject;
  /** Where assertions are exchanged, `https://oauth2.googleapis.com/token`. */
  readonly tokenUrl: string;
  /** `https://fcm.googleapis.com`. */
  readonly origin: string;
  readonly transport: PushTransport;
  readonly clock: WallClock;
}

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const DEVICE_TOKEN = /^[\w:-]{20,512}$/;

export function createFcm(options: FcmOptions): PushProvider {
  const { projectId, origin, transport } = options;
  const access = new AccessToken(options);
  const url = `${origin}/v1/projects/${encodeURIComponent(projectId)}/messages:send`;
  return {
    platform: 'fcm',
    accepts: (registration) => registration.platform === 'fcm' && DEVICE_TOKEN.test(registration.token),
    async wake(registration) {
      if (registration.platform !== 'fcm' || !DEVICE_TOKEN.test(registration.token)) return { kind: 'gone' };
      const token = await access.get();
      if (typeof token !== 'string') return token;
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const body = new TextEncoder().encode(JSON.stringify(messageTo(registration.token)));
      const outcome = await attempt(transport, { method: 'POST', url, headers, body }, judge);
      if (outcome.kind === 'failed' && outcome.reason === 'status 401') access.forget();
      return outcome;
    },
  };
}

function messageTo(token: string): object {
  const android = { priority: 'HIGH', ttl: `${LIMITS.wakeTtlSeconds}s`, collapse_key: 'wake' };
  return { message: { token, data: { type: 'wake' }, android } };
}

/** FCM says in words that a token is void: UNREGISTERED comes with 404, a token of another sender with 403. */
function judge(response: PushResponse): PushOutcome {
  if (/"errorCode"\s*:\s*"(?:UNREGISTERED|SENDER_ID_MISMATCH)"/.test(response.body)) return { kind: 'gone' };
  // Without the word, 404 is a project that does not exist: our setting, not the device's token.
  if (response.status === 404) return { kind: 'failed', reason: 'status 404' };
  return judgeStatus(response);
}

/** The access token, fetched when it is needed and at most once at a time. */
class AccessToken {
  readonly #options: FcmOptions;
  #token = '';
  #goodUntilMs = -Infinity;
  #fetching: Promise<string | PushOutcome> | undefined;

  constructor(options: FcmOptions) {
    this.#options = options;
  }

  forget(): void {
    this.#goodUntilMs = -Infinity;
  }

  get(): Promise<string | PushOutcome> {
    if (this.#options.clock.nowMs() < this.#goodUntilMs) return Promise.resolve(this.#token);
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async #fetch(): Promise<string | PushOutcome> {
    const { clientEmail, key, tokenUrl, transport, clock } = this.#options;
    const nowMs = clock.nowMs();
    const iat = Math.floor(nowMs / 1_000);
    const assertion = signToken('RS256', key, { iss: clientEmail, scope: SCOPE, aud: tokenUrl, iat, exp: iat + 3_600 });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = new TextEncoder().encode(new URLSearchParams({ grant_type: GRANT, assertion }).toString());
    let granted: Granted | undefined;
    const outcome = await attempt(transport, { method: 'POST', url: tokenUrl, headers, body }, (response) => {
      granted = readGrant(response);
      return granted === undefined ? judgeStatus(response) : { kind: 'sent' };
    });
    if (granted === undefined)
      return outcome.kind === 'later' ? outcome : { kind: 'failed', reason: 'no access token' };
    this.#token = granted.token;
    this.#goodUntilMs = nowMs + granted.seconds * 1_000 - LIMITS.accessTokenMarginMs;
    return granted.token;
  }
}

interface Granted {
  readonly token: string;
  readonly seconds: number;
}

function readGrant({ status, body }: PushResponse): Granted | undefined {
  if (status !== 200) return undefined;
  try {
    const { access_token: token, expires_in: seconds } = JSON.parse(body) as Record<string, unknown>;
    return typeof token === 'string' && typeof seconds === 'number' ? { token, seconds } : undefined;
  } catch {
    return undefined;
  }
}

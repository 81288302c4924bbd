/**
 * APNs: wake-ups to devices of Apple, over HTTP/2, as background notifications without alert, badge or sound.
 *
 * The server names itself by a token signed with a key of the operator's developer account. Source: Apple's documentation
 * "Sending notification requests to APNs" and "Establishing a token-based connection to APNs" (read as of 2025): paths, headers,
 * reasons; a token is to be between 20 and 60 minutes old.
 */

import type { KeyObject } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { KeptToken, signToken } from './json-web-token.ts';
import {
  attempt,
  judgeStatus,
  type PushOutcome,
  type PushProvider,
  type PushResponse,
  type PushTransport,
  type WallClock,
} from './provider.ts';

export interface ApnsOptions {
  /** `https://api.push.apple.com`, or the sandbox's. */
  readonly origin: string;
  /** The app's bundle id. */
  readonly topic: string;
  readonly teamId: string;
  readonly keyId: string;
  /** P-256, private. */
  readonly key: KeyObject;
  readonly transport: PushTransport;
  readonly clock: WallClock;
}

const BODY = new TextEncoder().encode('{"aps":{"content-available":1}}');
const DEVICE_TOKEN = /^[0-9a-f]{64,200}$/i;

/** Reasons that mean that the token of the device is void, with status 400. */
const VOID_TOKEN: ReadonlySet<string> = new Set(['BadDeviceToken', 'DeviceTokenNotForTopic', 'ExpiredToken']);

export function createApns(options: ApnsOptions): PushProvider {
  const { origin, topic, teamId, keyId, key, transport, clock } = options;
  const kept = new KeptToken(LIMITS.apnsTokenAgeMs, (nowMs) =>
    signToken('ES256', key, { iss: teamId, iat: Math.floor(nowMs / 1_000) }, { kid: keyId }),
  );
  return {
    platform: 'apns',
    accepts: (registration) => registration.platform === 'apns' && DEVICE_TOKEN.test(registration.token),
    async wake(registration) {
      if (registration.platform !== 'apns' || !DEVICE_TOKEN.test(registration.token)) return { kind: 'gone' };
      const nowMs = clock.nowMs();
      const headers = {
        authorization: `bearer ${kept.get(nowMs)}`,
        'apns-topic': topic,
        'apns-push-type': 'background',
        // What the kind above demands.
        'apns-priority': '5',
        'apns-expiration': String(Math.floor(nowMs / 1_000) + LIMITS.wakeTtlSeconds),
        'apns-collapse-id': 'wake',
      };
      const url = `${origin}/3/device/${registration.token.toLowerCase()}`;
      return attempt(transport, { method: 'POST', url, headers, body: BODY }, judge);
    },
  };
}

function judge(response: PushResponse): PushOutcome {
  const reason = reasonOf(response.body);
  if (response.status === 400 && VOID_TOKEN.has(reason)) return { kind: 'gone' };
  const outcome = judgeStatus(response);
  // A token of ours that is refused is made anew at the next try, since time will have passed.
  return outcome.kind === 'failed' && reason !== '' ? { kind: 'failed', reason } : outcome;
}

function reasonOf(body: string): string {
  try {
    const { reason } = JSON.parse(body) as { readonly reason?: unknown };
    return typeof reason === 'string' && /^[A-Za-z]{1,64}$/.test(reason) ? reason : '';
  } catch {
    return '';
  }
}

/**
 * Web Push: wake-ups to browsers by way of the push service that each browser chose.
 *
 * The body is encrypted to the subscription, though it is the same for everybody: browsers take no other, and an observer at the push
 * service sees that all wake-ups are alike. The server names itself by VAPID, with a key that comes from the secret of the
 * installation, so that subscriptions survive restarts and hold on every worker.
 *
 * A subscription names a URL that this server then calls. So that nobody makes it call into its own network, only hosts of known push
 * services are called, or those that the operator names.
 *
 * Source: RFC 8291 (encryption; vectors of its appendix A), RFC 8188 (aes128gcm), RFC 8292 (VAPID), RFC 8030 (the request).
 */

import {
  createCipheriv,
  createECDH,
  createHmac,
  createPrivateKey,
  hkdfSync,
  type ECDH,
  type KeyObject,
} from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { KeptToken, signToken } from './json-web-token.ts';
import { attempt, judgeStatus, type PushProvider, type PushTransport, type WallClock } from './provider.ts';

/** What every wake-up says: that it is one. */
export const WAKE_PAYLOAD: Uint8Array = new TextEncoder().encode('{"type":"wake"}');

/** Push services of the browsers in use, by host or by the end of it. */
const KNOWN_HOSTS = [
  'fcm.googleapis.com',
  'updates.push.services.mozilla.com',
  'web.push.apple.com',
  '.notify.windows.com',
] as const;

const CURVE = 'prime256v1';
const RECORD_BYTES = 4_096;
const TAG_BYTES = 16;

/** The server's identity towards push services. */
export interface VapidKey {
  /** 65 bytes: what a browser is given when it subscribes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

/** Derives the key from the installation's secret (hex). A candidate that is no scalar of the curve is passed over. */
export function vapidKey(secret: string): VapidKey {
  for (let attemptNumber = 1; ; attemptNumber++) {
    const label = `blindbeam vapid ${attemptNumber}`;
    const scalar = createHmac('sha256', Buffer.from(secret, 'hex')).update(label).digest();
    const ecdh = createECDH(CURVE);
    try {
      ecdh.setPrivateKey(scalar);
    } catch {
      continue; // One in 2^32.
    }
    const point = ecdh.getPublicKey();
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'));
    const jwk = { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: scalar.toString('base64url') };
    return { publicKey: new Uint8Array(point), privateKey: createPrivateKey({ key: jwk, format: 'jwk' }) };
  }
}

/** What one message is encrypted with. Fresh for each, but for tests. */
export interface MessageKeys {
  /** Holds a key pair of this message alone. */
  readonly ecdh: ECDH;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

/**
 * Encrypts `plaintext` to a subscription, as one record of aes128gcm.
 *
 * @param key - The subscription's `p256dh`, 65 bytes. @param secret - Its `auth`, 16 bytes.
 * @returns The body of the request, owned; `undefined` when `key` is no point of the curve.
 *
 * Source: RFC 8291, section 3.4; RFC 8188, section 2.1.
 */
export function encryptPush(
  plaintext: Uint8Array,
  key: Uint8Array,
  secret: Uint8Array,
  { ecdh, salt }: MessageKeys,
): Uint8Array | undefined {
  const shared = agree(ecdh, key);
  if (shared === undefined) return undefined;
  const ours = ecdh.getPublicKey();
  const keyInfo = Buffer.concat([Buffer.from('WebPush: info\0'), key, ours]);
  const secretOfBoth = hkdfSync('sha256', shared, secret, keyInfo, 32);
  const contentKey = derive(secretOfBoth, salt, 'Content-Encoding: aes128gcm\0', 16);
  const nonce = derive(secretOfBoth, salt, 'Content-Encoding: nonce\0', 12);
  const cipher = createCipheriv('aes-128-gcm', contentKey, nonce, { authTagLength: TAG_BYTES });
  // 02 marks the last record; there is only one.
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.update(Buffer.of(2)), cipher.final()]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(RECORD_BYTES);
  head[4] = ours.length;
  return new Uint8Array(Buffer.concat([salt, head, ours, sealed, cipher.getAuthTag()]));
}

function agree(ecdh: ECDH, key: Uint8Array): Buffer | undefined {
  try {
    return ecdh.computeSecret(key);
  } catch {
    return undefined;
  }
}

function derive(key: ArrayBuffer, salt: Uint8Array, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', Buffer.from(key), salt, info, length));
}

/** Whether `url` is at a push service that may be called. */
export function isPushService(url: string, hosts: readonly string[]): boolean {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'https:' || parsed.username !== '' || parsed.password !== '') return false;
  if (parsed.port !== '') return hosts.includes(parsed.host);
  const isKnown = (host: string): boolean =>
    host.startsWith('.') ? parsed.hostname.endsWith(host) : host === parsed.hostname;
  return [...KNOWN_HOSTS, ...hosts].some(isKnown);
}

export interface WebPushOptions {
  readonly key: VapidKey;
  /** Whom a push service asks when something is wrong: `mailto:` or `https:`. */
  readonly subject: string;
  /** Hosts beyond the known ones: `host`, `host:port`, or `.end-of-host`. */
  readonly hosts: readonly string[];
  readonly transport: PushTransport;
  readonly clock: WallClock;
  /** Cryptographically strong. */
  readonly randomBytes: (length: number) => Uint8Array;
}

export function createWebPush(options: WebPushOptions): PushProvider {
  const { hosts, transport, randomBytes } = options;
  const vapid = new VapidHeaders(options);
  return {
    platform: 'web',
    accepts: (registration) => registration.platform === 'web' && isPushService(registration.url, hosts),
    async wake(registration) {
      if (registration.platform !== 'web' || !isPushService(registration.url, hosts)) return { kind: 'gone' };
      const { url, key, secret } = registration;
      const ecdh = createECDH(CURVE);
      ecdh.generateKeys();
      const body = encryptPush(WAKE_PAYLOAD, key, secret, { ecdh, salt: randomBytes(16) });
      if (body === undefined) return { kind: 'gone' };
      const headers = {
        authorization: vapid.of(new URL(url).origin),
        'content-encoding': 'aes128gcm',
        'content-type': 'application/octet-stream',
        ttl: String(LIMITS.wakeTtlSeconds),
        // A later wake-up takes the place of one that was not delivered: one is enough.
        topic: 'wake',
        urgency: 'high',
      };
      return attempt(transport, { method: 'POST', url, headers, body }, judgeStatus);
    },
  };
}

/** `authorization` for each push service; its token is for one origin. */
class VapidHeaders {
  readonly #options: WebPushOptions;
  readonly #tokens = new Map<string, KeptToken>();

  constructor(options: WebPushOptions) {
    this.#options = options;
  }

  of(origin: string): string {
    const { key, clock } = this.#options;
    const token = this.#tokens.get(origin) ?? this.#newToken(origin);
    this.#tokens.delete(origin);
    this.#tokens.set(origin, token);
    if (this.#tokens.size > LIMITS.pushOriginsMax) this.#tokens.delete(this.#tokens.keys().next().value!);
    return `vapid t=${token.get(clock.nowMs())}, k=${Buffer.from(key.publicKey).toString('base64url')}`;
  }

  #newToken(origin: string): KeptToken {
    const { key, subject } = this.#options;
    // At most a day is allowed; a clock that is an hour off must not matter.
    return new KeptToken(LIMITS.vapidAgeMsMax, (nowMs) => {
      const exp = Math.floor((nowMs + 2 * LIMITS.vapidAgeMsMax) / 1_000);
      return signToken('ES256', key.privateKey, { aud: origin, exp, sub: subject });
    });
  }
}

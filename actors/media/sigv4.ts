/**
 * Signatures of requests to an object store: AWS Signature Version 4, with the signature in a header. Pure.
 *
 *   signature = HMAC(key of the day, region and service, "AWS4-HMAC-SHA256" ⏎ time ⏎ scope ⏎ SHA-256(canonical request))
 *
 * Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API reference; its
 * examples are the vectors of `sigv4.test.ts`. Knows no network. Read next: `s3-client.ts`.
 */

import { createHash, createHmac } from 'node:crypto';

/** Secret; from the environment alone, and never logged. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken: string | undefined;
}

export interface UnsignedRequest {
  readonly method: string;
  /** Decoded, from the `/` on. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Names in lower case, `host` among them; all are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, lower-case hexadecimal. */
  readonly payloadHash: string;
}

/** SHA-256 of no bytes. */
export const EMPTY_HASH: string = createHash('sha256').digest('hex');

/**
 * The headers to send: those of the request, and what vouches for them.
 *
 * @param nowMs - Wall time; the store refuses a request that is more than 15 minutes off.
 */
export function signHeaders(
  request: UnsignedRequest,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  region: string,
  nowMs: number,
): Record<string, string> {
  const time = timestamp(nowMs);
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-date': time,
    'x-amz-content-sha256': request.payloadHash,
    ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
  };
  const names = Object.keys(headers).sort();
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const canonical = sha256(canonicalRequest({ ...request, headers }, names));
  const key = signingKey(secretAccessKey, time.slice(0, 8), region);
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${canonical}`).toString('hex');
  const parts = [`Credential=${accessKeyId}/${scope}`, `SignedHeaders=${names.join(';')}`, `Signature=${signature}`];
  return { ...headers, authorization: `AWS4-HMAC-SHA256 ${parts.join(',')}` };
}

/** Digits of year, month, day, hour, minute and second in UTC. */
const CALENDAR = new Intl.DateTimeFormat('sv-SE', { timeZone: 'UTC', dateStyle: 'short', timeStyle: 'medium' });

/** `20130524T000000Z` */
function timestamp(nowMs: number): string {
  const digits = CALENDAR.format(nowMs).replaceAll(/\D/g, '');
  return `${digits.slice(0, 8)}T${digits.slice(8)}Z`;
}

function canonicalRequest(request: UnsignedRequest, names: readonly string[]): string {
  const headers = names.map((name) => `${name}:${request.headers[name]!.trim().replaceAll(/ +/g, ' ')}\n`).join('');
  const { method, path, query, payloadHash } = request;
  return [method, encodePath(path), encodeQuery(query), headers, names.join(';'), payloadHash].join('\n');
}

function signingKey(secret: string, day: string, region: string): Buffer {
  return [day, region, 's3', 'aws4_request'].reduce<Buffer>(hmac, Buffer.from(`AWS4${secret}`));
}

/** A path as it is signed and sent. */
export function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

/** A query as it is signed and sent: sorted by name. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => [encode(name), encode(value)] as const);
  return pairs
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map((pair) => pair.join('='))
    .join('&');
}

/** All but the unreserved characters of RFC 3986; `encodeURIComponent` leaves five more. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

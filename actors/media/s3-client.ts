/**
 * The requests of S3 that a store of media needs, over Node's http: signed, bounded, and tried again where that may help.
 *
 * Path-style addresses, so that any store that speaks S3 will do. An outcome is a value: what was asked for, or an `S3Failure`. Tried again is
 * what did not get through, or was answered with a status of 5xx or "slow down"; pauses double, less chance. Every request here may be
 * repeated: the same part, the same object, the same removal. Knows no upload and no account. Read next: `s3-store.ts`.
 */

import { createHash } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { Clock, Logger, Random } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { S3Address } from './address.ts';
import { elementsOf, textOf } from './s3-xml.ts';
import { EMPTY_HASH, encodePath, encodeQuery, signHeaders, type Credentials } from './sigv4.ts';

/**
 * Why a request has no outcome.
 *
 * - `unavailable`: no answer, or one that says to come again; all attempts are used up.
 * - `missing`: no such object, upload or part.
 * - `refused`: anything else; bucket, credentials or the request are wrong.
 */
export interface S3Failure {
  readonly failed: 'unavailable' | 'missing' | 'refused';
  /** The store's code, such as NoSuchBucket, or that of the system, such as ECONNREFUSED. */
  readonly code: string;
}

/** Bytes to be sent, which can be read as often as attempts need them. */
export interface S3Body {
  readonly bytes: number;
  /** SHA-256, lower-case hexadecimal. */
  readonly hash: string;
  open(): Readable;
}

export interface S3Object {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface S3Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
}

/** Names an upload in a listing. */
export type S3Marker = Pick<S3Upload, 'key' | 'uploadId'>;

export interface S3ClientOptions {
  readonly address: S3Address;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each request that was given up, by its code. */
  readonly log: Logger;
  /** `LIMITS.objectStoreIdleMs` if not given. */
  readonly idleMs?: number;
}

interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Without the bucket; empty for the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: S3Body;
}

interface Answer {
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export class S3Client {
  readonly #options: S3ClientOptions;
  readonly #endpoint: URL;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(options: S3ClientOptions) {
    this.#options = options;
    this.#endpoint = new URL(options.address.endpoint);
    const pool = { keepAlive: true, maxSockets: LIMITS.objectStoreSocketsMax };
    this.#agent = this.#endpoint.protocol === 'https:' ? new HttpsAgent(pool) : new HttpAgent(pool);
  }

  /** Whether bucket and credentials are good. One attempt more or less says little, so it is tried as anything else is. */
  async probe(): Promise<S3Failure | undefined> {
    const answer = await this.#ask({ method: 'GET', key: '', query: { 'list-type': '2', 'max-keys': '1' } });
    return isFailure(answer) ? answer : undefined;
  }

  async put(key: string, body: S3Body): Promise<S3Failure | undefined> {
    const answer = await this.#ask({ method: 'PUT', key, body });
    return isFailure(answer) ? answer : undefined;
  }

  /** Begins an upload in parts. @returns Its id. */
  async createUpload(key: string): Promise<string | S3Failure> {
    const answer = await this.#ask({ method: 'POST', key, query: { uploads: '' } });
    return isFailure(answer) ? answer : (textOf(answer.text, 'UploadId') ?? malformed());
  }

  /** @param number - From 1. @returns The part's tag, which completing asks for. */
  async uploadPart(key: string, uploadId: string, number: number, body: S3Body): Promise<string | S3Failure> {
    const answer = await this.#ask({ method: 'PUT', key, query: { partNumber: String(number), uploadId }, body });
    return isFailure(answer) ? answer : (answer.headers.etag ?? malformed());
  }

  /** Makes an object of the parts. `missing` where the upload is gone, because it was completed before or given up. */
  async completeUpload(key: string, uploadId: string, tags: readonly string[]): Promise<S3Failure | undefined> {
    const parts = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
    const text = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
    const answer = await this.#ask({ method: 'POST', key, query: { uploadId }, body: bodyOf(text) });
    return isFailure(answer) ? answer : undefined;
  }

  async abortUpload(key: string, uploadId: string): Promise<S3Failure | undefined> {
    const answer = await this.#ask({ method: 'DELETE', key, query: { uploadId } });
    return isFailure(answer) && answer.failed !== 'missing' ? answer : undefined;
  }

  async head(key: string): Promise<Omit<S3Object, 'key'> | S3Failure> {
    const answer = await this.#ask({ method: 'HEAD', key });
    if (isFailure(answer)) return answer;
    const { 'content-length': bytes, 'last-modified': modified = '' } = answer.headers;
    return { bytes: Number(bytes), modifiedMs: Date.parse(modified) };
  }

  /** Opens the object from `start` on, `end` not included. @returns A stream that the caller ends or destroys. */
  get(key: string, start: number, end: number): Promise<IncomingMessage | S3Failure> {
    return this.#insist(() => this.#send({ method: 'GET', key, headers: { range: `bytes=${start}-${end - 1}` } }));
  }

  async delete(key: string): Promise<S3Failure | undefined> {
    const answer = await this.#ask({ method: 'DELETE', key });
    return isFailure(answer) && answer.failed !== 'missing' ? answer : undefined;
  }

  /** A page of the objects whose keys begin with `prefix`, and how the next page is asked for. */
  async list(prefix: string, token: string | undefined): Promise<{ objects: S3Object[]; next?: string } | S3Failure> {
    const page = { 'list-type': '2', prefix, 'max-keys': String(LIMITS.mediaSweepKeysMax) };
    const query = token === undefined ? page : { ...page, 'continuation-token': token };
    const answer = await this.#ask({ method: 'GET', key: '', query });
    if (isFailure(answer)) return answer;
    const objects = elementsOf(answer.text, 'Contents').map((element) => ({
      key: textOf(element, 'Key') ?? '',
      bytes: Number(textOf(element, 'Size')),
      modifiedMs: Date.parse(textOf(element, 'LastModified') ?? ''),
    }));
    const next = textOf(answer.text, 'NextContinuationToken');
    return next === undefined ? { objects } : { objects, next };
  }

  /** A page of the uploads in parts that are under way, and behind which one the next page begins. */
  async listUploads(
    prefix: string,
    marker: S3Marker | undefined,
  ): Promise<{ uploads: S3Upload[]; next?: S3Marker } | S3Failure> {
    const page = { uploads: '', prefix, 'max-uploads': String(LIMITS.mediaSweepKeysMax) };
    const query =
      marker === undefined ? page : { ...page, 'key-marker': marker.key, 'upload-id-marker': marker.uploadId };
    const answer = await this.#ask({ method: 'GET', key: '', query });
    if (isFailure(answer)) return answer;
    const uploads = elementsOf(answer.text, 'Upload').map((element) => ({
      key: textOf(element, 'Key') ?? '',
      uploadId: textOf(element, 'UploadId') ?? '',
      initiatedMs: Date.parse(textOf(element, 'Initiated') ?? ''),
    }));
    const [key, uploadId] = [textOf(answer.text, 'NextKeyMarker'), textOf(answer.text, 'NextUploadIdMarker')];
    const isCut = textOf(answer.text, 'IsTruncated') === 'true' && key !== undefined && uploadId !== undefined;
    return isCut ? { uploads, next: { key, uploadId } } : { uploads };
  }

  /** Closes the connections that are kept. */
  close(): void {
    this.#agent.destroy();
  }

  /** A request whose answer is short. */
  #ask(request: S3Request): Promise<Answer | S3Failure> {
    return this.#insist(async () => {
      const response = await this.#send(request);
      if (isFailure(response)) return response;
      const text = await readText(response);
      if (isFailure(text)) return text;
      // Completing an upload may be answered with 200 and fail afterwards; the body tells.
      return text.includes('<Error>') ? failureOf(500, text) : { headers: response.headers, text };
    });
  }

  async #insist<Outcome extends object>(attempt: () => Promise<Outcome | S3Failure>): Promise<Outcome | S3Failure> {
    for (let count = 1; ; count++) {
      const outcome = await attempt();
      if (!isFailure(outcome) || outcome.failed === 'missing') return outcome;
      if (outcome.failed === 'refused' || count === LIMITS.objectStoreAttemptsMax) {
        this.#options.log.warn('object_store_failed', { ...outcome });
        return outcome;
      }
      await this.#pause(LIMITS.objectStorePauseMs * 2 ** (count - 1));
    }
  }

  /** Half of it for certain, the other half by chance: so that many who failed at once do not come again at once. */
  #pause(ms: number): Promise<void> {
    const { clock, random } = this.#options;
    return new Promise((resolve) => clock.setTimer(ms / 2 + random.integer(Math.ceil(ms / 2)), resolve));
  }

  /** One attempt, up to the head of the answer; the body of a good one is left to the caller. */
  #send(request: S3Request): Promise<IncomingMessage | S3Failure> {
    const { method, body } = request;
    const [path, headers] = this.#sign(request);
    const { hostname, port, protocol } = this.#endpoint;
    const start = protocol === 'https:' ? httpsRequest : httpRequest;
    const { idleMs = LIMITS.objectStoreIdleMs } = this.#options;
    return new Promise((resolve) => {
      const options = { hostname, port, method, path, headers, agent: this.#agent, timeout: idleMs };
      const sending = start(options, (response) => void judge(response).then(resolve));
      const fail = (code: string): void => {
        resolve({ failed: 'unavailable', code });
        sending.destroy();
      };
      sending.on('timeout', () => sending.destroy(new Error('nothing moved')));
      sending.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'TIMEOUT'));
      if (body === undefined) return void sending.end();
      const source = body.open();
      source.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'EIO'));
      sending.on('close', () => source.destroy());
      source.pipe(sending);
    });
  }

  #sign({ method, key, query = {}, headers = {}, body }: S3Request): [path: string, headers: Record<string, string>] {
    const { address, credentials, clock } = this.#options;
    const path = `/${address.bucket}${key === '' ? '' : `/${key}`}`;
    const length: Record<string, string> = body === undefined ? {} : { 'content-length': String(body.bytes) };
    const unsigned = { method, path, query, payloadHash: body?.hash ?? EMPTY_HASH };
    const all = { ...headers, ...length, host: this.#endpoint.host };
    const signed = signHeaders({ ...unsigned, headers: all }, credentials, address.region, clock.nowMs());
    const search = encodeQuery(query);
    return [`${encodePath(path)}${search === '' ? '' : `?${search}`}`, signed];
  }
}

/** A short text as a body. */
function bodyOf(text: string): S3Body {
  const bytes = Buffer.from(text);
  return {
    bytes: bytes.length,
    hash: createHash('sha256').update(bytes).digest('hex'),
    open: () => Readable.from([bytes]),
  };
}

export function isFailure(outcome: unknown): outcome is S3Failure {
  return typeof outcome === 'object' && outcome !== null && 'failed' in outcome;
}

/** Lets a good answer pass with its body unread; reads the body of any other. */
async function judge(response: IncomingMessage): Promise<IncomingMessage | S3Failure> {
  const status = response.statusCode ?? 0;
  // The body's own errors are its reader's; without a reader they must not end the process.
  response.on('error', () => undefined);
  if (status >= 200 && status < 300) return response;
  const text = await readText(response);
  return isFailure(text) ? text : failureOf(status, text);
}

const PASSING_CODES = new Set([
  'SlowDown',
  'RequestTimeout',
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
]);
const MISSING_CODES = new Set(['NoSuchKey', 'NoSuchUpload', 'InvalidPart', 'NotFound']);

function failureOf(status: number, text: string): S3Failure {
  // The answer to HEAD has no body, so its 404 has no code.
  const code = textOf(text, 'Code') ?? (status === 404 ? 'NotFound' : `HTTP_${status}`);
  if (MISSING_CODES.has(code)) return { failed: 'missing', code };
  if (status === 501) return { failed: 'refused', code };
  if (status >= 500 || status === 429 || PASSING_CODES.has(code)) return { failed: 'unavailable', code };
  return { failed: 'refused', code };
}

function malformed(): S3Failure {
  return { failed: 'refused', code: 'MALFORMED_ANSWER' };
}

async function readText(response: IncomingMessage): Promise<string | S3Failure> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > LIMITS.objectStoreAnswerBytesMax) return malformed();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    return { failed: 'unavailable', code: (error as NodeJS.ErrnoException).code ?? 'ECONNRESET' };
  }
}

/**
 * An object store that speaks S3, for tests: one bucket in memory, and strict. Written from the Amazon S3 API reference, and
 * without the product's code, so that both would have to be wrong in the same way.
 *
 * Strict: each request is signed (version 4, header form) with the credentials of the store, for its region, within fifteen
 * minutes, over the body that came and over host, time and hash at least; parts but the last have 5 MiB, are named in order and
 * by the tags that were given. Faults are injected by `fault`.
 */

import { createHash, createHmac, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const ACCESS_KEY = 'AKIDTEST';
export const SECRET_KEY = 'a secret that stands in no log';
const REGION = 'eu-test-1';
export const BUCKET = 'media-bucket';

export type Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'ListObjects'
  | 'CreateUpload'
  | 'UploadPart'
  | 'CompleteUpload'
  | 'AbortUpload'
  | 'ListUploads';

/**
 * What goes wrong with a request: an answer of that status and code; no answer at all (`hang`); a connection that is reset
 * (`reset`), for `GetObject` after half of the body; what was asked for is done, and the answer is lost (`deaf`); status 200 with an error
 * in the body (`late-error`).
 */
export type Fault = { readonly status: number; readonly code: string } | 'hang' | 'reset' | 'deaf' | 'late-error';

interface StoredObject {
  readonly bytes: Buffer;
  readonly modifiedMs: number;
}

interface Upload {
  readonly key: string;
  readonly initiatedMs: number;
  readonly parts: Map<number, Buffer>;
}

/** What is answered. */
class Reply extends Error {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: string, headers: Readonly<Record<string, string>> = {}) {
    super(body);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

const PART_BYTES_MIN = 5 * 1_048_576;
const CLOCK_SKEW_MS_MAX = 15 * 60_000;

export class S3Double {
  readonly objects: Map<string, StoredObject> = new Map();
  readonly uploads: Map<string, Upload> = new Map();
  /** Every request that was taken, in order. */
  readonly requests: { readonly operation: Operation; readonly key: string; readonly bytes: number }[] = [];
  /** Requests that were refused because of their signature, with the reason. */
  readonly refusals: string[] = [];
  /** Asked before each request. */
  fault: (operation: Operation, key: string) => Fault | undefined = () => undefined;
  /** The store's clock; the system's if not set. */
  nowMs: () => number = () => Date.now();
  endpoint = '';
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens on a free port; closed by `teardown`. */
  static async start(teardown: (close: () => void) => unknown): Promise<S3Double> {
    const double = new S3Double();
    await new Promise<void>((resolve) => double.#server.listen(0, '127.0.0.1', resolve));
    double.endpoint = `http://127.0.0.1:${(double.#server.address() as AddressInfo).port}`;
    teardown(() => double.stop());
    return double;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** The setting `--media` for this store. */
  get address(): string {
    return `s3://${BUCKET}?endpoint=${this.endpoint}&region=${REGION}`;
  }

  count(operation: Operation): number {
    return this.requests.filter((request) => request.operation === operation).length;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.endpoint);
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    try {
      this.#authenticate(request, url, body);
      const [, bucket, key] = /^\/([^/]+)(?:\/(.*))?$/.exec(decodeURIComponent(url.pathname)) ?? [];
      if (bucket !== BUCKET) throw failure(404, 'NoSuchBucket');
      const operation = operationOf(request.method!, key ?? '', url.searchParams);
      this.requests.push({ operation, key: key ?? '', bytes: body.length });
      this.#answer(request, response, { operation, key: key ?? '', query: url.searchParams, body });
    } catch (error) {
      if (!(error instanceof Reply)) throw error;
      write(response, error, request.method === 'HEAD');
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse, call: Call): void {
    const fault = this.fault(call.operation, call.key);
    if (fault === 'hang') return;
    if (fault === 'reset' && call.operation !== 'GetObject') return void request.socket.destroy();
    if (typeof fault === 'object') throw failure(fault.status, fault.code);
    if (fault === 'late-error') throw new Reply(200, failure(500, 'InternalError').body);
    if (call.operation === 'GetObject') return this.#get(request, response, call.key, fault === 'reset');
    const reply = this.#perform(call);
    if (fault === 'deaf') return void request.socket.destroy();
    write(response, reply, call.operation === 'HeadObject');
  }

  #perform(call: Call): Reply {
    switch (call.operation) {
      case 'PutObject':
        this.objects.set(call.key, { bytes: call.body, modifiedMs: this.nowMs() });
        return new Reply(200, '', { etag: tagOf(call.body) });
      case 'HeadObject':
      case 'GetObject':
        return this.#head(call.key);
      case 'DeleteObject':
        this.objects.delete(call.key);
        return new Reply(204, '');
      case 'ListObjects':
        return this.#list(call.query);
      case 'CreateUpload':
        return this.#createUpload(call.key);
      case 'UploadPart':
        return this.#uploadPart(call);
      case 'CompleteUpload':
        return this.#completeUpload(call);
      case 'AbortUpload':
        this.#uploadOf(call);
        this.uploads.delete(call.query.get('uploadId')!);
        return new Reply(204, '');
      case 'ListUploads':
        return this.#listUploads(call.query);
    }
  }

  // --- objects ------------------------------------------------------------------------------------------------------

  #objectAt(key: string): StoredObject {
    const object = this.objects.get(key);
    if (object === undefined) throw failure(404, 'NoSuchKey');
    return object;
  }

  #head(key: string): Reply {
    const { bytes, modifiedMs } = this.#objectAt(key);
    const modified = new Date(modifiedMs).toUTCString();
    return new Reply(200, '', { 'content-length': String(bytes.length), 'last-modified': modified });
  }

  #get(request: IncomingMessage, response: ServerResponse, key: string, isCut: boolean): void {
    const { bytes } = this.#objectAt(key);
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (start === undefined || Number(start) >= bytes.length) throw failure(416, 'InvalidRange');
    const part = bytes.subarray(Number(start), Number(end) + 1);
    response.writeHead(206, { 'content-length': part.length });
    if (!isCut) return void response.end(part);
    response.write(part.subarray(0, part.length >> 1), () => request.socket.destroy());
  }

  #list(query: URLSearchParams): Reply {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '')).sort();
    const after = query.get('continuation-token') ?? '';
    const rest = keys.filter((key) => key > after);
    const page = rest.slice(0, Number(query.get('max-keys') ?? 1_000));
    const contents = page.map((key) => {
      const { bytes, modifiedMs } = this.objects.get(key)!;
      const modified = new Date(modifiedMs).toISOString();
      return `<Contents><Key>${key}</Key><LastModified>${modified}</LastModified><Size>${bytes.length}</Size></Contents>`;
    });
    const isCut = page.length < rest.length;
    const next = isCut ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    const head = `<IsTruncated>${isCut}</IsTruncated>${next}`;
    return new Reply(200, `<ListBucketResult>${head}${contents.join('')}</ListBucketResult>`);
  }

  // --- uploads in parts ---------------------------------------------------------------------------------------------

  #createUpload(key: string): Reply {
    const uploadId = randomUUID();
    this.uploads.set(uploadId, { key, initiatedMs: this.nowMs(), parts: new Map() });
    return new Reply(
      200,
      `<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`,
    );
  }

  #uploadOf({ query, key }: Call): Upload {
    const upload = this.uploads.get(query.get('uploadId') ?? '');
    if (upload === undefined || upload.key !== key) throw failure(404, 'NoSuchUpload');
    return upload;
  }

  #uploadPart(call: Call): Reply {
    const number = Number(call.query.get('partNumber'));
    if (!Number.isInteger(number) || number < 1 || number > 10_000) throw failure(400, 'InvalidArgument');
    this.#uploadOf(call).parts.set(number, call.body);
    return new Reply(200, '', { etag: tagOf(call.body) });
  }

  #completeUpload(call: Call): Reply {
    const upload = this.#uploadOf(call);
    const named = [...call.body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>([^<]+)<\/ETag>/g)];
    if (named.length === 0) throw failure(400, 'MalformedXML');
    const parts = named.map(([, number, tag], index) => {
      if (index > 0 && Number(number) <= Number(named[index - 1]![1])) throw failure(400, 'InvalidPartOrder');
      const part = upload.parts.get(Number(number));
      if (part === undefined || tagOf(part) !== tag) throw failure(400, 'InvalidPart');
      if (index < named.length - 1 && part.length < PART_BYTES_MIN) throw failure(400, 'EntityTooSmall');
      return part;
    });
    this.objects.set(upload.key, { bytes: Buffer.concat(parts), modifiedMs: this.nowMs() });
    this.uploads.delete(call.query.get('uploadId')!);
    return new Reply(200, '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>');
  }

  #listUploads(query: URLSearchParams): Reply {
    const name = (key: string, uploadId: string): string => `${key}\n${uploadId}`;
    const after = name(query.get('key-marker') ?? '', query.get('upload-id-marker') ?? '');
    const rest = [...this.uploads]
      .map(([uploadId, upload]) => ({ uploadId, ...upload }))
      .filter(({ key, uploadId }) => key.startsWith(query.get('prefix') ?? '') && name(key, uploadId) > after)
      .sort((left, right) => (name(left.key, left.uploadId) < name(right.key, right.uploadId) ? -1 : 1));
    const page = rest.slice(0, Number(query.get('max-uploads') ?? 1_000));
    const last = page.at(-1);
    const elements = page.map(({ key, uploadId, initiatedMs }) => {
      const initiated = new Date(initiatedMs).toISOString();
      return `<Upload><Key>${key}</Key><UploadId>${uploadId}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
    });
    const isCut = page.length < rest.length;
    const head = `<IsTruncated>${isCut}</IsTruncated><NextKeyMarker>${last?.key ?? ''}</NextKeyMarker>`;
    const next = `<NextUploadIdMarker>${last?.uploadId ?? ''}</NextUploadIdMarker>`;
    return new Reply(
      200,
      `<ListMultipartUploadsResult>${head}${next}${elements.join('')}</ListMultipartUploadsResult>`,
    );
  }

  // --- signatures ---------------------------------------------------------------------------------------------------

  #authenticate(request: IncomingMessage, url: URL, body: Buffer): void {
    const refuse = (code: string, why: string): Reply => {
      this.refusals.push(`${code}: ${why}`);
      return failure(403, code);
    };
    const form =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request,SignedHeaders=([^,]+),Signature=(\w{64})$/;
    const match = form.exec(request.headers.authorization ?? '');
    if (match === null) throw refuse('AccessDenied', 'no signature');
    const [, accessKey, day, region, names, signature] = match as unknown as string[];
    if (accessKey !== ACCESS_KEY) throw refuse('InvalidAccessKeyId', accessKey!);
    if (region !== REGION) throw refuse('AuthorizationHeaderMalformed', region!);
    const signed = names!.split(';');
    for (const name of ['host', 'x-amz-date', 'x-amz-content-sha256'])
      if (!signed.includes(name)) throw refuse('AccessDenied', `${name} is not signed`);
    for (const name of Object.keys(request.headers))
      if (name.startsWith('x-amz-') && !signed.includes(name)) throw refuse('AccessDenied', `${name} is not signed`);
    const time = String(request.headers['x-amz-date']);
    const [, year, month, date, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
      .exec(time)!
      .map(Number);
    const skewMs = Math.abs(Date.UTC(year!, month! - 1, date, hour, minute, second) - this.nowMs());
    if (skewMs > CLOCK_SKEW_MS_MAX || !time.startsWith(day!)) throw refuse('RequestTimeTooSkewed', time);
    const hash = createHash('sha256').update(body).digest('hex');
    if (request.headers['x-amz-content-sha256'] !== hash) throw refuse('XAmzContentSHA256Mismatch', hash);
    const canonical = [
      request.method,
      url.pathname,
      url.search.slice(1).split('&').sort().join('&'),
      ...signed.map((name) => `${name}:${String(request.headers[name])}`),
      '',
      names,
      hash,
    ].join('\n');
    const scope = `${day}/${region}/s3/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
    let key = Buffer.from(`AWS4${SECRET_KEY}`);
    for (const step of scope.split('/')) key = createHmac('sha256', key).update(step).digest();
    const expected = createHmac('sha256', key).update(text).digest('hex');
    if (expected !== signature) throw refuse('SignatureDoesNotMatch', canonical);
  }
}

interface Call {
  readonly operation: Operation;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

function operationOf(method: string, key: string, query: URLSearchParams): Operation {
  if (key === '' && method === 'GET') return query.has('uploads') ? 'ListUploads' : 'ListObjects';
  if (method === 'POST') return query.has('uploads') ? 'CreateUpload' : 'CompleteUpload';
  if (method === 'PUT') return query.has('partNumber') ? 'UploadPart' : 'PutObject';
  if (method === 'DELETE') return query.has('uploadId') ? 'AbortUpload' : 'DeleteObject';
  return method === 'HEAD' ? 'HeadObject' : 'GetObject';
}

function tagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function failure(status: number, code: string): Reply {
  return new Reply(
    status,
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as the test wants it</Message></Error>`,
  );
}

function write(response: ServerResponse, { status, body, headers }: Reply, isHead: boolean): void {
  response.writeHead(status, isHead ? headers : { 'content-length': Buffer.byteLength(body), ...headers });
  response.end(isHead ? undefined : body);
}

/**
 * Media over HTTP, beside the socket: `POST /media`, `HEAD`, `PATCH` and `GET /media/:id`.
 *
 * Uploads show a ticket and can be taken up where they broke off (in the manner of the tus protocol); downloads show
 * nothing but the id, 128 random bits that stand encrypted in the message: so the server does not learn who fetches what.
 * Bytes pass through untouched and unread. Shell: it decides nothing about accounts. docs/protocol.md has each request byte
 * by byte; docs/internals/media.md says why. Read next: `exchange.ts` for back-pressure, `media-store.ts`.
 */

import type { Logger } from '../../runtime/index.ts';
import { describe, type AppCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Body, Exchange, type Headers, type HttpApp, type HttpRequest } from './exchange.ts';
import { isRefused, type Appender, type MediaRefusal, type MediaStore, type UploadState } from './media-store.ts';
import { readRange } from './range.ts';
import { openTicket, type Ticket } from './ticket.ts';

export interface MediaHttpOptions {
  readonly store: MediaStore;
  readonly ticketKey: Uint8Array;
  /** Wall time. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** A refusal and the headers that help the client on. */
interface Refused {
  readonly code: AppCode;
  readonly headers?: Headers;
}

const ID = /^[0-9a-f]{32}$/;

export class MediaHttp {
  readonly #options: MediaHttpOptions;
  readonly #running = new Set<Promise<void>>();

  constructor(options: MediaHttpOptions) {
    this.#options = options;
  }

  bind(app: HttpApp): void {
    app.post('/media', (response, request) => {
      const ticket = this.#ticket(request);
      const length = request.getHeader('upload-length');
      const exchange = new Exchange(response);
      this.#run(exchange, () => this.#create(exchange, new Body(response, exchange), ticket, length));
    });
    app.patch('/media/:id', (response, request) => {
      const ticket = this.#ticket(request);
      const [id, offset] = [request.getParameter(0), request.getHeader('upload-offset')];
      const exchange = new Exchange(response);
      this.#run(exchange, () => this.#append(exchange, new Body(response, exchange), ticket, id, offset));
    });
    app.head('/media/:id', (response, request) => {
      const [ticket, id] = [this.#ticket(request), request.getParameter(0)];
      const exchange = new Exchange(response);
      this.#run(exchange, () => this.#tell(exchange, ticket, id));
    });
    app.get('/media/:id', (response, request) => {
      const [id, range] = [request.getParameter(0), request.getHeader('range')];
      const exchange = new Exchange(response);
      this.#run(exchange, () => this.#download(exchange, id, range));
    });
  }

  /** Resolves when no file is in use any more; call it after the sockets are closed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #ticket(request: HttpRequest): Ticket | undefined {
    const [, text] = /^bearer ([\w-]+)$/i.exec(request.getHeader('authorization')) ?? [];
    return text === undefined ? undefined : openTicket(this.#options.ticketKey, text, this.#options.nowMs());
  }

  /** Runs one request within the bound on their number; what fails beneath it ends the connection, and is logged. */
  #run(exchange: Exchange, work: () => Promise<void>): void {
    if (this.#running.size >= LIMITS.mediaTransferCountMax) {
      return exchange.refuse('APP_OVERLOADED', { 'retry-after': 1 }, true);
    }
    const done = work()
      .catch((error: NodeJS.ErrnoException) => {
        this.#options.log.error('media_failed', { reason: error.code ?? error.name });
        exchange.abort();
      })
      .finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  // --- upload -----------------------------------------------------------------------------------------------------

  async #create(exchange: Exchange, body: Body, ticket: Ticket | undefined, length: string): Promise<void> {
    const refused = refuseCreation(ticket, length);
    if (refused !== undefined || ticket === undefined) return refuse(exchange, body, refused ?? BAD_TICKET);
    const { store, nowMs } = this.#options;
    const created = await store.create(ticket.id, ticket.user, ticket.bytes, nowMs());
    if (isRefused(created)) return refuse(exchange, body, explain(created));
    if (!(await body.discard())) return exchange.refuse('APP_BAD_REQUEST', {}, true);
    exchange.reply('201 Created', { location: `/media/${ticket.id}`, ...uploadHeaders(created) });
  }

  async #append(exchange: Exchange, body: Body, ticket: Ticket | undefined, id: string, offset: string): Promise<void> {
    if (ticket === undefined) return refuse(exchange, body, BAD_TICKET);
    if (!ID.test(id)) return refuse(exchange, body, { code: 'APP_UNKNOWN_MEDIA' });
    if (!/^\d{1,15}$/.test(offset)) return refuse(exchange, body, { code: 'APP_BAD_REQUEST' });
    const { store, nowMs } = this.#options;
    const appender = await store.append(id, ticket.user, Number(offset), nowMs());
    if (isRefused(appender)) return refuse(exchange, body, explain(appender));
    const { refused, state } = await takeBody(appender, body);
    if (refused !== undefined) return refuse(exchange, body, refused);
    if (body.isWhole) exchange.reply('204 No Content', uploadHeaders(state));
  }

  async #tell(exchange: Exchange, ticket: Ticket | undefined, id: string): Promise<void> {
    // The answer to HEAD has no body, so the code has to stand in a header.
    const fail = (code: AppCode, status: string): void => exchange.reply(status, { 'blindbeam-code': code });
    if (ticket === undefined) return fail('APP_BAD_TICKET', '401 Unauthorized');
    const found = ID.test(id) ? await this.#options.store.find(id, ticket.user) : undefined;
    if (found === undefined) return fail('APP_UNKNOWN_MEDIA', '404 Not Found');
    if (isRefused(found)) {
      const { code } = explain(found);
      return fail(code, describe(code).httpStatus ?? '404 Not Found');
    }
    exchange.reply('200 OK', { ...uploadHeaders(found), 'cache-control': 'no-store' });
  }

  // --- download ---------------------------------------------------------------------------------------------------

  async #download(exchange: Exchange, id: string, range: string): Promise<void> {
    const blob = ID.test(id) ? await this.#options.store.open(id) : ({ refused: 'unknown' } as const);
    if (isRefused(blob)) return refuseBodiless(exchange, explain(blob));
    try {
      const span = readRange(range, blob.bytes);
      if (span === 'unsatisfiable') {
        return exchange.refuse('APP_BAD_RANGE', { 'content-range': `bytes */${blob.bytes}` });
      }
      const { start, end } = span ?? { start: 0, end: blob.bytes };
      const part: Headers = span === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${blob.bytes}` };
      exchange.begin(span === undefined ? '200 OK' : '206 Partial Content', { ...BLOB_HEADERS, ...part });
      for (let position = start; position < end && !exchange.isOver;) {
        const piece = await blob.read(position, Math.min(LIMITS.mediaReadBytes, end - position));
        await exchange.send(piece, end - start);
        position += piece.length;
      }
    } finally {
      await blob.close();
    }
  }
}

const BAD_TICKET: Refused = { code: 'APP_BAD_TICKET' };

/** A blob never changes, so whoever has it may keep it; it is nobody else's business, hence `private`. */
const BLOB_HEADERS: Headers = {
  'content-type': 'application/octet-stream',
  'x-content-type-options': 'nosniff',
  'accept-ranges': 'bytes',
  'cache-control': 'private, immutable, max-age=2592000',
};

function refuseCreation(ticket: Ticket | undefined, length: string): Refused | undefined {
  if (ticket === undefined) return BAD_TICKET;
  if (!/^\d{1,15}$/.test(length)) return { code: 'APP_BAD_REQUEST' };
  return Number(length) === ticket.bytes ? undefined : { code: 'APP_MEDIA_TOO_LARGE' };
}

interface Taken {
  readonly refused: Refused | undefined;
  readonly state: UploadState;
}

/** Writes a body to the end of an upload. Whatever came counts, also where the client has gone in the middle. */
async function takeBody(appender: Appender, body: Body): Promise<Taken> {
  let code: AppCode | undefined;
  let closed: UploadState | MediaRefusal;
  try {
    for (let batch = await body.next(); batch !== undefined; batch = await body.next()) {
      code = await takeBatch(appender, batch);
      if (code !== undefined) break;
    }
  } finally {
    closed = await appender.close();
  }
  if (isRefused(closed)) return { refused: explain(closed), state: appender };
  return { refused: code && { code, headers: uploadHeaders(closed) }, state: closed };
}

async function takeBatch(appender: Appender, batch: readonly Uint8Array[]): Promise<AppCode | undefined> {
  const length = batch.reduce((sum, chunk) => sum + chunk.length, 0);
  if (length > appender.bytes - appender.offset) return 'APP_MEDIA_TOO_LARGE';
  const written = await appender.write(batch);
  return written === 'ok' ? undefined : REFUSALS[written];
}

/** Refuses a request that has no body. */
function refuseBodiless(exchange: Exchange, { code, headers = {} }: Refused, closeConnection = false): void {
  const pause = RETRY_SECONDS[code];
  exchange.refuse(code, pause === undefined ? headers : { ...headers, 'retry-after': pause }, closeConnection);
}

/** Refuses once the rest of the body has gone by: an answer in the middle of it would be lost with the connection. */
async function refuse(exchange: Exchange, body: Body, refused: Refused): Promise<void> {
  const isRead = await body.discard();
  refuseBodiless(exchange, refused, !isRead);
}

const RETRY_SECONDS: Readonly<Partial<Record<AppCode, number>>> = {
  APP_UPLOAD_BUSY: 1,
  APP_OVERLOADED: LIMITS.mediaUnavailableRetrySeconds,
  APP_STORE_FULL: LIMITS.storeFullRetrySeconds,
  APP_TOO_MANY_UPLOADS: 60,
};

function explain(refusal: MediaRefusal): Refused {
  if (refusal.refused === 'offset') return { code: 'APP_WRONG_OFFSET', headers: uploadHeaders(refusal.state) };
  return { code: REFUSALS[refusal.refused] };
}

const REFUSALS = {
  unknown: 'APP_UNKNOWN_MEDIA',
  busy: 'APP_UPLOAD_BUSY',
  full: 'APP_STORE_FULL',
  'too-many': 'APP_TOO_MANY_UPLOADS',
  unavailable: 'APP_OVERLOADED',
} as const satisfies Record<Exclude<MediaRefusal['refused'], 'offset'>, AppCode>;

function uploadHeaders({ offset, bytes }: UploadState): Headers {
  return { 'upload-offset': offset, 'upload-length': bytes };
}

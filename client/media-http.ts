/**
 * The media routes of the server as a client uses them: tickets, offsets, and trying again.
 *
 * Every loss is treated alike: pause, ask the server how far it is, go on from there. It gives up when nothing has moved for a
 * number of attempts in a row. Requests are short (one slice) and have a deadline, so a connection that is half open costs a
 * minute and not the transfer. It knows no key. Read next: docs/protocol.md, "Media".
 */

import { fromReadableStream } from '../protocol/signal/index.ts';
import { backoff, drawDelayMs } from './backoff.ts';
import { asProtocolCode } from './close-reason.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { Requests } from './requests.ts';

/** `fetch` of the platform, or something that does the same. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface MediaHttpServices {
  /** The address of the server as the client was given it, ws: or wss:. */
  readonly url: string;
  readonly fetch: Fetch;
  readonly requests: Requests;
  readonly clock: Clock;
  readonly random: Random;
}

/** The transport failed, or the server asks for a pause: the same again later. `floorMs` is the least pause. */
interface Setback {
  readonly code: ErrorCode;
  readonly floorMs: number;
}

/** One transfer. */
export class MediaHttp {
  readonly #services: MediaHttpServices;
  readonly #signal: AbortSignal | undefined;
  readonly #origin: string;
  #ticket = '';
  #totalBytes = 0;
  /** Attempts in a row that moved nothing. */
  #setbacks = 0;

  constructor(services: MediaHttpServices, signal: AbortSignal | undefined) {
    this.#services = services;
    this.#signal = signal;
    const { protocol, host } = new URL(services.url);
    this.#origin = `${protocol === 'wss:' ? 'https:' : 'http:'}//${host}`;
  }

  /** Begins an upload of `totalBytes`. @returns Its locator. */
  async begin(totalBytes: number): Promise<string> {
    this.#totalBytes = totalBytes;
    await this.#renewTicket();
    for (;;) {
      const response = await this.#attempt('/media', () => ({
        method: 'POST',
        headers: { ...this.#authorization(), 'upload-length': String(totalBytes) },
      }));
      if (response === undefined) continue;
      const locator = response.headers.get('location');
      if (response.status !== 201 || locator === null) throw new ClientError('CLI_PROTOCOL');
      return locator;
    }
  }

  /**
   * Appends `slice`, which begins at `start` of the upload.
   *
   * @param slice - Borrowed until the promise settles.
   * @returns Where the upload ends now: behind the slice.
   */
  async append(locator: string, start: number, slice: Uint8Array): Promise<number> {
    const end = start + slice.length;
    let offset = start;
    while (offset < end) {
      const rest = slice.subarray(offset - start);
      const patched = await this.#attempt(locator, () => ({
        method: 'PATCH',
        headers: { ...this.#authorization(), 'upload-offset': String(offset) },
        body: rest as BodyInit & Uint8Array,
      }));
      const reached = offsetOf(patched) ?? (await this.#ask(locator));
      if (reached === undefined) continue;
      // Less than it has acknowledged, or more than it was sent: going on would make another file of it.
      if (reached < start || reached > end) throw new ClientError('CLI_PROTOCOL');
      if (reached > offset) this.#setbacks = 0;
      offset = reached;
    }
    return end;
  }

  /** The bytes behind `locator`, from the first to the last, over as many requests as it takes. */
  async *fetch(
    locator: string,
    report: (transferredBytes: number, totalBytes: number) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let position = 0;
    let totalBytes = Infinity;
    while (position < totalBytes) {
      const headers: Record<string, string> = position === 0 ? {} : { range: `bytes=${position}-` };
      const deadline = this.#deadline(LIMITS.mediaStallMs);
      try {
        const response = await this.#attempt(locator, () => ({ headers }), deadline);
        if (response === undefined) continue;
        totalBytes = totalOf(response, position);
        for await (const piece of fromReadableStream(response.body!)) {
          deadline.extend();
          this.#setbacks = 0;
          position += piece.length;
          yield piece;
          report(position, totalBytes);
          deadline.extend();
        }
      } catch (error) {
        if (ClientError.is(error)) throw error;
        await this.#pause({ code: 'CLI_UNREACHABLE', floorMs: 0 });
      } finally {
        deadline.clear();
      }
    }
  }

  /** How far the server is; undefined where that could not be learned this time. */
  async #ask(locator: string): Promise<number | undefined> {
    return offsetOf(await this.#attempt(locator, () => ({ method: 'HEAD', headers: this.#authorization() })));
  }

  async #renewTicket(): Promise<void> {
    const request = { kind: 'media-ticket', bytes: this.#totalBytes } as const;
    const { ticket } = await this.#services.requests.askUntilAnswered(request, 'media-ticket');
    this.#ticket = toBase64Url(ticket);
  }

  #authorization(): Record<string, string> {
    return { authorization: `Bearer ${this.#ticket}` };
  }

  /**
   * Makes one request.
   *
   * @returns The response, of status 2xx or 409; undefined after a setback, for which it has paused.
   * @throws {ClientError} What trying again would not change.
   */
  async #attempt(path: string, init: () => RequestInit, given?: Deadline): Promise<Response | undefined> {
    const deadline = given ?? this.#deadline(LIMITS.mediaRequestTimeoutMs);
    try {
      const response = await this.#services.fetch(`${this.#origin}${path}`, { ...init(), signal: deadline.signal });
      if (response.ok || response.status === 409) return response;
      const setback = await this.#judge(response);
      if (setback !== undefined) await this.#pause(setback);
    } catch (error) {
      if (ClientError.is(error)) throw error;
      await this.#pause({ code: 'CLI_UNREACHABLE', floorMs: 0 });
    } finally {
      if (given === undefined) deadline.clear();
    }
    return undefined;
  }

  /** What a refusal leads to: a pause, another ticket (undefined), or the end. */
  async #judge(response: Response): Promise<Setback | undefined> {
    const text = response.headers.get('blindbeam-code') ?? (await response.text()).trim();
    const code = asProtocolCode(text) ?? 'CLI_PROTOCOL';
    const floorMs = Number(response.headers.get('retry-after') ?? 0) * 1_000;
    if (PASSING.has(response.status)) return { code, floorMs };
    if (response.status !== 401 || this.#setbacks > 0)
      throw new ClientError(code, floorMs > 0 ? { retryAfterMs: floorMs } : {});
    this.#setbacks += 1;
    await this.#renewTicket();
    return undefined;
  }

  async #pause({ code, floorMs }: Setback): Promise<void> {
    this.#assertWanted();
    if (this.#setbacks >= LIMITS.mediaSetbackCountMax) throw new ClientError(code);
    const { clock, random } = this.#services;
    const delayMs = drawDelayMs(backoff(this.#setbacks++, floorMs), random);
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(delayMs, resolve);
      this.#signal?.addEventListener('abort', () => (clock.clearTimer(timer), resolve()), { once: true });
    });
    this.#assertWanted();
  }

  #assertWanted(): void {
    if (this.#signal?.aborted === true) throw new ClientError('CLI_MEDIA_CANCELLED');
  }

  #deadline(ms: number): Deadline {
    this.#assertWanted();
    return new Deadline(this.#services.clock, ms, this.#signal);
  }
}

/** Statuses that pass by themselves: an upload in use, an overloaded worker, a disk without room. */
const PASSING: ReadonlySet<number> = new Set([423, 502, 503, 504, 507]);

/** Aborts a request in which nothing moves. */
class Deadline {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #abort = (): void => this.#controller.abort();
  #timer: unknown;

  constructor(clock: Clock, ms: number, outer: AbortSignal | undefined) {
    this.#clock = clock;
    this.#ms = ms;
    this.#outer = outer;
    this.#timer = clock.setTimer(ms, this.#abort);
    outer?.addEventListener('abort', this.#abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  extend(): void {
    this.#clock.clearTimer(this.#timer);
    this.#timer = this.#clock.setTimer(this.#ms, this.#abort);
  }

  clear(): void {
    this.#clock.clearTimer(this.#timer);
    this.#outer?.removeEventListener('abort', this.#abort);
  }
}

function offsetOf(response: Response | undefined): number | undefined {
  const text = response?.headers.get('upload-offset');
  return text === null || text === undefined || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}

/** The size of the whole, as the answer to a request from `position` on tells it. */
function totalOf(response: Response, position: number): number {
  const [, start, total] =
    /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(response.headers.get('content-range') ?? '') ?? [];
  if (position > 0 && Number(start) === position) return Number(total);
  const length = response.headers.get('content-length');
  if (position === 0 && response.status === 200 && length !== null) return Number(length);
  throw new ClientError('CLI_PROTOCOL');
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

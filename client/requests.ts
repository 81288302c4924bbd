/**
 * Questions to the server and their answers: `<iq>` ids, deadlines, and a bound on how many are open.
 *
 * A question dies with its connection; `askUntilAnswered` asks it again on the next one. It knows no meaning of any
 * question. Read next: `connection-driver.ts`, whose `opened` and `shut` move it.
 */

import { iqGetStanza, iqSetStanza } from '../protocol/wire/index.ts';
import type {
  Answer,
  GetRequest,
  IqErrorMessage,
  IqResultMessage,
  SetRequest,
  Stanza,
} from '../protocol/wire/index.ts';
import { asProtocolCode } from './close-reason.ts';
import type { Clock } from './environment.ts';
import { ClientError, codeOf } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Anything that can be asked. */
export type Request = GetRequest | SetRequest;

type AnswerKind = Answer['kind'];
type AnswerOf<Kind extends AnswerKind> = Extract<Answer, { readonly kind: Kind }>;

interface OpenRequest {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: ClientError) => void;
  readonly timer: unknown;
}

/** Complete by its type: a kind that is missing here does not compile. */
const SET_KINDS: Readonly<Record<SetRequest['kind'], true>> = {
  register: true,
  confirm: true,
  'prekey-upload': true,
  'link-begin': true,
  'link-approve': true,
  unlink: true,
  'publish-list': true,
  'group-change': true,
  subscribe: true,
  'group-subscribe': true,
  'privacy-change': true,
  relation: true,
  'strangers-change': true,
  report: true,
  notify: true,
  'push-change': true,
};

/** The stanza of a request. */
export function requestStanza(id: number, request: Request): Stanza {
  return Object.hasOwn(SET_KINDS, request.kind)
    ? iqSetStanza({ id, request: request as SetRequest })
    : iqGetStanza({ id, request: request as GetRequest });
}

/** A refused request as the error that its caller gets. */
export function refusalOf({ code, retryAfter }: Pick<IqErrorMessage, 'code' | 'retryAfter'>): ClientError {
  const options = retryAfter === undefined ? {} : { retryAfterMs: retryAfter * 1_000 };
  return new ClientError(asProtocolCode(code) ?? 'CLI_PROTOCOL', options);
}

/** Whether asking again later may bring an answer. */
export function isPassing(error: unknown): boolean {
  return (
    ClientError.is(error) &&
    (error.retryAfterMs !== undefined || error.code === 'CLI_DISCONNECTED' || error.code === 'CLI_TIMEOUT')
  );
}

/** The open requests of one client. */
export class Requests {
  readonly #send: (stanza: Stanza) => void;
  readonly #clock: Clock;
  readonly #open = new Map<number, OpenRequest>();
  #turns: (() => void)[] = [];
  #openers: { resolve: () => void; reject: (error: ClientError) => void }[] = [];
  /** How pauses that the server asked for are cut short. */
  readonly #pauses = new Set<() => void>();
  #nextId = 1;
  #isConnected = false;
  /** Why no connection will come, if so. */
  #stop: ClientError | undefined;

  constructor(send: (stanza: Stanza) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /**
   * Asks once, on the present connection.
   *
   * @returns The answer, its bytes owned.
   * @throws {ClientError} CLI_DISCONNECTED, also at once when there is no connection; CLI_TIMEOUT; CLI_PROTOCOL when the
   * answer is of another kind; the server's code.
   */
  async ask<Kind extends AnswerKind>(request: Request, kind: Kind): Promise<AnswerOf<Kind>> {
    while (this.#isConnected && this.#open.size >= LIMITS.requestCountMax) {
      await new Promise<void>((resolve) => this.#turns.push(resolve));
    }
    if (!this.#isConnected) throw new ClientError('CLI_DISCONNECTED');
    const answer = await this.#transmit(request);
    if (answer.kind !== kind) throw new ClientError('CLI_PROTOCOL');
    return answer as AnswerOf<Kind>;
  }

  /** Asks on the present connection, again where the server asks for a pause. @throws {ClientError} As `ask`. */
  async askPatiently<Kind extends AnswerKind>(request: Request, kind: Kind): Promise<AnswerOf<Kind>> {
    for (;;) {
      try {
        return await this.ask(request, kind);
      } catch (error) {
        if (!ClientError.is(error) || error.retryAfterMs === undefined) throw error;
        await this.#pause(error.retryAfterMs);
      }
    }
  }

  /**
   * Asks on this connection or the next ones, until there is an answer or a refusal that stays.
   *
   * @throws {ClientError} As `ask`, but never CLI_DISCONNECTED; CLI_CLOSED or the reason when the client stops.
   */
  async askUntilAnswered<Kind extends AnswerKind>(request: Request, kind: Kind): Promise<AnswerOf<Kind>> {
    for (;;) {
      await this.#whenConnected();
      try {
        return await this.ask(request, kind);
      } catch (error) {
        const pauseMs = (error as ClientError).retryAfterMs ?? 0;
        if (!isPassing(error) || pauseMs > LIMITS.requestPauseMsMax) throw error;
        await this.#pause(pauseMs);
      }
    }
  }

  /** A connection is being sought (again): questions may wait for it. */
  started(): void {
    this.#stop = undefined;
  }

  /** A connection is logged in. */
  connected(): void {
    this.#isConnected = true;
    for (const opener of this.#openers.splice(0)) opener.resolve();
  }

  /** The connection is gone: open requests fail. */
  disconnected(): void {
    this.#isConnected = false;
    for (const id of [...this.#open.keys()]) this.#settle(id)?.reject(new ClientError('CLI_DISCONNECTED'));
    for (const turn of this.#turns.splice(0)) turn();
  }

  /** No connection will come any more: whoever waits for one fails with `error`. */
  stopped(error: ClientError): void {
    this.disconnected();
    this.#stop = error;
    for (const opener of this.#openers.splice(0)) opener.reject(error);
    // Whoever waits there finds that there is no connection, and its timer keeps no process alive.
    for (const end of [...this.#pauses]) end();
  }

  /** Takes an answer or refusal; one that nobody waits for is late and dropped. */
  receive(message: IqResultMessage | IqErrorMessage): void {
    const request = this.#settle(message.id);
    if (message.kind === 'iq-result') request?.resolve(message.answer);
    else request?.reject(refusalOf(message));
  }

  #transmit(request: Request): Promise<Answer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const onTimeout = (): void => this.#settle(id)?.reject(new ClientError('CLI_TIMEOUT'));
      const timer = this.#clock.setTimer(LIMITS.requestTimeoutMs, onTimeout);
      this.#open.set(id, { resolve, reject, timer });
      this.#send(requestStanza(id, request));
    });
  }

  #settle(id: number): OpenRequest | undefined {
    const request = this.#open.get(id);
    if (request === undefined) return undefined;
    this.#open.delete(id);
    this.#clock.clearTimer(request.timer);
    this.#turns.shift()?.();
    return request;
  }

  #whenConnected(): Promise<void> {
    if (this.#isConnected) return Promise.resolve();
    if (this.#stop !== undefined) return Promise.reject(this.#stop);
    return new Promise((resolve, reject) => this.#openers.push({ resolve, reject }));
  }

  #pause(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#clock.clearTimer(timer);
        this.#pauses.delete(end);
        resolve();
      };
      const timer = this.#clock.setTimer(ms, end);
      this.#pauses.add(end);
    });
  }
}

/** The code of a failed question as its asker reports it: nobody has that name. */
export function asUnknownPeer(error: unknown): unknown {
  const code = codeOf(error);
  const isUnknown = code === 'APP_UNKNOWN_USER' || code === 'APP_NOT_FOUND';
  return isUnknown ? new ClientError('CLI_PEER_UNKNOWN', { cause: error }) : error;
}

/**
 * The parts of a client and their life: made over one store, at work from registration on, stopped with the client.
 *
 * Knows what each part is told by the others and nothing of what an application may ask: that is `client.ts`.
 */

import { loadAccount } from './account.ts';
import type { ClientOptions } from './client.ts';
import { Connection } from './connection-driver.ts';
import type { ConnectionState } from './connection.ts';
import { Engine } from './engine.ts';
import { Enrolment } from './enrolment.ts';
import type { AccountInfo } from './enrolment.ts';
import type { HeldKeys } from './key-stock.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { EventHub } from './events.ts';
import { History } from './history.ts';
import { cautiousIdentityPolicy } from './identities.ts';
import { Journal } from './journal.ts';
import { KEYS } from './layout.ts';
import { Media } from './media.ts';
import { Reader } from './reader.ts';
import { Requests } from './requests.ts';
import type { Store } from './store.ts';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: ClientError) => void;
}

/** One run of a client. */
export class Lifetime {
  readonly options: ClientOptions;
  readonly journal: Journal;
  readonly history: History;
  readonly requests: Requests;
  readonly connection: Connection;
  readonly enrolment: Enrolment;
  readonly reader: Reader;
  readonly media: Media;
  readonly hub: EventHub = new EventHub();
  #engine: Engine | undefined;
  #liveWaiters: Waiter[] = [];
  #closing: Promise<void> | undefined;

  private constructor(options: ClientOptions, store: Store) {
    this.options = options;
    this.journal = new Journal(store, (error) => this.connection.abort(error.code, true));
    this.history = new History(this.journal);
    this.requests = new Requests((stanza) => this.connection.send(stanza), options.clock);
    const { url, clock, random } = options;
    // Called as a function of the global object: browsers refuse it as a method of another.
    const fetch = options.fetch ?? ((target, init) => globalThis.fetch(target, init));
    this.media = new Media({ url, fetch, clock, random, requests: this.requests });
    this.connection = new Connection(options, {
      login: (nonce, signed) => this.requireEngine().login(nonce, signed),
      onTicket: (ticket) => this.#engine?.keepTicket(ticket),
      onState: (state) => this.#onState(state),
      onRetrying: (code, attempt, delayMs) => this.hub.emit({ type: 'retrying', code, attempt, delayMs }),
      onGaveUp: (code) => this.#onGaveUp(code),
      onOpened: (held) => this.#onOpened(held),
      onShut: () => this.#onShut(),
      onMessage: (message) => this.#engine?.receive(message),
    });
    this.enrolment = new Enrolment({
      options,
      journal: this.journal,
      account: () => this.#engine?.account,
      stop: () => this.#stopEngine(),
      enrolled: () => this.#enrolled(),
      assertOpen: () => this.assertOpen(),
    });
    this.reader = new Reader(this.journal, (user, ordinal) => this.requireEngine().dress(user, ordinal));
  }

  /** Makes the parts, and the engine too if the store has an account. @throws {ClientError} CLI_RESTORE_UNFINISHED; CLI_STORE_CORRUPT. */
  static async open(options: ClientOptions, store: Store): Promise<Lifetime> {
    const life = new Lifetime(options, store);
    await life.#loadEngine();
    return life;
  }

  /** What works for the account; undefined before registration. */
  get engine(): Engine | undefined {
    return this.#engine;
  }

  /** The same, where there has to be one. @throws {ClientError} CLI_CLOSED; CLI_NOT_REGISTERED. */
  requireEngine(): Engine {
    this.assertOpen();
    if (this.#engine === undefined) throw new ClientError('CLI_NOT_REGISTERED');
    return this.#engine;
  }

  /** @throws {ClientError} CLI_CLOSED. */
  assertOpen(): void {
    if (this.#closing !== undefined) throw new ClientError('CLI_CLOSED');
  }

  /** Resolves when everything that waited has come. @throws {ClientError} (as rejection) Why it is given up. */
  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.connection.state === 'live') return resolve();
      this.#liveWaiters.push({ resolve, reject });
      this.requests.started();
      this.connection.start();
    });
  }

  /** Stops all parts and releases the store, once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new ClientError('CLI_CLOSED');
    this.connection.stop();
    this.requests.stopped(closed);
    this.#rejectWaiters(closed);
    await this.#engine?.close();
    this.reader.close();
    await this.journal.close();
    this.hub.close();
  }

  async #stopEngine(): Promise<void> {
    if (this.#engine !== undefined) this.connection.stop();
    await this.#engine?.close();
  }

  async #enrolled(): Promise<AccountInfo> {
    await this.#loadEngine();
    const { phone, user, device } = this.#engine!.account;
    return { phone, user, device };
  }

  async #loadEngine(): Promise<void> {
    if ((await this.journal.get(KEYS.restoring)) !== undefined) throw new ClientError('CLI_RESTORE_UNFINISHED');
    const account = await loadAccount(this.journal);
    if (account === undefined) return;
    const { clock, random, trustIdentity: policy = cautiousIdentityPolicy } = this.options;
    this.#engine = await Engine.open(
      {
        journal: this.journal,
        history: this.history,
        requests: this.requests,
        clock,
        random,
        media: this.media,
        policy,
        transmit: (stanza) => this.connection.send(stanza),
        emit: (event) => this.hub.emit(event),
        abort: (code, fatal) => this.connection.abort(code, fatal),
        wakeReader: () => this.reader.wake(),
      },
      account,
    );
  }

  #onState(state: ConnectionState): void {
    this.hub.emit({ type: 'state', state });
    if (state === 'live') this.#engine?.drained();
    if (state === 'live') for (const waiter of this.#liveWaiters.splice(0)) waiter.resolve();
  }

  #onOpened(held: HeldKeys | undefined): void {
    this.requests.connected();
    this.#engine?.opened(held);
  }

  #onShut(): void {
    this.requests.disconnected();
    this.#engine?.shut();
  }

  #onGaveUp(code: ErrorCode): void {
    const error = new ClientError(code);
    this.requests.stopped(error);
    this.#rejectWaiters(error);
    this.hub.emit({ type: 'stopped', code });
  }

  #rejectWaiters(error: ClientError): void {
    for (const waiter of this.#liveWaiters.splice(0)) waiter.reject(error);
  }
}

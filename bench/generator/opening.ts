/**
 * From nothing to a logged-in device, as any client does it: register the number, confirm the code, sign the nonce.
 *
 *   greeted ──register──▶ asked ──code from the server's log──▶ confirming ──account──▶ signing in ──success, offline──▶ live
 *
 * `Opening` is a pure state machine: a message or a code in, at most one stanza out. `OpeningSpeaker` gives it a
 * connection. Read next: `account-keys.ts` for the keys, `pair-load.ts` for what comes after.
 */

import {
  authStanza,
  decodeMessage,
  FrameWriter,
  iqSetStanza,
  isWireError,
  parseServerMessage,
  type ResumeTicket,
  type ServerMessage,
  type Stanza,
} from '../../protocol/wire/index.ts';
import { BenchError } from '../errors.ts';
import { makeAccountKeys, type AccountKeys } from './account-keys.ts';
import type { Speaker } from './connection.ts';
import { OPCODE, type ClientFrameWriter } from './websocket.ts';

/** A device that has logged in. */
export interface Account {
  readonly phone: string;
  readonly user: string;
  readonly device: number;
  /** For the next login, if one was asked for. Owned. */
  readonly ticket?: ResumeTicket | undefined;
}

type Phase =
  | { readonly name: 'greeting' }
  | { readonly name: 'asked' | 'confirming'; readonly nonce: Uint8Array }
  | { readonly name: 'signing-in' | 'catching-up' | 'live'; readonly account: Account };

const REGISTER_ID = 1;
const CONFIRM_ID = 2;

export class Opening {
  readonly #phone: string;
  readonly #keys: AccountKeys;
  readonly #features: number;
  #phase: Phase = { name: 'greeting' };

  /** @param features - What the client says that it understands; see `FEATURES` of the wire. */
  constructor(phone: string, keys: AccountKeys, features: number = 0) {
    this.#phone = phone;
    this.#keys = keys;
    this.#features = features;
  }

  /** The account once it is logged in and its inbox is drained, else `undefined`. */
  get account(): Account | undefined {
    return this.#phase.name === 'live' ? this.#phase.account : undefined;
  }

  /**
   * Takes what the server says.
   *
   * @returns The stanza to send, if any.
   * @throws {BenchError} BENCH_REGISTRATION with the code of a refusal; BENCH_UNEXPECTED for what does not belong here.
   */
  hear(message: ServerMessage): Stanza | undefined {
    switch (message.kind) {
      case 'stream':
        return this.#ask(message.nonce);
      case 'iq-result':
        return message.answer.kind === 'account' ? this.#signIn(message.answer) : this.#noteAsked(message.answer.kind);
      case 'success':
        this.#moveOn('signing-in', 'catching-up', message.kind);
        return this.#keepTicket(message.ticket);
      case 'offline':
        return this.#moveOn('catching-up', 'live', message.kind);
      case 'iq-error':
      case 'failure':
        throw new BenchError('BENCH_REGISTRATION', `${this.#phone} while ${this.#phase.name}: ${message.code}`);
      default:
        throw this.#unexpected(message.kind);
    }
  }

  /** Takes the code that the server sent to the phone. Returns the confirmation to send. */
  takeCode(code: string): Stanza {
    if (this.#phase.name !== 'asked') throw this.#unexpected('verification code');
    this.#phase = { name: 'confirming', nonce: this.#phase.nonce };
    const { registration, login, identity, signed } = this.#keys;
    const request = { phone: this.#phone, code, registration, login, identity, signed, oneTime: [] };
    return iqSetStanza({ id: CONFIRM_ID, request: { kind: 'confirm', ...request } });
  }

  #ask(nonce: Uint8Array): Stanza {
    if (this.#phase.name !== 'greeting') throw this.#unexpected('stream');
    this.#phase = { name: 'asked', nonce: nonce.slice() };
    return iqSetStanza({ id: REGISTER_ID, request: { kind: 'register', phone: this.#phone } });
  }

  /** The code may overtake the answer to the request for it, so the answer changes nothing. */
  #noteAsked(kind: string): undefined {
    const isExpected = kind === 'register' && (this.#phase.name === 'asked' || this.#phase.name === 'confirming');
    if (!isExpected) throw this.#unexpected(kind);
  }

  #signIn({ user, device }: { readonly user: string; readonly device: number }): Stanza {
    if (this.#phase.name !== 'confirming') throw this.#unexpected('account');
    const signature = this.#keys.signLogin(this.#phase.nonce, user, device);
    this.#phase = { name: 'signing-in', account: { phone: this.#phone, user, device } };
    const features = this.#features;
    return authStanza(features === 0 ? { user, device, signature } : { user, device, signature, features });
  }

  #moveOn(from: 'signing-in' | 'catching-up', to: 'catching-up' | 'live', kind: string): undefined {
    if (this.#phase.name !== from) throw this.#unexpected(kind);
    this.#phase = { name: to, account: this.#phase.account };
  }

  /** The ticket's bytes are borrowed from the message. */
  #keepTicket(ticket: ResumeTicket | undefined): undefined {
    if (ticket === undefined || this.#phase.name !== 'catching-up') return;
    const { account } = this.#phase;
    this.#phase = {
      name: 'catching-up',
      account: { ...account, ticket: { ...ticket, secret: ticket.secret.slice() } },
    };
  }

  #unexpected(what: string): BenchError {
    return new BenchError('BENCH_UNEXPECTED', `${what} while ${this.#phase.name}`);
  }
}

/** Speaks on a connection until its account is live. */
export class OpeningSpeaker implements Speaker {
  readonly #opening: Opening;
  readonly #wake: () => void;
  readonly #done: (outcome: Account | Error) => void;
  readonly #frames: FrameWriter = new FrameWriter();

  /**
   * @param keys - Those of the account; made anew if missing.
   * @param wake - Asks for a turn to speak.
   * @param done - Called once, with the account or what went wrong.
   */
  constructor(
    phone: string,
    wake: () => void,
    done: (outcome: Account | Error) => void,
    features: number = 0,
    keys: AccountKeys = makeAccountKeys(),
  ) {
    this.#opening = new Opening(phone, keys, features);
    this.#wake = wake;
    this.#done = done;
  }

  takeCode(code: string): void {
    this.#say(this.#opening.takeCode(code));
  }

  speak(writer: ClientFrameWriter): boolean {
    if (!this.#frames.isEmpty) writer.frame(OPCODE.binary, this.#frames.bytes());
    this.#frames.reset();
    return false;
  }

  hear(bytes: Uint8Array, start: number, end: number): void {
    const stanzas = decodeMessage(bytes.subarray(start, end));
    if (isWireError(stanzas)) throw new BenchError('BENCH_UNEXPECTED', stanzas.message);
    for (const stanza of stanzas) this.#take(stanza);
  }

  #take(stanza: Stanza): void {
    const message = parseServerMessage(stanza);
    if (isWireError(message)) throw new BenchError('BENCH_UNEXPECTED', message.message);
    const answer = this.#opening.hear(message);
    if (answer !== undefined) this.#say(answer);
    const { account } = this.#opening;
    if (account !== undefined) this.#done(account);
  }

  #say(stanza: Stanza): void {
    this.#frames.append(stanza);
    this.#wake();
  }

  ended(error: Error): void {
    this.#done(error);
  }
}

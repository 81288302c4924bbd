/**
 * A logged-in connection on which an offender says what it likes and hears what comes of it. Nothing is checked here, and an end is
 * no failure: that the server ends it may be what is looked for.
 */

import {
  authStanza,
  clientStanza,
  FrameWriter,
  type ClientMessage,
  type ServerMessage,
  type Stanza,
} from '../../protocol/wire/index.ts';
import { makeAccountKeys, type AccountKeys } from '../generator/account-keys.ts';
import type { Connection, Speaker } from '../generator/connection.ts';
import type { Account } from '../generator/opening.ts';
import type { Registrar } from '../generator/registrar.ts';
import { readServerMessages } from '../generator/server-words.ts';
import { OPCODE, type ClientFrameWriter } from '../generator/websocket.ts';
import { LIMITS } from '../limits.ts';

/** Room for a WebSocket message and its header. */
const MESSAGE_ROOM_BYTES: number = LIMITS.webSocketPayloadBytesMax + 16;

export class OffenderLine implements Speaker {
  readonly account: Account;
  /** Takes what the server says, once logged in. */
  hearing: (message: ServerMessage) => void = () => undefined;
  /** Told when the server ends the connection. */
  ending: () => void = () => undefined;
  readonly #registrar: Registrar;
  readonly #url: URL;
  readonly #keys: AccountKeys;
  readonly #frames: FrameWriter = new FrameWriter();
  #due: Stanza[] = [];
  #line: Connection;
  #isLive = true;
  #comeBack: () => void = () => undefined;

  private constructor(registrar: Registrar, url: URL, keys: AccountKeys, account: Account, line: Connection) {
    this.#registrar = registrar;
    this.#url = url;
    this.#keys = keys;
    this.account = account;
    this.#line = line;
    line.speaker = this;
  }

  /** Registers `phone` and logs it in. @param features - What it says that it understands. */
  static async open(registrar: Registrar, url: URL, phone: string, features: number = 0): Promise<OffenderLine> {
    const keys = makeAccountKeys();
    const { account, line } = await registrar.register(url, phone, { features, keys });
    return new OffenderLine(registrar, url, keys, account, line);
  }

  /** Whether the server has not ended it. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Stanzas that wait for the socket. */
  get dueCount(): number {
    return this.#due.length;
  }

  /** What is said together leaves in as few messages as hold it; on a connection that has ended it is lost. */
  say(...messages: readonly ClientMessage[]): void {
    if (!this.#isLive) return;
    for (const message of messages) this.#due.push(clientStanza(message));
    this.#line.wake();
  }

  /** Takes nothing out of the socket any more. */
  stopReading(): void {
    this.#line.stopReading();
  }

  /** Reads on; an end that came meanwhile is noticed now. */
  readOn(): void {
    this.#line.readOn();
  }

  /** Logs in anew, on another connection; the former one is given up. */
  comeBack(): Promise<void> {
    this.#line.close();
    this.#due = [];
    this.#isLive = false;
    this.#line = this.#registrar.connect(this.#url, this);
    return new Promise((resolve) => (this.#comeBack = resolve));
  }

  speak(writer: ClientFrameWriter): boolean {
    let next = 0;
    while (next < this.#due.length && writer.room >= MESSAGE_ROOM_BYTES) {
      while (next < this.#due.length && this.#frames.append(this.#due[next]!)) next += 1;
      writer.frame(OPCODE.binary, this.#frames.bytes());
      this.#frames.reset();
    }
    this.#due.splice(0, next);
    return this.#due.length > 0;
  }

  hear(bytes: Uint8Array, start: number, end: number): void {
    for (const message of readServerMessages(bytes, start, end)) this.#take(message);
  }

  #take(message: ServerMessage): void {
    if (message.kind === 'stream') return this.#signIn(message.nonce);
    if (message.kind !== 'success') return this.hearing(message);
    this.#isLive = true;
    this.#comeBack();
  }

  #signIn(nonce: Uint8Array): void {
    const { user, device } = this.account;
    this.#due.push(authStanza({ user, device, signature: this.#keys.signLogin(nonce, user, device) }));
    this.#line.wake();
  }

  ended(): void {
    this.#isLive = false;
    this.ending();
  }
}

/**
 * A client without comfort, for tests: every stanza sent is one that the test wrote, every message received is shown.
 */

import { createHmac, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import WebSocket from 'ws';
import {
  clientStanza,
  decodeMessage,
  FEATURES,
  FrameWriter,
  isWireError,
  parseServerMessage,
  type Answer,
  type ClientMessage,
  type ResumeTicket,
  type ServerMessage,
} from '../../protocol/wire/index.ts';
import type { ServerProcess } from './server-process.ts';

type Kind = ServerMessage['kind'];
type OfKind<K extends Kind> = Extract<ServerMessage, { kind: K }>;

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export interface Registered {
  readonly user: string;
  readonly device: number;
  readonly loginKey: KeyObject;
}

const SET_KINDS: ReadonlySet<string> = new Set([
  ...['register', 'confirm', 'prekey-upload', 'group-change', 'subscribe', 'privacy-change'],
  ...['relation', 'strangers-change', 'report', 'notify', 'push-change'],
]);

export class RawClient {
  readonly socket: WebSocket;
  /** Everything received and not yet taken. */
  readonly inbox: ServerMessage[] = [];
  /** All bytes that came, for those who look for what must not be there. */
  readonly bytes: Buffer[] = [];
  readonly closed: Promise<Closed>;
  /** Resolves at the server's greeting: nobody speaks before. Never, if the connection closes without it. */
  readonly greeted: Promise<void>;
  #greet: () => void = () => undefined;
  readonly #waiting = new Set<() => void>();
  #end: Closed | undefined;
  #iq = 0;

  constructor(url: string, protocols: string[] = ['blindbeam.1']) {
    this.socket = new WebSocket(url, protocols, { perMessageDeflate: false });
    this.socket.on('message', (data: Buffer) => this.#take(data));
    this.greeted = new Promise((resolve) => (this.#greet = resolve));
    this.closed = new Promise((resolve) => {
      this.socket.on('error', () => undefined);
      this.socket.on('close', (code, reason) => {
        this.#end = { code, reason: reason.toString() };
        resolve(this.#end);
        this.#wake();
      });
    });
  }

  #take(data: Buffer): void {
    this.bytes.push(data);
    const stanzas = decodeMessage(new Uint8Array(data));
    if (isWireError(stanzas)) throw new Error(`the server sent a broken frame: ${stanzas.code}`);
    for (const stanza of stanzas) {
      const message = parseServerMessage(stanza);
      if (isWireError(message)) throw new Error(`the server sent a bad stanza: ${message.message}`);
      this.inbox.push(message);
      if (message.kind === 'stream') this.#greet();
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Takes the first message of `kind` that fits, waiting for it. Rejects when the connection closes without it. */
  async next<K extends Kind>(kind: K, fits: (message: OfKind<K>) => boolean = () => true): Promise<OfKind<K>> {
    for (;;) {
      const at = this.inbox.findIndex((message) => message.kind === kind && fits(message as OfKind<K>));
      if (at !== -1) return this.inbox.splice(at, 1)[0] as OfKind<K>;
      if (this.#end !== undefined) throw new Error(`closed with ${this.#end.code} ${this.#end.reason} before ${kind}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Sends messages as one WebSocket message. */
  send(...messages: readonly ClientMessage[]): void {
    const writer = new FrameWriter();
    for (const message of messages) writer.append(clientStanza(message));
    this.socket.send(writer.bytes().slice(), { binary: true });
  }

  /** Sends a request and resolves to its answer, or to the code of its refusal. */
  async ask(request: Extract<ClientMessage, { kind: 'iq-get' | 'iq-set' }>['request']): Promise<Answer | string> {
    await this.greeted;
    const id = ++this.#iq;
    const set = SET_KINDS.has(request.kind);
    this.send({ kind: set ? 'iq-set' : 'iq-get', id, request } as ClientMessage);
    const answered = this.next('iq-result', (message) => message.id === id).then((message) => message.answer);
    const refused = this.next('iq-error', (message) => message.id === id).then((message) => message.code);
    refused.catch(() => undefined);
    answered.catch(() => undefined);
    return Promise.race([answered, refused]);
  }

  /** Logs in with the nonce of this connection. Resolves to `success`, or to the failure. */
  async login(who: Registered, features?: number): Promise<OfKind<'success'> | OfKind<'failure'>> {
    const { nonce } = await this.next('stream');
    return this.answerNonce(who, nonce, features);
  }

  async answerNonce(
    who: Registered,
    nonce: Uint8Array,
    features?: number,
  ): Promise<OfKind<'success'> | OfKind<'failure'>> {
    const { user, device } = who;
    this.send({ kind: 'auth', user, device, signature: signLogin(who, nonce), ...(features && { features }) });
    const success = this.next('success');
    const failure = this.next('failure');
    success.catch(() => undefined);
    failure.catch(() => undefined);
    return Promise.race([success, failure]);
  }

  close(): void {
    this.socket.terminate();
  }
}

/** What a device signs, written down here once more from docs/protocol.md and not taken from the server's code. */
export function signLogin({ user, device, loginKey }: Registered, nonce: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([
    Buffer.from('blindbeam login 1\0'),
    nonce,
    Buffer.from(`${user}\0`),
    Buffer.from([device]),
  ]);
  return new Uint8Array(sign(null, bytes, loginKey));
}

/** 33 random bytes in the form of a public key: the server stores them and cannot tell. */
export function publicKey(): Uint8Array {
  return Uint8Array.from([5, ...randomBytes(32)]);
}

/** Registers `phone` with `preKeys` one-time pre-keys, over a connection of its own. */
export async function register(server: ServerProcess, phone: string, preKeys = 2, nth = 0): Promise<Registered> {
  const client = new RawClient(server.url);
  const answer = await client.ask({ kind: 'register', phone });
  if (typeof answer === 'string') throw new Error(`register ${phone}: ${answer}`);
  const registered = await confirm(client, phone, await server.code(phone, nth), preKeys);
  client.close();
  if (typeof registered === 'string') throw new Error(`confirm ${phone}: ${registered}`);
  return registered;
}

/** Confirms a code with fresh keys. Resolves to the registration, or to the code of the refusal. */
export async function confirm(
  client: RawClient,
  phone: string,
  code: string,
  preKeys = 2,
): Promise<Registered | string> {
  const { publicKey: login, privateKey } = generateKeyPairSync('ed25519');
  const answer = await client.ask({
    kind: 'confirm',
    phone,
    code,
    registration: 1 + (randomBytes(2).readUInt16BE() % 16_380),
    login: new Uint8Array(login.export({ format: 'der', type: 'spki' }).subarray(-32)),
    identity: publicKey(),
    signed: { id: 1, key: publicKey(), signature: new Uint8Array(randomBytes(64)) },
    oneTime: Array.from({ length: preKeys }, (_, index) => ({ id: index + 1, key: publicKey() })),
  });
  if (typeof answer === 'string') return answer;
  if (answer.kind !== 'account') throw new Error(`expected an account, got ${answer.kind}`);
  return { user: answer.user, device: answer.device, loginKey: privateKey };
}

/** Registers, connects and logs in; resolves when the inbox is drained. */
export async function newClient(server: ServerProcess, phone: string): Promise<{ client: RawClient; who: Registered }> {
  const who = await register(server, phone);
  const client = await connectAs(server, who);
  return { client, who };
}

export async function connectAs(server: ServerProcess, who: Registered): Promise<RawClient> {
  const client = new RawClient(server.url);
  const answer = await client.login(who);
  if (answer.kind === 'failure') throw new Error(`login: ${answer.code}`);
  await client.next('offline');
  return client;
}

/** Logs in with a signature for the sake of the ticket, and leaves. */
export async function loginForTicket(server: ServerProcess, who: Registered): Promise<ResumeTicket> {
  const client = new RawClient(server.url);
  const { nonce } = await client.next('stream');
  const { user, device } = who;
  client.send({ kind: 'auth', user, device, signature: signLogin(who, nonce), features: FEATURES.resumeTickets });
  const { ticket } = await client.next('success');
  client.close();
  return ticket!;
}

/** The login by ticket, with the proof as docs/protocol.md has it and not as the server computes it. */
export function resumeWith(who: Registered, { token, secret }: ResumeTicket, nonce: Uint8Array): ClientMessage {
  const label = Buffer.from('blindbeam resume 1\0');
  const proof = createHmac('sha256', secret)
    .update(Buffer.concat([label, nonce]))
    .digest();
  return { kind: 'resume', user: who.user, device: who.device, ticket: token, proof: new Uint8Array(proof) };
}

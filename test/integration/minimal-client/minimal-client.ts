/**
 * A second client, written from the documents alone: registers, logs in, sends and receives texts, fetches files.
 *
 * It is there to show that docs/protocol.md, protocol/wire/FORMAT.md, protocol/signal/FORMAT.md, protocol/signal/MEDIA.md and
 * client/CONTENT.md are enough to write one, and that the SDK talks to whoever keeps to them. It shares no code with the product. It
 * keeps its state in memory, resends nothing and trusts every identity, so it is an example of the bytes and not of a client.
 * Read next: `stanza-codec.ts`, `session.ts`.
 */

import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { decodeContent, encodeText, type Content } from './content.ts';
import { fetchFile } from './media.ts';
import { generateIdentity, generateKeyPair, rawPublicKey, signWith } from './keys.ts';
import { decodePreKeyMessage } from './session-messages.ts';
import { Session, type Bundle, type LocalDevice, type Sealed } from './session.ts';
import { bytesOf, child, decodeMessage, encodeMessage, stanza, type Stanza } from './stanza-codec.ts';
import { openWebSocket, type Closed, type WebSocketClient } from './websocket.ts';

const SUBPROTOCOL = 'blindbeam.1';
const SIGNED_PRE_KEY_ID = 1;
const ONE_TIME_PRE_KEYS = 10;

interface Account {
  readonly user: string;
  readonly device: number;
  readonly phone: string;
}

/** A device of somebody else. The last session is the one that is sent in. */
interface Peer {
  readonly sessions: { readonly name: string; readonly session: Session }[];
}

export interface Received extends Content {
  readonly from: string;
  readonly device: number;
}

/** The server said no, in its words. */
export class Refused extends Error {
  readonly code: string;

  constructor(refusal: Stanza) {
    super(`${String(refusal.attributes.get('code'))}: ${String(refusal.attributes.get('text'))}`);
    this.code = String(refusal.attributes.get('code'));
  }
}

export class MinimalClient {
  readonly #url: string;
  readonly #watch: (side: 'client' | 'server', said: Stanza) => void;
  readonly #loginKey: KeyObject = generateKeyPairSync('ed25519').privateKey;
  readonly #local: LocalDevice;
  readonly #peers = new Map<string, Peer>();
  /** The last message id that was used towards a user. */
  readonly #lastIds = new Map<string, number>();
  readonly #stanzas: Stanza[] = [];
  readonly #waiting = new Set<() => void>();
  #socket: WebSocketClient | undefined;
  #closed: Closed | undefined;
  #account: Account | undefined;
  #iq = 0;

  /** @param watch - Shown every stanza that is said, and by whom. */
  constructor(url: string, watch: (side: 'client' | 'server', said: Stanza) => void = () => undefined) {
    this.#url = url;
    this.#watch = watch;
    const signedPreKey = { id: SIGNED_PRE_KEY_ID, pair: generateKeyPair() };
    const oneTimePreKeys = new Map(
      Array.from({ length: ONE_TIME_PRE_KEYS }, (_, index) => [index + 1, generateKeyPair()]),
    );
    const registration = 1 + (randomBytes(2).readUInt16BE() % 16_380);
    this.#local = { identity: generateIdentity(), registration, signedPreKey, oneTimePreKeys };
  }

  get account(): Account {
    if (this.#account === undefined) throw new Error('not registered');
    return this.#account;
  }

  /** What waits to be taken, for those who look for what must not be there. */
  get untaken(): readonly Stanza[] {
    return this.#stanzas;
  }

  // --- opening ------------------------------------------------------------------------------------------------------

  /** Registers `phone` over a connection of its own. @param readCode - Asked for the code that the number was sent. */
  async register(phone: string, readCode: () => Promise<string>): Promise<void> {
    await this.#open();
    await this.next('stream');
    await this.request('set', stanza('register', { phone }));
    const { identity, registration, signedPreKey, oneTimePreKeys } = this.#local;
    const { publicKey } = signedPreKey.pair;
    const answer = await this.request(
      'set',
      stanza('confirm', { phone, code: await readCode(), registration }, [
        stanza('login', {}, rawPublicKey(this.#loginKey)),
        stanza('identity', {}, identity.publicKey),
        stanza('signed', { id: signedPreKey.id }, [
          stanza('key', {}, publicKey),
          stanza('signature', {}, signWith(identity, publicKey)),
        ]),
        ...[...oneTimePreKeys].map(([id, pair]) => stanza('onetime', { id }, pair.publicKey)),
      ]),
    );
    const { attributes } = answer;
    this.#account = { user: String(attributes.get('user')), device: Number(attributes.get('device')), phone };
    await this.close();
  }

  /** Connects and logs in; resolves when what waited in the inbox has come. @throws {Refused} */
  async login(): Promise<void> {
    await this.#open();
    const nonce = bytesOf(await this.next('stream'));
    const { user, device } = this.account;
    const claim = [Buffer.from('blindbeam login 1\0'), nonce, Buffer.from(`${user}\0`), Buffer.of(device)];
    this.#send(stanza('auth', { user, device }, sign(null, Buffer.concat(claim), this.#loginKey)));
    const answer = await this.#take(({ tag }) => tag === 'success' || tag === 'failure');
    if (answer.tag === 'failure') throw new Refused(answer);
    await this.next('offline');
  }

  async close(): Promise<Closed> {
    this.#socket?.close();
    return this.closed();
  }

  /** Resolves when the connection has ended. */
  async closed(): Promise<Closed> {
    while (this.#closed === undefined) await this.#news();
    return this.#closed;
  }

  // --- messages -----------------------------------------------------------------------------------------------------

  /** Resolves to the user id behind a number. @throws {Refused} */
  async find(phone: string): Promise<string> {
    return String((await this.request('get', stanza('contact', { phone }))).attributes.get('user'));
  }

  /** Sends a text; resolves to its id when it is on the server's disk. @throws {Refused} */
  async send(user: string, text: string): Promise<number> {
    const id = (this.#lastIds.get(user) ?? 0) + 1;
    this.#lastIds.set(user, id);
    const content = encodeText(id, this.account.phone, Date.now(), text);
    if (this.#devicesOf(user).length === 0) await this.#meet(user);
    await this.#submit(user, id, content).catch(async (refusal: unknown) => {
      if (!(refusal instanceof Refused) || refusal.code !== 'APP_DEVICES_CHANGED') throw refusal;
      for (const device of this.#devicesOf(user)) this.#peers.delete(`${user}.${device}`);
      await this.#meet(user);
      await this.#submit(user, id, content);
    });
    return id;
  }

  async #submit(user: string, id: number, content: Buffer): Promise<void> {
    const envelopes = this.#devicesOf(user).map((device) => {
      const { type, ciphertext }: Sealed = this.#peer(user, device).sessions.at(-1)!.session.seal(content);
      return stanza('enc', { device, type }, ciphertext);
    });
    this.#send(stanza('message', { to: user, id }, envelopes));
    const answer = await this.#take(
      ({ tag, attributes }) =>
        (tag === 'ack' || tag === 'error') && attributes.get('to') === user && Number(attributes.get('id')) >= id,
    );
    if (answer.tag === 'error') throw new Refused(answer);
  }

  /** Takes the next message, opens it and acknowledges it. */
  async receive(): Promise<Received> {
    const message = await this.next('message');
    const { attributes } = message;
    const [from, device] = [String(attributes.get('from')), Number(attributes.get('device'))];
    const enc = child(message, 'enc');
    const content = decodeContent(this.#unseal(from, device, enc?.attributes.get('type') === 'prekey', bytesOf(enc)));
    if (content.id !== attributes.get('id')) throw new Error('the number of another message');
    this.#send(stanza('ack', { seq: Number(attributes.get('seq')) }));
    return { ...content, from, device };
  }

  markRead({ from, device, id }: Received): void {
    this.#send(stanza('receipt', { type: 'read', to: from, device, id }));
  }

  /** Resolves when a message is known to be delivered, or read, up to `id`. */
  async receipt(type: 'delivered' | 'read', from: string, id: number): Promise<void> {
    await this.#take(
      ({ tag, attributes }) =>
        tag === 'receipt' &&
        attributes.get('type') === type &&
        attributes.get('from') === from &&
        Number(attributes.get('id')) >= id,
    );
  }

  /** The file of a message. */
  fetch({ body }: Received): Promise<Buffer> {
    if (body.kind !== 'attachment') throw new TypeError('"received" expected an attachment');
    return fetchFile(this.#url, body.attachment);
  }

  // --- sessions -----------------------------------------------------------------------------------------------------

  #peer(user: string, device: number): Peer {
    const name = `${user}.${device}`;
    const known = this.#peers.get(name) ?? { sessions: [] };
    this.#peers.set(name, known);
    return known;
  }

  #devicesOf(user: string): number[] {
    return [...this.#peers.keys()].filter((name) => name.startsWith(`${user}.`)).map((name) => Number(name.slice(16)));
  }

  /** Begins a session with each device of a user. */
  async #meet(user: string): Promise<void> {
    const bundle = await this.request('get', stanza('bundle', { user }));
    for (const device of bundle.content as readonly Stanza[]) {
      const session = Session.initiate(this.#local, readBundle(device));
      this.#peer(user, Number(device.attributes.get('id'))).sessions.push({ name: '', session });
    }
  }

  #unseal(user: string, device: number, isOffer: boolean, ciphertext: Buffer): Buffer {
    const { sessions } = this.#peer(user, device);
    if (!isOffer) return this.#unsealWithAny(sessions, ciphertext);
    const offer = decodePreKeyMessage(ciphertext);
    const name = `${offer.baseKey.toString('hex')} ${offer.identityKey.toString('hex')}`;
    const known = sessions.find((each) => each.name === name);
    const session = known?.session ?? Session.accept(this.#local, offer);
    const plaintext = session.open(offer.message);
    if (known === undefined) sessions.push({ name, session });
    return plaintext;
  }

  #unsealWithAny(sessions: Peer['sessions'], ciphertext: Buffer): Buffer {
    for (const [index, each] of [...sessions.entries()].reverse()) {
      try {
        const plaintext = each.session.open(ciphertext);
        sessions.push(...sessions.splice(index, 1));
        return plaintext;
      } catch {
        // Of another session, perhaps.
      }
    }
    throw new Error('no session opens this message');
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  /** Asks and waits for the answer. @throws {Refused} */
  async request(type: 'get' | 'set', request: Stanza): Promise<Stanza> {
    const id = ++this.#iq;
    this.#send(stanza('iq', { type, id }, [request]));
    const answer = await this.#take(({ tag, attributes }) => tag === 'iq' && attributes.get('id') === id);
    const [content] = answer.content as readonly Stanza[];
    if (answer.attributes.get('type') === 'error') throw new Refused(content!);
    return content!;
  }

  /** Asks whether the connection is alive. */
  async ping(id: number): Promise<void> {
    this.#send(stanza('ping', { id }));
    await this.#take(({ tag, attributes }) => tag === 'pong' && attributes.get('id') === id);
  }

  /** Takes the first stanza of that tag. */
  next(tag: string): Promise<Stanza> {
    return this.#take((each) => each.tag === tag);
  }

  async #take(fits: (stanza: Stanza) => boolean): Promise<Stanza> {
    for (;;) {
      const index = this.#stanzas.findIndex(fits);
      if (index >= 0) return this.#stanzas.splice(index, 1)[0]!;
      if (this.#closed !== undefined) throw new Error(`closed with ${this.#closed.code} ${this.#closed.reason}`);
      await this.#news();
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #open(): Promise<void> {
    this.#closed = undefined;
    this.#stanzas.length = 0;
    this.#socket = await openWebSocket(this.#url, SUBPROTOCOL, {
      message: (bytes) => {
        const stanzas = decodeMessage(bytes);
        for (const each of stanzas) this.#watch('server', each);
        this.#stanzas.push(...stanzas);
        this.#tell();
      },
      closed: (closed) => {
        this.#closed = closed;
        this.#tell();
      },
    });
  }

  #send(message: Stanza): void {
    this.#watch('client', message);
    this.#socket?.send(encodeMessage(message));
  }
}

function readBundle(device: Stanza): Bundle {
  const [signed, oneTime] = [child(device, 'signed')!, child(device, 'onetime')];
  const id = (from: Stanza): number => Number(from.attributes.get('id'));
  return {
    identityKey: bytesOf(child(device, 'identity')),
    signedPreKey: {
      id: id(signed),
      key: bytesOf(child(signed, 'key')),
      signature: bytesOf(child(signed, 'signature')),
    },
    oneTimePreKey: oneTime && { id: id(oneTime), key: bytesOf(oneTime) },
  };
}

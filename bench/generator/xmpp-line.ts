/**
 * One XMPP connection of a generator over node:net: logs in (SASL PLAIN, RFC 6120), then carries the stanzas of one conversation.
 * Adapter to the network, and for the peer only: a partial reader that knows what one server says to these clients, and gives up
 * on everything else.
 *
 * As with `connection.ts`, who has something to say is woken, and each socket gets one write at the end of the event loop's turn.
 * Read next: `xmpp-load.ts`.
 */

import { connect, type Socket } from 'node:net';
import { BenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';

export const XMPP_DOMAIN = 'localhost';
/** The password of every account. */
export const XMPP_SECRET = 'secret';
const RESOURCE = 'bench';

/** The account of number `index`, as the server was given it. */
function xmppUser(index: number): string {
  return `u${index}`;
}

/** Where messages for it go: the connection itself, so that no presence is needed. */
export function xmppAddress(index: number): string {
  return `${xmppUser(index)}@${XMPP_DOMAIN}/${RESOURCE}`;
}

/** What a connection is used for. */
export interface XmppSpeaker {
  /** What there is to say; '' for nothing. */
  speak(): string;
  /** Takes one stanza `<message …>…</message>`. What it throws ends the connection. */
  hear(stanza: string): void;
  /** The connection has ended other than by `close()`. */
  ended(error: Error): void;
}

/** Writes once a turn to every line that was woken. One for each generator. */
export class XmppOutbox {
  readonly #clock: Clock;
  #awake: XmppLine[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @internal Called by lines. */
  add(line: XmppLine): void {
    if (this.#awake.length === 0) this.#clock.atTurnEnd(() => this.#flush());
    this.#awake.push(line);
  }

  #flush(): void {
    const awake = this.#awake;
    this.#awake = [];
    for (const line of awake) line.flush();
  }
}

export interface XmppLineOptions {
  readonly host: string;
  readonly port: number;
  /** The number of its account. */
  readonly account: number;
  readonly outbox: XmppOutbox;
  /** The address to connect from. */
  readonly source?: string | undefined;
}

const STREAM = `<?xml version='1.0'?><stream:stream to='${XMPP_DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
const BIND = `<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>${RESOURCE}</resource></bind></iq>`;
const STANZA_START = '<message ';
const STANZA_END = '</message>';

/** A login, as a row of what is said and what the answer must end with. */
function loginSteps(account: number): readonly (readonly [said: string, answerEnd: RegExp])[] {
  const plain = Buffer.from(`\0${xmppUser(account)}\0${XMPP_SECRET}`).toString('base64');
  return [
    [STREAM, /<mechanism>PLAIN<\/mechanism>.*<\/stream:features>$/s],
    [`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`, /^<success [^>]*\/>$/],
    [STREAM, /<bind [^>]*\/>.*<\/stream:features>$/s],
    [BIND, /^<iq type='result' id='bind'>.*<\/iq>$/s],
  ];
}

export class XmppLine {
  /** Set when the login is over. */
  speaker: XmppSpeaker | undefined = undefined;
  /** Resolves when it is logged in. */
  readonly opened: Promise<this>;
  readonly #outbox: XmppOutbox;
  readonly #socket: Socket;
  readonly #steps: readonly (readonly [string, RegExp])[];
  readonly #settle: { readonly resolve: (line: XmppLine) => void; readonly reject: (error: Error) => void };
  #step = 0;
  #rest = '';
  #isAwake = false;
  #isEnded = false;

  constructor({ host, port, account, outbox, source }: XmppLineOptions) {
    this.#outbox = outbox;
    this.#steps = loginSteps(account);
    let settle!: { resolve: (line: XmppLine) => void; reject: (error: Error) => void };
    this.opened = new Promise<XmppLine>((resolve, reject) => (settle = { resolve, reject })) as Promise<this>;
    this.opened.catch(() => undefined);
    this.#settle = settle;
    const local = source === undefined ? {} : { localAddress: source };
    this.#socket = connect({ host, port, noDelay: true, ...local });
    this.#socket.on('connect', () => this.#socket.write(STREAM));
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('error', (error) => this.#end(new BenchError('BENCH_CONNECT', error.message, { cause: error })));
    this.#socket.on('close', () => this.#end(new BenchError('BENCH_CONNECT', 'ejabberd closed the connection')));
  }

  /** Asks for a turn to speak. */
  wake(): void {
    if (this.#isAwake || this.#isEnded) return;
    this.#isAwake = true;
    this.#outbox.add(this);
  }

  /** @internal Called by the outbox. */
  flush(): void {
    this.#isAwake = false;
    const said = this.#isEnded ? '' : (this.speaker?.speak() ?? '');
    if (said !== '') this.#socket.write(said, 'latin1');
  }

  /** Ends the connection without a word. */
  close(): void {
    this.#isEnded = true;
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    if (this.#isEnded) return;
    try {
      this.#rest += chunk.toString('latin1');
      if (this.#step < this.#steps.length) this.#logIn();
      else this.#readStanzas();
      if (this.#rest.length > LIMITS.turnBytesMax) throw new BenchError('BENCH_UNEXPECTED', 'an endless stanza');
    } catch (error) {
      this.#end(error as Error);
    }
  }

  #logIn(): void {
    const [, answerEnd] = this.#steps[this.#step]!;
    if (/<failure|<stream:error|type='error'/.test(this.#rest)) throw new BenchError('BENCH_REGISTRATION', this.#rest);
    if (!answerEnd.test(this.#rest)) return;
    this.#rest = '';
    this.#step += 1;
    const next = this.#steps[this.#step];
    if (next === undefined) this.#settle.resolve(this);
    else this.#socket.write(next[0]);
  }

  #readStanzas(): void {
    const text = this.#rest;
    let at = 0;
    for (let end = text.indexOf(STANZA_END); end >= 0; end = text.indexOf(STANZA_END, at)) {
      const stanza = text.slice(at, end + STANZA_END.length);
      if (!stanza.startsWith(STANZA_START)) throw new BenchError('BENCH_UNEXPECTED', `ejabberd said ${stanza}`);
      at = end + STANZA_END.length;
      this.speaker?.hear(stanza);
    }
    this.#rest = text.slice(at);
  }

  #end(error: Error): void {
    if (this.#isEnded) return;
    this.close();
    this.#settle.reject(error);
    this.speaker?.ended(error);
  }
}

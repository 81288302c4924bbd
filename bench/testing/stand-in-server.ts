/**
 * A tiny relay that speaks the protocol as far as the generators do, and breaks its promises on request.
 *
 * It is here so that the benchmark can be shown to fail: a harness that has never seen a lost message proves nothing about
 * a server that loses none. It keeps everything in memory and flushes nothing; its speed means nothing. Real sockets, the
 * real codec, one write a socket and turn.
 */

import { randomBytes, verify, createPublicKey, type KeyObject } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { loginBytes } from '../generator/account-keys.ts';
import { SUBPROTOCOL } from '../generator/control.ts';
import { acceptOf } from '../generator/websocket.ts';
import { systemClock } from '../harness/clock.ts';
import * as wire from '../../protocol/wire/index.ts';
import { readMaskedFrame, serverFrame } from './server-frames.ts';

/** A promise to break, at every message whose id is a multiple of `at`. */
export type Fault =
  'none' | 'lose' | 'duplicate' | 'swap' | 'corrupt' | 'false-ack' | 'early-receipt' | 'refuse' | 'no-receipt';

export interface StandInOptions {
  readonly fault?: Fault;
  readonly at?: number;
  /** Deliveries wait this long: a slow server. */
  readonly delayMs?: number;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
}

interface Device {
  readonly user: string;
  readonly loginKey: KeyObject;
  line: Line | undefined;
  /** Whether a message of this sender was refused: the later ones are then out of order. */
  isRefused: boolean;
  /** Highest position given out; and who sent what stands at each position that is not acknowledged. */
  position: number;
  waiting: { readonly position: number; readonly sender: Device; readonly id: number }[];
}

const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const CODE = '004711';
const TS = 1_700_000_000_000;

export class StandInServer {
  readonly #options: Required<StandInOptions>;
  readonly #server: Server;
  readonly #devices: Map<string, Device> = new Map();
  readonly #lines: Set<Line> = new Set();
  commits = 0;
  committedMessages = 0;

  constructor(options: StandInOptions) {
    this.#options = { fault: 'none', at: 50, delayMs: 0, ...options };
    this.#server = createServer({ noDelay: true }, (socket) => this.#lines.add(new Line(socket, this)));
  }

  /** Listens on a free port of loopback. Returns the URL that clients connect to. */
  listen(): Promise<string> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        resolve(`ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`);
      });
    });
  }

  close(): Promise<void> {
    for (const line of this.#lines) line.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** @internal */
  forget(line: Line): void {
    this.#lines.delete(line);
  }

  /** @internal Takes one message of a client. */
  take(line: Line, message: wire.ClientMessage): void {
    switch (message.kind) {
      case 'iq-set':
        return this.#register(line, message);
      case 'auth':
        return this.#login(line, message);
      case 'message':
        return this.#relay(line.device!, message);
      case 'inbox-ack':
        return this.#acknowledge(line.device!, message.seq);
      default:
        throw new Error(`the stand-in does not know ${message.kind}`);
    }
  }

  #register(line: Line, { id, request }: wire.IqSetMessage): void {
    if (request.kind === 'register') {
      this.#options.log('verification_code', { phone: request.phone, code: CODE });
      return line.say(wire.iqResultStanza({ id, answer: { kind: 'register', expires: 300 } }));
    }
    if (request.kind !== 'confirm' || request.code !== CODE) {
      return line.say(wire.iqErrorStanza({ id, code: 'APP_BAD_CODE', text: 'The verification code is wrong.' }));
    }
    const user = String(100_000_000_000_000 + this.#devices.size);
    const key = Buffer.concat([ED25519_SPKI_PREFIX, request.login]);
    const loginKey = createPublicKey({ key, format: 'der', type: 'spki' });
    this.#devices.set(user, { user, loginKey, line: undefined, isRefused: false, position: 0, waiting: [] });
    line.say(wire.iqResultStanza({ id, answer: { kind: 'account', user, device: 1 } }));
  }

  #login(line: Line, { user, device: number, signature }: wire.AuthMessage): void {
    const device = this.#devices.get(user);
    if (device === undefined || !verify(null, loginBytes(line.nonce, user, number), device.loginKey, signature)) {
      return line.say(wire.failureStanza({ code: 'APP_BAD_SIGNATURE', text: 'The login signature does not fit.' }));
    }
    device.line = line;
    line.device = device;
    line.say(wire.successStanza({ user, device: number, ts: TS, preKeys: 0 }));
    line.say(wire.offlineStanza());
  }

  #relay(sender: Device, { to, id, envelopes }: wire.OutgoingMessage): void {
    const recipient = this.#devices.get(to)!;
    const isFaulty = id % this.#options.at === 0;
    const fault = isFaulty ? this.#options.fault : 'none';
    this.commits += 1;
    this.committedMessages += 1;
    if (fault === 'refuse' || sender.isRefused) return this.#refuse(sender, to, id);
    sender.line?.say(wire.ackStanza({ to, id: fault === 'false-ack' ? id + 1000 : id, ts: TS }));
    const ciphertext = new Uint8Array(envelopes[0]!.ciphertext);
    if (fault === 'corrupt') ciphertext[0]! ^= 1;
    if (fault === 'early-receipt') this.#receipt(sender, recipient, id);
    const deliver = (): void => this.#deliver(sender, recipient, id, ciphertext, fault);
    if (this.#options.delayMs > 0) systemClock.after(this.#options.delayMs, deliver);
    else deliver();
  }

  #refuse(sender: Device, to: string, id: number): void {
    const code = sender.isRefused ? 'APP_OUT_OF_ORDER' : 'APP_OVERLOADED';
    sender.isRefused = true;
    sender.line?.say(wire.errorStanza({ to, id, code, text: 'Not now.' }));
  }

  #deliver(sender: Device, recipient: Device, id: number, ciphertext: Uint8Array, fault: Fault): void {
    if (fault === 'lose') return;
    const delivery = { from: sender.user, device: 1, ts: TS, type: 'ratchet', ciphertext } as const;
    const say = (number: number): void => {
      recipient.position += 1;
      recipient.waiting.push({ position: recipient.position, sender, id: number });
      recipient.line?.say(wire.deliveryStanza({ ...delivery, id: number, seq: recipient.position }));
    };
    if (fault === 'swap') say(id + 1);
    say(id);
    if (fault === 'duplicate') say(id);
  }

  #acknowledge(recipient: Device, position: number): void {
    const covered = recipient.waiting.filter((entry) => entry.position <= position);
    recipient.waiting = recipient.waiting.filter((entry) => entry.position > position);
    const { fault, at } = this.#options;
    const kept = fault === 'no-receipt' ? covered.filter(({ id }) => id < at) : covered;
    const last = kept.at(-1);
    if (last !== undefined) this.#receipt(last.sender, recipient, last.id);
  }

  #receipt(sender: Device, recipient: Device, id: number): void {
    sender.line?.say(wire.receiptStanza({ type: 'delivered', from: recipient.user, id, ts: TS }));
  }
}

/** One connection. */
class Line {
  readonly nonce: Uint8Array = randomBytes(32);
  device: Device | undefined = undefined;
  readonly #socket: Socket;
  readonly #server: StandInServer;
  readonly #frames: wire.FrameWriter = new wire.FrameWriter();
  #received: Buffer = Buffer.alloc(0);
  #isUpgraded = false;
  #isDirty = false;

  constructor(socket: Socket, server: StandInServer) {
    this.#socket = socket;
    this.#server = server;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => server.forget(this));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Sends at the end of the turn, with what else has come together. */
  say(stanza: wire.Stanza): void {
    if (!this.#frames.append(stanza)) {
      this.#flush();
      this.#frames.append(stanza);
    }
    if (this.#isDirty) return;
    this.#isDirty = true;
    systemClock.atTurnEnd(() => this.#flush());
  }

  #flush(): void {
    this.#isDirty = false;
    if (this.#frames.isEmpty || this.#socket.destroyed) return;
    this.#socket.write(serverFrame(this.#frames.bytes()));
    this.#frames.reset();
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (!this.#isUpgraded) this.#upgrade();
    if (!this.#isUpgraded) return;
    for (let frame = readMaskedFrame(this.#received); frame !== undefined; frame = readMaskedFrame(this.#received)) {
      this.#received = this.#received.subarray(frame.bytes);
      this.#takeMessage(frame.payload);
    }
  }

  #takeMessage(payload: Uint8Array): void {
    const stanzas = wire.decodeMessage(payload);
    if (wire.isWireError(stanzas)) throw new Error(stanzas.message);
    for (const stanza of stanzas) {
      const message = wire.parseClientMessage(stanza);
      if (wire.isWireError(message)) throw new Error(message.message);
      this.#server.take(this, message);
    }
  }

  #upgrade(): void {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const key = /^sec-websocket-key: *(\S+)/im.exec(this.#received.toString('latin1', 0, end))?.[1] ?? '';
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    const accept = [`Sec-WebSocket-Accept: ${acceptOf(key)}`, `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`];
    this.#socket.write([...head, ...accept, '\r\n'].join('\r\n'));
    this.#received = this.#received.subarray(end + 4);
    this.#isUpgraded = true;
    this.say(wire.streamStanza({ ts: TS, nonce: this.nonce }));
  }
}

/**
 * A WebSocket client on Node's http alone, as far as the protocol needs one. Written from RFC 6455.
 *
 * It sends binary messages in one frame, answers pings, and takes messages in any number of fragments.
 */

import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Socket } from 'node:net';

const OPCODE = { continuation: 0, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export interface WebSocketHandler {
  message(bytes: Buffer): void;
  closed(closed: Closed): void;
}

/** Opens a connection. Rejects where the server does not upgrade. */
export function openWebSocket(url: string, subprotocol: string, handler: WebSocketHandler): Promise<WebSocketClient> {
  return new Promise((resolve, reject) => {
    const handshake = request(url.replace(/^ws/, 'http'), {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
        'sec-websocket-protocol': subprotocol,
      },
    });
    handshake.once('upgrade', (response, socket, head) => {
      if (response.headers['sec-websocket-protocol'] !== subprotocol) return reject(new Error('another subprotocol'));
      resolve(new WebSocketClient(socket as Socket, head, handler));
    });
    handshake.once('response', (response) => reject(new Error(`not upgraded: ${response.statusCode}`)));
    handshake.once('error', reject);
    handshake.end();
  });
}

export class WebSocketClient {
  readonly #socket: Socket;
  readonly #handler: WebSocketHandler;
  #pending: Buffer;
  #fragments: Buffer[] = [];
  #closed: Closed = { code: 1006, reason: '' };

  constructor(socket: Socket, head: Buffer, handler: WebSocketHandler) {
    this.#socket = socket;
    this.#handler = handler;
    this.#pending = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => handler.closed(this.#closed));
    if (head.length > 0) this.#take(head);
  }

  send(bytes: Buffer): void {
    this.#write(OPCODE.binary, bytes);
  }

  /** Ends the connection in order. */
  close(): void {
    this.#write(OPCODE.close, Buffer.of(0x03, 0xe8));
    this.#socket.end();
  }

  /** A client masks what it sends (section 5.3). */
  #write(opcode: number, payload: Buffer): void {
    const header =
      payload.length < 126 ? Buffer.of(0x80 | opcode, 0x80 | payload.length) : longHeader(opcode, payload.length);
    const mask = randomBytes(4);
    this.#socket.write(Buffer.concat([header, mask, payload.map((byte, index) => byte ^ mask[index & 3]!)]));
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    for (let frame = readFrame(this.#pending); frame !== undefined; frame = readFrame(this.#pending)) {
      this.#pending = this.#pending.subarray(frame.end);
      this.#handle(frame);
    }
  }

  #handle({ opcode, isFinal, payload }: Frame): void {
    if (opcode === OPCODE.ping) return this.#write(OPCODE.pong, payload);
    if (opcode === OPCODE.close) return this.#end(payload);
    if (opcode !== OPCODE.binary && opcode !== OPCODE.continuation) return;
    this.#fragments.push(payload);
    if (!isFinal) return;
    const message = Buffer.concat(this.#fragments);
    this.#fragments = [];
    this.#handler.message(message);
  }

  #end(payload: Buffer): void {
    if (payload.length >= 2) this.#closed = { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
    this.#write(OPCODE.close, payload.subarray(0, 2));
    this.#socket.end();
  }
}

interface Frame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly payload: Buffer;
  /** Where the next frame begins. */
  readonly end: number;
}

function longHeader(opcode: number, length: number): Buffer {
  const header = Buffer.of(0x80 | opcode, 0x80 | 126, 0, 0);
  header.writeUInt16BE(length, 2);
  return header;
}

/** The frame at the beginning of `bytes`, once all of it is there. A message has 16,384 bytes at most, so two bytes of length do. */
function readFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  if (short === 127) throw new Error('a frame beyond every bound of the protocol');
  const start = short === 126 ? 4 : 2;
  if (bytes.length < start) return undefined;
  const end = start + (short === 126 ? bytes.readUInt16BE(2) : short);
  if (bytes.length < end) return undefined;
  const opcode = bytes[0]! & 0x0f;
  return { opcode, isFinal: (bytes[0]! & 0x80) !== 0, payload: bytes.subarray(start, end), end };
}

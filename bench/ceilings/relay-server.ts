/**
 * The bare relay: uWebSockets.js and the codec, and of a messaging server only the outside. What a sender says goes to the
 * recipient and is acknowledged, what a recipient acknowledges becomes a receipt; nothing is stored, checked or limited, and
 * there are no actors. Entry point of a process of its own, started by `ceilings.ts`; the figure is what two reads and
 * three writes for each message allow on this machine with this generator.
 *
 * Who is who stands in the address of the upgrade, `/ws?user=…&peer=…`: a relay of a benchmark knows no login.
 */

import { createRequire } from 'node:module';
import type { WebSocket } from 'uWebSockets.js';
import {
  ackStanza,
  deliveryStanza,
  eachStanza,
  FrameWriter,
  isWireError,
  parseClientMessage,
  receiptStanza,
  type Stanza,
} from '../../protocol/wire/index.ts';
import { LIMITS } from '../limits.ts';

// The library is CommonJS with a native addon.
const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

const HOST = '127.0.0.1';
const DEVICE = 1;

if (process.send === undefined) throw new Error('the relay is started by the benchmark, not by hand');

interface End {
  readonly user: string;
  readonly peer: string;
}

const ends = new Map<string, WebSocket<End>>();
const writer = new FrameWriter();

function send(user: string, stanza: Stanza): void {
  writer.append(stanza);
  ends.get(user)?.send(writer.bytes(), true);
  writer.reset();
}

/** Answers what a pair of the workload says; other stanzas are not for a relay. */
function relay({ user, peer }: End, stanza: Stanza): void {
  const message = parseClientMessage(stanza);
  if (isWireError(message)) throw new Error(message.message);
  const ts = 0;
  if (message.kind === 'message') {
    const { id, envelopes } = message;
    const { type, ciphertext } = envelopes[0]!;
    send(peer, deliveryStanza({ from: user, device: DEVICE, id, seq: id, ts, type, ciphertext }));
    send(user, ackStanza({ to: peer, id, ts }));
  } else if (message.kind === 'inbox-ack') {
    send(peer, receiptStanza({ type: 'delivered', from: user, id: message.seq, ts }));
  }
}

uws
  .App()
  .ws<End>('/ws', {
    compression: uws.DISABLED,
    maxPayloadLength: LIMITS.webSocketPayloadBytesMax,
    // A ceiling must not lose what it is slow to send.
    maxBackpressure: 0,
    upgrade: (response, request, context) => {
      const end = { user: request.getQuery('user') ?? '', peer: request.getQuery('peer') ?? '' };
      const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
        request.getHeader(`sec-websocket-${name}`),
      );
      response.upgrade<End>(end, key!, protocol!, extensions!, context);
    },
    open: (ws) => void ends.set(ws.getUserData().user, ws),
    message: (ws, message) => void eachStanza(new Uint8Array(message), (stanza) => relay(ws.getUserData(), stanza)),
  })
  .listen(HOST, 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    process.send?.({ url: `ws://${HOST}:${uws.us_socket_local_port(socket)}/ws` });
  });

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

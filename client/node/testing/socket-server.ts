/**
 * The fake server behind real sockets, for tests of what lies between: the `ws` transport and the terminal chat.
 */

import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { FakeServer } from '../../testing/fake-server.ts';
import { systemClock, systemRandom } from '../system.ts';

/** A fake server that listens. */
export interface SocketServer {
  readonly url: string;
  readonly server: FakeServer;
  /** The WebSockets that are open. */
  readonly sockets: ReadonlySet<WebSocket>;
  close(): Promise<void>;
}

/** Listens on a free port of the loopback address. */
export async function listen(): Promise<SocketServer> {
  const server = new FakeServer(systemClock, systemRandom);
  const handleProtocols = (offered: Set<string>): string | false =>
    offered.has('blindbeam.1') ? 'blindbeam.1' : false;
  const listener = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/ws', handleProtocols });
  await new Promise((resolve) => listener.once('listening', resolve));
  listener.on('connection', (socket) => connect(server, socket));
  return {
    url: `ws://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    server,
    sockets: listener.clients,
    close: () => {
      for (const socket of listener.clients) socket.terminate();
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}

function connect(server: FakeServer, socket: WebSocket): void {
  const inner = server.transport.dial('', {
    onMessage: (bytes) => socket.send(bytes),
    onClose: ({ code, reason }) => (code === 1006 ? socket.terminate() : socket.close(code, reason)),
  });
  socket.on('message', (data: Buffer) => inner.send(data)).on('close', () => inner.close());
}

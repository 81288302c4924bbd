/**
 * The bare library: uWebSockets.js sends back what it receives and does nothing else. Entry point of a process of its own,
 * started by `ceilings.ts`; the figure is what the sockets alone allow on this machine with this generator.
 */

import { createRequire } from 'node:module';
import { LIMITS } from '../limits.ts';

// The library is CommonJS with a native addon.
const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

const HOST = '127.0.0.1';

if (process.send === undefined) throw new Error('the echo server is started by the benchmark, not by hand');

uws
  .App()
  .ws<undefined>('/ws', {
    compression: uws.DISABLED,
    maxPayloadLength: LIMITS.webSocketPayloadBytesMax,
    // A ceiling must not lose what it is slow to send.
    maxBackpressure: 0,
    message: (ws, message, isBinary) => void ws.send(message, isBinary),
  })
  .listen(HOST, 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    process.send?.({ url: `ws://${HOST}:${uws.us_socket_local_port(socket)}/ws` });
  });

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

/**
 * The bare library holding connections: uWebSockets.js with one small object for each, and nothing else. Entry point of a
 * process of its own, started by `ceilings.ts` with `--expose-gc`; `collect` makes its memory comparable before and after.
 */

import { createRequire } from 'node:module';
import { LIMITS } from '../limits.ts';

// The library is CommonJS with a native addon.
const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

const HOST = '127.0.0.1';

if (process.send === undefined) throw new Error('the holding server is started by the benchmark, not by hand');

interface Held {
  readonly number: number;
}

let count = 0;

uws
  .App()
  .ws<Held>('/ws', {
    compression: uws.DISABLED,
    maxPayloadLength: LIMITS.webSocketPayloadBytesMax,
    upgrade: (response, request, context) =>
      response.upgrade<Held>(
        { number: count++ },
        request.getHeader('sec-websocket-key'),
        request.getHeader('sec-websocket-protocol'),
        request.getHeader('sec-websocket-extensions'),
        context,
      ),
  })
  .listen(HOST, 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    process.send?.({ url: `ws://${HOST}:${uws.us_socket_local_port(socket)}/ws` });
  });

process.on('message', () => {
  globalThis.gc?.();
  process.send?.({ kind: 'collected' });
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

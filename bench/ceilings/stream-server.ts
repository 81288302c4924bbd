/**
 * The bare library under files: uWebSockets.js takes bodies and drops them, and sends as many bytes as it is asked for. Entry point of a
 * process of its own, started by `ceilings.ts`; the figure is what HTTP over the loopback allows with these clients, without a disk,
 * a ticket or a key.
 */

import { createRequire } from 'node:module';
import { LIMITS } from '../limits.ts';

// The library is CommonJS with a native addon.
const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');

const HOST = '127.0.0.1';
const PIECE = new Uint8Array(LIMITS.mediaPieceBytes);

if (process.send === undefined) throw new Error('the stream server is started by the benchmark, not by hand');

uws
  .App()
  .patch('/stream', (response) => {
    response.onAborted(() => undefined);
    response.onData((_chunk, isLast) => {
      if (isLast) response.cork(() => void response.writeStatus('204 No Content').endWithoutBody());
    });
  })
  .get('/stream', (response, request) => {
    const total = Number(request.getQuery('bytes'));
    response.onAborted(() => undefined);
    const offer = (): boolean => {
      for (;;) {
        const [isTaken, isDone] = response.tryEnd(PIECE.subarray(0, total - response.getWriteOffset()), total);
        if (isDone || !isTaken) return isDone;
      }
    };
    response.onWritable(offer);
    response.cork(() => void offer());
  })
  .listen(HOST, 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    process.send?.({ url: `http://${HOST}:${uws.us_socket_local_port(socket)}/stream` });
  });

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

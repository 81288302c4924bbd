/**
 * The entry of the worker threads in `pool.test.ts`: actors for the main thread to talk to, by name.
 */

import type { Behavior, Logger, Pid } from '../index.ts';
import { joinWorkers } from './join.ts';

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Answers with the request and where it was answered; `{ crash }` throws, `{ wait }` never answers. */
const echo: Behavior<object, void, unknown, unknown, unknown> = {
  name: 'echo',
  init: () => ({}),
  handleCall(request, _from, _state, ctx) {
    if (typeof request === 'object' && request !== null && 'crash' in request) throw new Error('asked to');
    if (typeof request === 'object' && request !== null && 'wait' in request) return new Promise(() => {});
    if (typeof request === 'object' && request !== null && 'unencodable' in request) return () => 1;
    if (typeof request === 'object' && request !== null && 'large' in request) return 'x'.repeat(200_000);
    return { request, worker: ctx.worker };
  },
};

/** Keeps what is sent to it; a call returns and empties the list. */
const recorder: Behavior<{ seen: unknown[] }, void, unknown, 'take' | 'count', unknown> = {
  name: 'recorder',
  init: () => ({ seen: [] }),
  handleCast: (message, state) => void state.seen.push(message),
  handleInfo: (info, state) => void state.seen.push(info),
  handleCall(request, _from, state) {
    if (request === 'count') return state.seen.length;
    return state.seen.splice(0);
  },
};

/** Starts an echo for each request and returns its pid; `linkTo` links itself to a pid. */
const starter: Behavior<object, void, unknown, { linkTo?: Pid }, Pid> = {
  name: 'starter',
  init: () => ({}),
  handleCall(request, _from, _state, ctx) {
    return ctx.spawn(linker, request.linkTo);
  },
};

const linker: Behavior<object, Pid | undefined, 'stop' | 'crash', unknown, unknown> = {
  name: 'linker',
  init(peer, ctx) {
    if (peer !== undefined) ctx.link(peer);
    return {};
  },
  handleCast(message, _state, ctx) {
    if (message === 'crash') throw new Error('asked to');
    ctx.stop('normal');
  },
  handleCall: (_request, _from, _state, ctx) => ctx.self,
};

/** Sends `count` numbers to a named recorder on another worker as fast as it may, waiting when told `full`. */
interface Flood {
  next: number;
  fullCount: number;
}
const flooder: Behavior<Flood, void, unknown, 'fullCount', number> = {
  name: 'flooder',
  init: () => ({ next: 0, fullCount: 0 }),
  handleInfo(info, state, ctx) {
    const { worker, count, restart } = info as { worker: number; count: number; restart?: boolean };
    if (restart === true) state.next = 0;
    while (state.next < count) {
      const result = ctx.cast({ name: 'recorder', worker }, { next: state.next, filler: 'x'.repeat(1_000) });
      if (result === 'full') {
        state.fullCount += 1;
        ctx.sendAfter(1, { worker, count });
        return;
      }
      state.next += 1;
    }
  },
  handleCall: (_request, _from, state) => state.fullCount,
};

/** Never comes back: at once, or as code after an `await`, which runs outside of any turn. */
const looper: Behavior<object, void, 'loop' | 'loop later', unknown, unknown> = {
  name: 'looper',
  init: () => ({}),
  async handleCast(message) {
    if (message === 'loop later') await null;
    for (;;);
  },
};

const joined = joinWorkers({ log: () => quiet });
const { node } = joined;
node.spawn(echo, undefined, { name: 'echo' });
node.spawn(recorder, undefined, { name: 'recorder', mailboxMax: Infinity });
node.spawn(recorder, undefined, { name: 'small', mailboxMax: 10 });
node.spawn(starter, undefined, { name: 'starter' });
node.spawn(flooder, undefined, { name: 'flooder' });
node.spawn(looper, undefined, { name: 'looper' });

joined.onMessage((message) => {
  if (message === 'throw') throw new Error('thrown outside of an actor');
  if (message === 'exit') process.exit(7);
  if (message === 'loop') for (;;);
  if (message === 'fill') for (const hoard: unknown[] = []; ;) hoard.push(new Array(100_000).fill(hoard.length));
  if (message === 'block') {
    joined.post('blocking');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  }
});
joined.watch(({ type, worker }) => joined.post({ heard: type, of: worker, at: joined.worker }));
joined.onStop(() => joined.post('stopping'));
if (joined.data === 'fail') throw new Error('failed on purpose');
joined.ready();

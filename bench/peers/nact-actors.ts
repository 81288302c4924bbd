/**
 * nact as a peer: the programs that its model has a like of. Its mailboxes have no bound and its actors no links, so its
 * programs are shorter; each message costs it a turn of the event loop.
 */

import { createRequire } from 'node:module';
import { type Figure, perSecond, type Sizes, verify } from '../actors/program.ts';
import type { Run } from '../actors/serve.ts';
import { systemClock } from '../harness/clock.ts';

/** What we use of nact; its own declarations cannot be imported from an ES module. */
interface Nact {
  start(): Ref;
  spawn<State, Message>(
    parent: Ref,
    behavior: (state: State, message: Message) => State,
    name?: string,
    properties?: { readonly initialState?: State; readonly initialStateFunc?: () => State },
  ): Ref<Message>;
  dispatch<Message>(to: Ref<Message>, message: Message): void;
  query<Reply>(to: Ref, request: (replyTo: Ref<Reply>) => unknown, timeoutMs: number): Promise<Reply>;
  stop(actor: Ref): void;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
interface Ref<Message = any> {
  readonly message?: Message;
}

const require: NodeJS.Require = createRequire(import.meta.url);

/** Why nact cannot be compared with, in a sentence for the table; `undefined` if it can. */
export function refuseNact(): string | undefined {
  try {
    require.resolve('nact');
    return undefined;
  } catch {
    return 'the peer nact is left out: it is not installed (npm ci without --omit=dev)';
  }
}

const CALL_MS = 5_000;

/** By the names of our programs. */
export const NACT_PROGRAMS: Readonly<Record<string, Run>> = {
  ping_pong: ({ messages }) => onSystem((nact, system) => pingPong(nact, system, messages!)),
  counting: ({ messages }) => onSystem((nact, system) => counting(nact, system, messages!)),
  gen_server_call: ({ calls }) => onSystem((nact, system) => callInTurn(nact, system, calls!)),
  million: ({ actors }) => onSystem((nact, system) => spawnMany(nact, system, actors!)),
} satisfies Record<string, (sizes: Sizes) => Promise<readonly Figure[]>>;

async function onSystem(run: (nact: Nact, system: Ref) => Promise<Figure>): Promise<Figure[]> {
  const nact = require('nact') as Nact;
  const system = nact.start();
  try {
    return [await run(nact, system)];
  } finally {
    nact.stop(system);
  }
}

/** Calls `start` and waits until it calls back with a count. */
async function timed(start: (finish: (count: number) => void) => void): Promise<{ count: number; elapsedMs: number }> {
  const startMs = systemClock.nowMs();
  const count = await new Promise<number>(start);
  return { count, elapsedMs: systemClock.nowMs() - startMs };
}

async function pingPong(nact: Nact, system: Ref, messages: number): Promise<Figure> {
  const rounds = messages / 2;
  const { count, elapsedMs } = await timed((finish) => {
    const pinger: Ref<'pong'> = nact.spawn(
      system,
      (pongs: number, _pong: 'pong') => {
        if (pongs + 1 < rounds) nact.dispatch(ponger, 'ping');
        else finish(pongs + 1);
        return pongs + 1;
      },
      'pinger',
      { initialState: 0 },
    );
    const ponger: Ref<'ping'> = nact.spawn(system, (_state, _ping: 'ping') => nact.dispatch(pinger, 'pong'), 'ponger');
    nact.dispatch(ponger, 'ping');
  });
  verify('pongs', count, rounds);
  return ['ping_pong_msgs_per_s', perSecond(messages, elapsedMs)];
}

async function counting(nact: Nact, system: Ref, messages: number): Promise<Figure> {
  const { count, elapsedMs } = await timed((finish) => {
    const count = (sum: number, message: 'increment' | 'finish'): number => {
      if (message === 'finish') finish(sum);
      return sum + 1;
    };
    const counter = nact.spawn(system, count, 'counter', { initialState: 0 });
    for (let sent = 0; sent < messages; sent += 1) nact.dispatch(counter, 'increment');
    nact.dispatch(counter, 'finish');
  });
  verify('counted messages', count, messages);
  return ['counting_msgs_per_s', perSecond(messages, elapsedMs)];
}

async function callInTurn(nact: Nact, system: Ref, calls: number): Promise<Figure> {
  const next = (count: number, { replyTo }: { readonly replyTo: Ref<number> }): number => {
    nact.dispatch(replyTo, count + 1);
    return count + 1;
  };
  const server = nact.spawn(system, next, 'server', { initialState: 0 });
  const startMs = systemClock.nowMs();
  for (let count = 1; count <= calls; count += 1) {
    verify('answer', await nact.query<number>(server, (replyTo) => ({ replyTo }), CALL_MS), count);
  }
  return ['call_per_s', perSecond(calls, systemClock.nowMs() - startMs)];
}

async function spawnMany(nact: Nact, system: Ref, actors: number): Promise<Figure> {
  const { count, elapsedMs } = await timed((finish) => {
    const hear = (heard: number, _up: 'up'): number => {
      if (heard + 1 === actors) finish(heard + 1);
      return heard + 1;
    };
    const parent = nact.spawn(system, hear, 'parent', { initialState: 0 });
    const initialStateFunc = (): number => {
      nact.dispatch(parent, 'up');
      return 0;
    };
    for (let index = 0; index < actors; index += 1) {
      nact.spawn(system, (visits: number, _visit: 'visit') => visits + 1, `${index}`, { initialStateFunc });
    }
  });
  verify('spawned actors', count, actors);
  return ['spawn_per_s', perSecond(actors, elapsedMs)];
}

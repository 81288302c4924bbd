/**
 * Actors that do what they are told, for `relations.test.ts`, and the entry of its worker threads: what they are told is
 * data, because functions do not cross threads.
 */

import { isMainThread } from 'node:worker_threads';

import type { Behavior, Context, Logger, Pid } from '../index.ts';
import { isDown, isExit } from '../envelope.ts';
import { joinWorkers } from './join.ts';

export type Command =
  | { readonly type: 'link'; readonly to: Pid }
  | { readonly type: 'monitor'; readonly to: Pid }
  | { readonly type: 'send'; readonly to: Pid; readonly count: number }
  | { readonly type: 'stop' }
  | { readonly type: 'crash' };

/** `visit` calls each of them, so that what was sent to them before has arrived; `seen` is what was heard, from a place on. */
export type Request = { readonly visit: readonly Pid[] } | { readonly seen: number } | 'ping';

/** Lines of `seen` in one reply: they fit into the smallest ring. */
export const PAGE_LINES: number = 50;

/** What an agent heard, as text: `down <pid> reason`, `exit <pid> reason`, and `<pid> number` for a message. */
export interface AgentState {
  readonly seen: string[];
  /** The last number sent, by the text of the target. */
  readonly sent: Map<string, number>;
}

interface Numbered {
  readonly from: Pid;
  readonly number: number;
}

export const agent: Behavior<AgentState, void, Command, Request, unknown> = {
  name: 'agent',
  init(_args, ctx) {
    ctx.trapExit(true);
    return { seen: [], sent: new Map() };
  },
  handleCast(command, state, ctx) {
    switch (command.type) {
      case 'link':
        return ctx.link(command.to);
      case 'monitor':
        return void ctx.monitor(command.to);
      case 'send':
        return sendNumbers(command.to, command.count, state, ctx);
      case 'stop':
        return ctx.stop('shutdown');
      case 'crash':
        throw new Error('asked to');
    }
  },
  handleInfo(info, { seen }) {
    if (isDown(info) || isExit(info)) {
      const reason = typeof info.reason === 'string' ? info.reason : Object.keys(info.reason)[0]!;
      seen.push(`${isDown(info) ? 'down' : 'exit'} ${info.pid} ${reason}`);
    } else {
      const { from, number } = info as Numbered;
      seen.push(`${from} ${number}`);
    }
  },
  handleCall(request, _from, { seen }, ctx) {
    if (request === 'ping') return 'pong';
    if ('seen' in request) return seen.slice(request.seen, request.seen + PAGE_LINES);
    return visit(request.visit, ctx);
  },
};

function sendNumbers(to: Pid, count: number, { sent }: AgentState, ctx: Context): void {
  const first = (sent.get(`${to}`) ?? 0) + 1;
  for (let number = first; number < first + count; number += 1) ctx.send(to, { from: ctx.self, number });
  sent.set(`${to}`, first + count - 1);
}

async function visit(pids: readonly Pid[], ctx: Context): Promise<number> {
  let alive = 0;
  for (const pid of pids) {
    // An actor cannot call itself, and one that has ended answers by its monitor.
    const visited = `${pid}` === `${ctx.self}` || (await ctx.call(pid, 'ping', 5_000).then(Boolean, () => false));
    if (visited) alive += 1;
  }
  return alive;
}

const starter: Behavior<null, void, never, 'start', Pid> = {
  name: 'starter',
  init: () => null,
  handleCall: (_request, _from, _state, ctx) => ctx.spawn(agent, undefined),
};

if (!isMainThread) {
  const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const joined = joinWorkers({ log: () => quiet });
  joined.node.spawn(starter, undefined, { name: 'starter' });
  joined.ready();
}

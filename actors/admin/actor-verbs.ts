/**
 * `actor …`: look at one actor, trace it, hold it, end it. An actor is named by its pid, or by its name, with the worker
 * where several have one of that name: `inbox.0`, `links@2`.
 */

import { formatExitReason, isDown, parsePid, sys, type Behavior, type Pid } from '../../runtime/index.ts';
import type { ActorDetails, ActorKey, TreeAnswer } from './actor-questions.ts';
import { AGENT_NAME } from './agent.ts';
import { askEach, askWorker, type Askable, type EachAnswer } from './ask.ts';
import { AdminError, explainSilence } from './errors.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';
import { defineVerb, type Verb } from './verb.ts';

export const ACTOR_TREE = {
  name: 'actor.tree',
  summary: 'who supervises whom',
  changes: false,
  parameters: {
    actor: { kind: 'text', help: 'begin with this one: its pid, its name, or name@worker', position: 1 },
    depth: { kind: 'integer', min: 1, max: 12, default: 4, help: 'generations shown' },
    children: {
      kind: 'integer',
      min: 0,
      max: 200,
      default: 10,
      help: 'children shown of one actor; the rest is counted',
    },
  },
} as const;

export const ACTOR_INSPECT = {
  name: 'actor.inspect',
  summary: 'one actor: queue, work, links, parents',
  changes: false,
  parameters: { actor: { kind: 'text', help: 'its pid, its name, or name@worker', required: true, position: 1 } },
} as const;

export const ACTOR_STATE = {
  name: 'actor.state',
  summary: 'what an actor holds, masked: no number, key, code or message is shown',
  changes: false,
  parameters: { actor: { kind: 'text', help: 'its pid, its name, or name@worker', required: true, position: 1 } },
} as const;

export const ACTOR_TRACE = {
  name: 'actor.trace',
  summary: 'what an actor handles and how long it takes, live; not what the messages hold',
  changes: false,
  parameters: {
    actor: { kind: 'text', help: 'its pid, its name, or name@worker', required: true, position: 1 },
    events: { kind: 'integer', min: 1, max: 10_000, default: 100, help: 'events after which it ends' },
    forMs: { kind: 'integer', min: 1, max: 600_000, default: 10_000, help: 'milliseconds after which it ends' },
  },
} as const;

export const ACTOR_SUSPEND = {
  name: 'actor.suspend',
  summary: 'lets an actor handle nothing for a while; what is sent to it waits',
  changes: true,
  parameters: {
    actor: { kind: 'text', help: 'its pid, its name, or name@worker', required: true, position: 1 },
    forMs: { kind: 'integer', min: 0, max: 3_600_000, default: 30_000, help: 'then it goes on by itself; 0 never' },
  },
} as const;

export const ACTOR_RESUME = {
  name: 'actor.resume',
  summary: 'lets a suspended actor go on',
  changes: true,
  parameters: { actor: { kind: 'text', help: 'its pid, its name, or name@worker', required: true, position: 1 } },
} as const;

export const ACTOR_KILL = {
  name: 'actor.kill',
  summary: 'ends an actor; its supervisor decides what comes next',
  changes: true,
  parameters: {
    actor: { kind: 'text', help: 'its pid, its name, or name@worker', required: true, position: 1 },
    reason: { kind: 'choice', choices: ['kill', 'shutdown'], default: 'kill', help: 'at once, or in order' },
  },
} as const;

/** The supervisor at the root of a worker: without it nothing there is brought back. */
const ROOT_NAME = 'worker';

export interface KillResult {
  readonly pid: string;
  /** Why it ended, or `timeout` if it has not yet. */
  readonly ended: string;
}

/** One event of a trace, or how many were lost because the reader was slow. */
export type TraceLine =
  | {
      readonly number: number;
      readonly atMs: number;
      readonly event: sys.TraceEvent['event'];
      readonly tookMs?: number | undefined;
      readonly why?: string | undefined;
    }
  | { readonly lost: number };

/** @param closing - Aborted when the node stops: what waits for a time does not keep it. */
export function actorVerbs(workers: Askable, closing: AbortSignal): Verb[] {
  const { node } = workers;
  return [
    defineVerb(ACTOR_TREE, async ({ actor, depth, children }) => ({
      workers: await trees(workers, actor, depth, children),
    })),
    defineVerb(ACTOR_INSPECT, async ({ actor }) => {
      const pid = await findActor(workers, actor);
      return askWorker<ActorDetails>(workers, pid.worker, 'inspect', keyOf(pid));
    }),
    defineVerb(ACTOR_STATE, async ({ actor }) => {
      const pid = await findActor(workers, actor);
      return { pid: `${pid}`, ...(await askWorker<{ state: unknown }>(workers, pid.worker, 'state', keyOf(pid))) };
    }),
    defineVerb(ACTOR_TRACE, async function* ({ actor, events, forMs }, { signal }) {
      yield* trace(workers, await findActor(workers, actor), events, forMs, signal);
    }),
    defineVerb(ACTOR_SUSPEND, async ({ actor, forMs }) => {
      const pid = await findActor(workers, actor);
      await refuseOwn(workers, pid);
      await sys.suspend(node, pid, LIMITS.workerAnswerMs).catch(explainSilence);
      if (forMs > 0) void pause(node.clock, forMs, closing).then(() => resume(workers, pid).catch(() => undefined));
      return { pid: `${pid}`, forMs };
    }),
    defineVerb(ACTOR_RESUME, async ({ actor }) => {
      const pid = await findActor(workers, actor);
      await resume(workers, pid).catch(explainSilence);
      return { pid: `${pid}` };
    }),
    defineVerb(ACTOR_KILL, async ({ actor, reason }) => {
      const pid = await findActor(workers, actor);
      await refuseRoot(workers, pid);
      const ended = node.awaitExit(pid, LIMITS.workerAnswerMs);
      node.exit(pid, reason);
      const why = await ended;
      return { pid: `${pid}`, ended: why === 'timeout' ? why : formatExitReason(why) } satisfies KillResult;
    }),
  ];
}

/** @throws {AdminError} (as rejection) ADM_NOT_FOUND; ADM_BAD_PARAMETER if several workers have an actor of that name. */
async function findActor(workers: Askable, text: string): Promise<Pid> {
  const pid = parsePid(text) ?? parsePid(`<${text}>`);
  if (pid !== undefined) return pid;
  const [, name = text, worker] = /^(.+)@(\d{1,3})$/.exec(text) ?? [];
  const found = (await askEach<{ readonly pid: string | undefined }>(workers, 'find', { name }))
    .flatMap((each) => ('ok' in each && each.ok.pid !== undefined ? [each.ok.pid] : []))
    .map((each) => parsePid(each)!)
    .filter((each) => worker === undefined || each.worker === Number(worker));
  if (found.length === 1) return found[0]!;
  if (found.length === 0)
    throw new AdminError('ADM_NOT_FOUND', `there is no actor "${text.slice(0, LIMITS.refusedCharsMax)}"`);
  const names = found.map((each) => `${name}@${each.worker}`).join(', ');
  throw new AdminError('ADM_BAD_PARAMETER', `"actor" names several: say which of ${names}`);
}

function keyOf({ slot, creation }: Pid): ActorKey {
  return { slot, creation };
}

async function trees(
  workers: Askable,
  actor: string | undefined,
  depth: number,
  children: number,
): Promise<EachAnswer<TreeAnswer>[]> {
  if (actor === undefined) return askEach<TreeAnswer>(workers, 'tree', { depth, children });
  const pid = await findActor(workers, actor);
  const ok = await askWorker<TreeAnswer>(workers, pid.worker, 'tree', { root: keyOf(pid), depth, children });
  return [{ worker: pid.worker, ok }];
}

async function resume({ node }: Askable, pid: Pid): Promise<void> {
  await sys.resume(node, pid, LIMITS.workerAnswerMs);
}

async function refuseOwn(workers: Askable, pid: Pid): Promise<void> {
  const { name } = await askWorker<ActorDetails>(workers, pid.worker, 'inspect', keyOf(pid));
  if (name === AGENT_NAME)
    throw new AdminError('ADM_REFUSED', 'this actor answers you: it would not hear that it may go on');
}

async function refuseRoot(workers: Askable, pid: Pid): Promise<void> {
  const { name, ancestors } = await askWorker<ActorDetails>(workers, pid.worker, 'inspect', keyOf(pid));
  if (name !== ROOT_NAME || ancestors.length > 1) return;
  throw new AdminError('ADM_REFUSED', 'nothing would bring back the root of a worker: stop the node instead');
}

// --- traces -----------------------------------------------------------------------------------------------------

/** What a tracer gathers for its reader. */
interface Gathered {
  readonly lines: TraceLine[];
  lostCount: number;
  hasEnded: boolean;
  wake: () => void;
}

interface TracerArgs {
  readonly gathered: Gathered;
  readonly traced: Pid;
}

/** Gets the events of one trace on the main thread, and hears of the end of the traced. */
const tracer: Behavior<Gathered, TracerArgs> = {
  name: 'actors/admin-tracer',

  init({ gathered, traced }, ctx) {
    ctx.monitor(traced);
    return gathered;
  },

  handleInfo(info, gathered) {
    if (isDown(info)) gathered.hasEnded = true;
    else if (sys.isTraceEvent(info)) gather(info, gathered);
    gathered.wake();
  },
};

function gather({ number, atMs, event, tookMs, why }: sys.TraceEvent, gathered: Gathered): void {
  gathered.lines.push({ number, atMs, event, tookMs, why });
  if (gathered.lines.length <= LIMITS.traceWaitingMax) return;
  gathered.lines.shift();
  gathered.lostCount += 1;
}

async function* trace(
  { node }: Askable,
  traced: Pid,
  eventsMax: number,
  forMs: number,
  signal: AbortSignal,
): AsyncGenerator<TraceLine> {
  const gathered: Gathered = { lines: [], lostCount: 0, hasEnded: false, wake: () => undefined };
  const to = node.spawn(tracer, { gathered, traced });
  const wake = (): void => gathered.wake();
  signal.addEventListener('abort', wake);
  try {
    await sys.trace(node, traced, { eventsMax, forMs, to }, LIMITS.workerAnswerMs).catch(explainSilence);
    yield* read(gathered, signal);
  } finally {
    signal.removeEventListener('abort', wake);
    if (!gathered.hasEnded) void sys.noTrace(node, traced, LIMITS.workerAnswerMs).catch(() => undefined);
    node.exit(to, 'kill');
  }
}

async function* read(gathered: Gathered, signal: AbortSignal): AsyncGenerator<TraceLine> {
  while (!signal.aborted) {
    if (gathered.lostCount > 0) {
      yield { lost: gathered.lostCount };
      gathered.lostCount = 0;
    }
    const line = gathered.lines.shift();
    if (line !== undefined) {
      yield line;
      if ('event' in line && line.event === 'end') return;
    } else if (gathered.hasEnded) {
      return;
    } else {
      await new Promise<void>((resolve) => (gathered.wake = resolve));
    }
  }
}

/**
 * Runs one handler over a copy of a state, with hands that act on nothing: what it would have done is noted and compared.
 *
 * Effects are told in few words (whom, which kind of message, which fields), never with contents: they stand in reports.
 */

import type { AnyBehavior, Context } from '../behavior.ts';
import { isPromise } from '../exit.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../process.ts';
import type { Recorded } from './recorder.ts';
import { messageOf } from './compile.ts';
import { RELOAD_LIMITS } from './limits.ts';
import { Anything, copyState } from './stand-in.ts';

/** What became of one run. */
export interface ShadowRun {
  readonly effects: readonly string[];
  readonly threw: string | undefined;
  /** The actor would have ended. */
  readonly ended: boolean;
  /** The state afterwards. */
  readonly state: unknown;
}

/**
 * Lets `behavior` handle `recorded` over a copy of `state`, and the turn end that it asks for.
 *
 * @param state - Not changed.
 */
export function runInShadow(
  kernel: Kernel,
  behavior: AnyBehavior,
  { handler, message, process }: Recorded,
  state: unknown,
): ShadowRun {
  const hands = new Hands(kernel, process);
  const copied = copyState(state, hands.note);
  const given = message.map((each) => copyState(each, hands.note));
  let threw: string | undefined;
  try {
    const run = behavior[handler] as ((...args: unknown[]) => unknown) | undefined;
    const result = run?.call(behavior, ...given, copied, hands.context);
    if (isPromise(result)) result.then(undefined, () => undefined);
    if (hands.asksForTurnEnd) behavior.handleTurnEnd?.(copied, hands.context);
  } catch (error) {
    threw = messageOf(error);
  }
  return { effects: hands.effects, threw, ended: hands.ended, state: copied };
}

/**
 * The state that `init` makes of arguments that answer anything; undefined if it cannot. Where it stumbles over an answer, it
 * is tried again without that one.
 */
export function initInShadow(kernel: Kernel, behavior: AnyBehavior): { readonly made: unknown } | undefined {
  const unanswered = new Set<string>();
  for (let tries = 0; tries < RELOAD_LIMITS.initTryCountMax; tries += 1) {
    const args = new Anything(unanswered);
    try {
      const made: unknown = behavior.init(args.value, new Hands(kernel, kernel.self as Process).context);
      if (!isPromise(made)) return { made };
      made.then(undefined, () => undefined);
    } catch {
      // The arguments were not its own; that says nothing of the version.
    }
    if (args.lastCall === '' || unanswered.has(args.lastCall)) return undefined;
    unanswered.add(args.lastCall);
  }
  return undefined;
}

/** The fields of the state that `init` makes, in their order; none if it cannot be tried. */
export function fieldsOfState(kernel: Kernel, behavior: AnyBehavior): string[] {
  const made = initInShadow(kernel, behavior)?.made;
  return typeof made === 'object' && made !== null ? Object.keys(made) : [];
}

class Hands {
  readonly effects: string[] = [];
  readonly context: Context;
  ended: boolean = false;
  asksForTurnEnd: boolean = false;

  constructor(kernel: Kernel, process: Process) {
    this.context = this.#makeContext(kernel, process);
  }

  readonly note = (effect: string): void => {
    this.effects.push(effect);
    if (this.effects.length > RELOAD_LIMITS.effectCountMax) throw new Error('it has no end of effects');
  };

  #makeContext(kernel: Kernel, process: Process): Context {
    const { note } = this;
    const noted = (word: string) => (to: unknown, message: unknown) => {
      note(`${word} ${brief(message)} to ${placeOf(to)}`);
      return 'ok' as const;
    };
    const nowMs = kernel.clock.nowMs();
    const monotonicMs = kernel.clock.monotonicMs();
    const pending = (word: string) => (to: unknown, message: unknown) => {
      noted(word)(to, message);
      return new Promise<never>(() => undefined);
    };
    let refId = 0;
    const ref = (effect: string) => (): never => {
      note(effect);
      return { id: (refId += 1) } as never;
    };
    return {
      self: process,
      clock: { nowMs: () => nowMs, monotonicMs: () => monotonicMs, setTimer: () => 0, clearTimer: () => undefined },
      random: { bytes: (length) => new Uint8Array(length), integer: () => 0 },
      log: SILENT,
      worker: kernel.worker,
      send: noted('sends'),
      cast: noted('casts'),
      call: pending('calls'),
      sendRequest: (to, request) => ref(`asks ${brief(request)} of ${placeOf(to)}`)(),
      systemRequest: pending('asks the system'),
      reply: (_from, value) => noted('replies')('the caller', value),
      spawn: (behavior) => {
        note(`spawns ${behavior.name}`);
        return process as never;
      },
      startLink: (behavior) => {
        note(`starts ${behavior.name}`);
        return { ok: process as never };
      },
      link: () => note('links'),
      unlink: () => note('unlinks'),
      monitor: ref('monitors'),
      demonitor: () => true,
      exit: () => note('exits another'),
      trapExit: () => false,
      awaitExit: () => new Promise<never>(() => undefined),
      sendAfter: (_delayMs, message) => ref(`sets a timer for ${brief(message)}`)(),
      cancelTimer: () => true,
      continue: (term) => note(`continues with ${brief(term)}`),
      receiveTimeout: () => note('sets a receive timeout'),
      hibernate: () => undefined,
      makeRef: ref('makes a ref'),
      register: () => 'ok',
      unregister: () => true,
      whereis: () => undefined,
      stop: () => {
        this.ended = true;
        note('stops');
      },
      requestTurnEnd: () => void (this.asksForTurnEnd = true),
      mailboxCount: () => 0,
    };
  }
}

const SILENT = Object.freeze({
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
});

/** A message by its kind and fields. */
function brief(message: unknown): string {
  if (typeof message === 'string') return 'a text';
  if (typeof message !== 'object' || message === null) return `a ${typeof message}`;
  const { kind, type } = message as { kind?: unknown; type?: unknown };
  const label = typeof kind === 'string' ? kind : typeof type === 'string' ? type : 'data';
  return `${label}{${Object.keys(message).sort().join()}}`;
}

/** Kinds of messages are written by developers; names of actors too. */
export function kindOfMessage(handler: string, message: unknown): string {
  const { kind, type } = (message ?? {}) as { kind?: unknown; type?: unknown };
  const label = typeof kind === 'string' ? kind : typeof type === 'string' ? type : typeof message;
  return `${handler} ${label}`;
}

function placeOf(to: unknown): string {
  if (typeof to === 'string') return to;
  const name = (to as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : 'an actor';
}

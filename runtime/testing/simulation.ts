/**
 * Runs a program of actors under a seed: the order of everything that the runtime leaves open, faults, and time.
 *
 * The actors are the production ones and so is the runtime; only the run queue, the clock, the network between workers
 * and the randomness are the simulation's. A seed gives one run, always the same, so that a failure found among
 * thousands of seeds is one number, and running that number again shows it again.
 *
 * ```ts
 * import type { Behavior } from 'blindbeam/runtime';
 * import { explore, simulate } from 'blindbeam/runtime/testing';
 *
 * // Reads, lets others run, and writes: two of them may lose an update.
 * const adder: Behavior<null, void, 'add'> = {
 *   name: 'adder',
 *   init: () => null,
 *   async handleCast(_message, _state, ctx) {
 *     const sum = await ctx.call<number>('total', 'read', 1_000);
 *     ctx.cast('total', sum + 1);
 *   },
 * };
 * const total: Behavior<{ sum: number }, void, number, 'read', number> = {
 *   name: 'total',
 *   init: () => ({ sum: 0 }),
 *   handleCast: (sum, state) => void (state.sum = sum),
 *   handleCall: (_request, _from, state) => state.sum,
 * };
 *
 * const program: Parameters<typeof simulate>[0]['program'] = (sim) => {
 *   sim.node.spawn(total, undefined, { name: 'total' });
 *   for (let count = 0; count < 2; count += 1) sim.node.cast(sim.node.spawn(adder, undefined), 'add');
 *   sim.atEnd('no update is lost', async () => (await sim.node.call<number>('total', 'read', 1_000)) === 2);
 * };
 * const { failure } = await explore({ seeds: { from: 1, count: 100 }, program });
 * if (failure === null) throw new Error('not found');
 * console.log(failure.failure?.message);
 *
 * const again = await simulate({ seed: failure.seed, program });
 * console.log(again.fingerprint === failure.fingerprint ? 'the same run again' : 'another run');
 * ```
 *
 * It prints:
 *
 * ```text
 * no update is lost
 * the same run again
 * ```
 */

import type { Random } from '../contracts.ts';
import { KIND } from '../envelope.ts';
import type { ExitRequest } from '../exit-reason.ts';
import { kindOf } from '../mailbox.ts';
import type { RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import { FLAG, type Process } from '../process.ts';
import { SeededQueue } from './seeded-queue.ts';
import { createSeededRandom } from './seeded-random.ts';
import { createTestNode, type LogEntry, type TestNode } from './test-node.ts';
import { SimNetwork } from './test-workers.ts';
import { promisesSettled, VirtualClock } from './virtual-clock.ts';

/** Random faults. */
export interface Faults {
  /** One in so many turns of actors is followed by the end of an actor. */
  readonly killOneIn: number;
  /** What ends it. Default `'kill'`. */
  readonly reason?: ExitRequest;
  /** Whom to spare; a supervision tree needs its root. */
  readonly spare?: (pid: Pid, behavior: string) => boolean;
  /** Virtual milliseconds after which the faults stop, so that the program can come to rest. Default: never. */
  readonly untilMs?: number;
}

/** What a check may say: nothing or `true` if all is well, `false` or a sentence if not. Throwing is a failure too. */
export type Verdict = boolean | string | void;

/** What the program sees. */
export interface Simulation {
  readonly seed: number;
  /** For the program's own choices. */
  readonly random: Random;
  readonly clock: VirtualClock;
  /** Worker 0. */
  readonly node: RuntimeNode;
  readonly nodes: readonly RuntimeNode[];
  readonly network: SimNetwork;
  readonly logged: readonly LogEntry[];
  /** Looked at before each turn of an actor. */
  always(name: string, holds: () => Verdict): void;
  /** Looked at when the program has come to rest, or its time is over. */
  atEnd(name: string, holds: () => Verdict | Promise<Verdict>): void;
  inject(faults: Faults): void;
}

export interface SimulationOptions {
  /** Starts the actors and says what must hold. Time stands still meanwhile, and runs when it has returned. */
  readonly program: (sim: Simulation) => void | Promise<void>;
  /** Threads of the node, main included. Default 1. */
  readonly workerCount?: number;
  /** Virtual milliseconds to run at most. Default 60,000. */
  readonly forMs?: number;
  /** Turns of actors after which a program that does not come to rest has failed. Default 100,000. */
  readonly stepsMax?: number;
  /** Lines of the trace that are kept, the last ones. Default 200. */
  readonly traceMax?: number;
}

/** What became of one seed. */
export interface SimulationResult {
  readonly seed: number;
  /** What did not hold; null if all was well. */
  readonly failure: { readonly name: string; readonly message: string } | null;
  /** Turns of actors. */
  readonly steps: number;
  readonly virtualMs: number;
  /** Of the whole schedule: equal for two runs of one seed, and of little else. */
  readonly fingerprint: string;
  /** The last turns, oldest first. */
  readonly trace: readonly string[];
}

/** Runs `program` under `seed`. Never rejects: what goes wrong is the result's `failure`. */
export function simulate(options: SimulationOptions & { readonly seed: number }): Promise<SimulationResult> {
  return new Run(options).result();
}

/**
 * Runs `program` under one seed after the other until one fails.
 *
 * @returns How many ran, their turns together, and the failing one.
 */
export async function explore(
  options: SimulationOptions & { readonly seeds: { readonly from: number; readonly count: number } },
): Promise<{ readonly seedCount: number; readonly steps: number; readonly failure: SimulationResult | null }> {
  const { from, count } = options.seeds;
  let steps = 0;
  for (let index = 0; index < count; index += 1) {
    const result = await simulate({ ...options, seed: from + index });
    steps += result.steps;
    if (result.failure !== null) return { seedCount: index + 1, steps, failure: result };
  }
  return { seedCount: count, steps, failure: null };
}

/** A result as text: what failed, the seed to run it again, and the last turns. */
export function formatResult({ seed, failure, steps, virtualMs, fingerprint, trace }: SimulationResult): string {
  const outcome = failure === null ? 'held' : `${failure.name}: ${failure.message}`;
  return [`seed ${seed}: ${outcome}`, `${steps} turns, ${virtualMs} ms, schedule ${fingerprint}`, ...trace].join('\n');
}

interface Turn {
  readonly step: number;
  readonly atMs: number;
  readonly worker: number;
  readonly slot: number;
  readonly behavior: string;
  readonly cause: string;
}

const CAUSES: Readonly<Record<number, string>> = Object.freeze({
  [KIND.none]: 'nothing waits',
  [KIND.info]: 'info',
  [KIND.cast]: 'cast',
  [KIND.call]: 'call',
  [KIND.notice]: 'notice',
  [KIND.down]: 'down',
});

/** Thrown by a check within a turn's gap, to be told as the failure. */
class CheckFailed extends Error {
  override readonly name: string = 'CheckFailed';
}

class Run implements Simulation {
  readonly seed: number;
  readonly random: Random;
  readonly clock: VirtualClock = new VirtualClock();
  readonly nodes: readonly RuntimeNode[];
  readonly network: SimNetwork;
  readonly #options: Required<SimulationOptions>;
  readonly #workers: readonly TestNode[];
  readonly #schedule: Random;
  readonly #invariants: { name: string; holds: () => Verdict }[] = [];
  readonly #endings: { name: string; holds: () => Verdict | Promise<Verdict> }[] = [];
  readonly #trace: Turn[] = [];
  #faults: Faults | null = null;
  #failure: SimulationResult['failure'] = null;
  #steps: number = 0;
  // FNV-1a over who ran.
  #hash: number = 0x811c9dc5;

  constructor(options: SimulationOptions & { readonly seed: number }) {
    const { seed, workerCount = 1, forMs = 60_000, stepsMax = 100_000, traceMax = 200, program } = options;
    this.#options = { workerCount, forMs, stepsMax, traceMax, program };
    this.seed = seed;
    this.random = createSeededRandom(seed);
    this.#schedule = createSeededRandom(seed ^ 0x5eed);
    this.#workers = Array.from({ length: workerCount }, (_, worker) => this.#createWorker(worker));
    this.nodes = this.#workers.map(({ node }) => node);
    this.network = new SimNetwork(this.nodes);
  }

  get node(): RuntimeNode {
    return this.nodes[0]!;
  }

  get logged(): readonly LogEntry[] {
    return this.#workers.flatMap(({ logged }) => logged);
  }

  always(name: string, holds: () => Verdict): void {
    this.#invariants.push({ name, holds });
  }

  atEnd(name: string, holds: () => Verdict | Promise<Verdict>): void {
    this.#endings.push({ name, holds });
  }

  inject(faults: Faults): void {
    this.#faults = faults;
  }

  async result(): Promise<SimulationResult> {
    try {
      await this.#options.program(this);
      await this.#live();
      await this.#checkEnd();
    } catch (thrown) {
      this.#fail(thrown);
    }
    return {
      seed: this.seed,
      failure: this.#failure,
      steps: this.#steps,
      virtualMs: this.clock.monotonicMs(),
      fingerprint: (this.#hash >>> 0).toString(16).padStart(8, '0'),
      trace: this.#trace.map(formatTurn),
    };
  }

  #createWorker(worker: number): TestNode {
    const runQueue = new SeededQueue(
      this.#schedule,
      () => this.#between(worker),
      (process, oneMessage) => this.#note(process, oneMessage),
    );
    const seed = createSeededRandom(this.seed + worker).integer(2 ** 31);
    return createTestNode({ name: 'sim', worker, seed, clock: this.clock, runQueue });
  }

  /** Runs until everything is at rest, time is over, or something failed. */
  async #live(): Promise<void> {
    const { forMs } = this.#options;
    while (this.#failure === null) {
      await this.#settle();
      const { nextDueMs } = this.clock;
      if (nextDueMs === undefined || nextDueMs > forMs) return;
      this.clock.advance(Math.max(0, nextDueMs - this.clock.monotonicMs()));
    }
  }

  /** Runs workers and delivers packets, in the seed's order, until nothing is left to do at this moment. */
  async #settle(): Promise<void> {
    while (this.#failure === null) {
      const busy = this.#workers.filter(({ loop }) => loop.deferredCount > 0);
      const choices = busy.length + (this.network.count > 0 ? 1 : 0);
      if (choices > 0) {
        const choice = this.#schedule.integer(choices);
        if (choice < busy.length) busy[choice]!.loop.run();
        else this.network.deliver(this.#schedule);
      }
      await promisesSettled();
      if (choices === 0 && this.#workers.every(({ loop }) => loop.deferredCount === 0) && this.network.count === 0)
        return;
    }
  }

  /** Before each turn of an actor. `false`: the run is over. */
  #between(worker: number): boolean {
    if (this.#failure !== null) return false;
    try {
      for (const { name, holds } of this.#invariants) check(name, holds());
      if (this.#steps >= this.#options.stepsMax) throw new CheckFailed(`no rest after ${this.#steps} turns`);
      this.#maybeKill(worker);
      return true;
    } catch (thrown) {
      this.#fail(thrown);
      return false;
    }
  }

  #maybeKill(worker: number): void {
    const faults = this.#faults;
    if (faults === null || this.clock.monotonicMs() >= (faults.untilMs ?? Infinity)) return;
    if (this.#schedule.integer(faults.killOneIn) !== 0) return;
    const node = this.nodes[worker]!;
    const victims = [...node.kernel.processes.all()].filter(
      (process) => faults.spare?.(process, process.behavior.name) !== true,
    );
    if (victims.length > 0) node.exit(victims[this.#schedule.integer(victims.length)]!, faults.reason ?? 'kill');
  }

  #note(process: Process, oneMessage: boolean): void {
    this.#steps += 1;
    const { worker, slot, behavior } = process;
    const cause = causeOf(process);
    for (const value of [worker, slot, kindOf(process.entry), oneMessage ? 1 : 0]) {
      this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
    }
    this.#trace.push({
      step: this.#steps,
      atMs: this.clock.monotonicMs(),
      worker,
      slot,
      behavior: behavior.name,
      cause: oneMessage ? cause : `${cause} and more`,
    });
    if (this.#trace.length > this.#options.traceMax) this.#trace.shift();
  }

  async #checkEnd(): Promise<void> {
    this.#faults = null;
    for (const { name, holds } of this.#endings) {
      if (this.#failure !== null) return;
      const verdict = Promise.resolve(holds());
      // A check may call actors, and those need turns to answer.
      verdict.catch(() => {});
      await this.#settle();
      check(name, await verdict);
    }
  }

  #fail(thrown: unknown): void {
    if (this.#failure !== null) return;
    const { name, message } = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.#failure = { name, message };
  }
}

function check(name: string, verdict: Verdict): void {
  if (verdict === undefined || verdict === true) return;
  throw new CheckFailed(verdict === false ? name : `${name}: ${verdict}`);
}

function causeOf(process: Process): string {
  if (process.signals !== null) return 'signal';
  if (process.has(FLAG.starting)) return 'start';
  if (process.has(FLAG.attention)) return 'attention';
  return CAUSES[kindOf(process.entry)] ?? 'message';
}

function formatTurn({ step, atMs, worker, slot, behavior, cause }: Turn): string {
  return `${String(step).padStart(6)}  ${String(atMs).padStart(7)} ms  ${behavior} ${worker}.${slot}  ${cause}`;
}

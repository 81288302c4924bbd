/**
 * What does the runtime do with actors on one core: messages, spawns, calls, memory; and how does that compare with the BEAM?
 *
 * Each program of `actors/programs/` runs in a process of its own, in turn with its twins: in Erlang on the BEAM, pinned to one
 * scheduler; on nact; and, where it tells something, on bare JavaScript without a runtime. Every program checks its result.
 */

import { fileURLToPath } from 'node:url';
import { contest, roundsOf, type Side, type Standings } from '../actors/contest.ts';
import { NodePerformer, type Performer } from '../actors/performer.ts';
import type { PeerName, Program, Scale } from '../actors/program.ts';
import { PROGRAMS } from '../actors/programs/index.ts';
import { systemClock } from '../harness/clock.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import { LIMITS } from '../limits.ts';
import { ErlangTwins, refuseErlang } from '../peers/erlang.ts';
import { refuseNact } from '../peers/nact-actors.ts';

type OptionName = 'samples';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  samples: { default: 0, min: 0, max: 100, help: 'runs of each side; 0 leaves it to the program' },
};

const pathOf = (entry: string): string => fileURLToPath(new URL(entry, import.meta.url));
const OURS: string = pathOf('../actors/host-main.js');
const NACT: string = pathOf('../peers/nact-main.js');
const BARE: string = pathOf('../ceilings/bare-actors-main.js');

/** What tests change: how much work, and on what. */
export interface ActorsSettings {
  readonly scale?: Scale;
  readonly programs?: readonly Program[];
}

/** Makes the workload; the settings are for tests. */
export function createActorsWorkload(settings: ActorsSettings = {}): Workload<OptionName> {
  const { programs = PROGRAMS, scale } = settings;
  return {
    name: 'actors',
    question: 'actors on one core: messages, spawns, calls and memory, beside the BEAM',
    options: OPTIONS,
    parts: programs.map(({ name }) => name),
    thresholds: [
      { metric: 'ping_pong_msgs_per_s', peer: 'beam', bound: 'at-least', value: 2 },
      { metric: 'counting_msgs_per_s', peer: 'beam', bound: 'at-least', value: 2 },
      { metric: 'ring_hops_per_s', peer: 'beam', bound: 'at-least', value: 2 },
      { metric: 'spawn_per_s', peer: 'beam', bound: 'at-least', value: 8 },
      { metric: 'call_per_s', peer: 'beam', bound: 'at-least', value: 1.5 },
      { metric: 'random_1m_msgs_per_s', peer: 'beam', bound: 'at-least', value: 1 },
      // At most 0.8 of the BEAM's time; a ratio above 1 is ahead for costs as well.
      { metric: 'skynet_1m_s', peer: 'beam', bound: 'at-least', value: 1.25 },
      { metric: 'bytes_per_actor', bound: 'at-most', value: 540 },
      { metric: 'cross_worker_msgs_per_s', bound: 'at-least', value: 1_000_000 },
    ],
    run: (context) => new ActorsRun(context, programs, scale ?? (context.isQuick ? 'quick' : 'full')).run(),
  };
}

class ActorsRun {
  readonly #context: WorkloadContext<OptionName>;
  readonly #programs: readonly Program[];
  readonly #scale: Scale;
  readonly #startMs: number = systemClock.nowMs();
  #twins: ErlangTwins | undefined = undefined;
  #hasNact = false;

  constructor(context: WorkloadContext<OptionName>, programs: readonly Program[], scale: Scale) {
    this.#context = context;
    this.#scale = scale;
    this.#programs = programs.filter(({ name }) => context.part === undefined || context.part === name);
  }

  async run(): Promise<void> {
    await this.#findPeers();
    try {
      for (const [index, program] of this.#programs.entries())
        await this.#measure(program, this.#programs.length - index);
    } finally {
      this.#twins?.remove();
    }
  }

  /** A peer that is not installed is left out, and the table says so. */
  async #findPeers(): Promise<void> {
    const { progress, recorder, signal } = this.#context;
    const [withoutErlang, withoutNact] = [refuseErlang(), refuseNact()];
    for (const refusal of [withoutErlang, withoutNact]) if (refusal !== undefined) recorder.note(refusal);
    this.#hasNact = withoutNact === undefined;
    if (withoutErlang !== undefined) return;
    progress('compiling the Erlang twins');
    this.#twins = await ErlangTwins.compile(signal);
  }

  async #measure(program: Program, programsLeft: number): Promise<void> {
    this.#context.progress(program.name);
    const [ours, theirs] = this.#rounds(program, programsLeft);
    const sides: Side[] = [{ name: 'ours', rounds: ours, start: this.#ours(program) }];
    for (const peer of program.peers) {
      const start = this.#peer(peer, program);
      if (start !== undefined) sides.push({ name: peer, rounds: theirs, start });
    }
    this.#record(program, await contest(program, this.#scale, sides));
  }

  /** Rounds of our side and of the peers: as the program says, fewer when a short run is running out of time. */
  #rounds({ name, rounds }: Program, programsLeft: number): [number, number] {
    const { isQuick, options, recorder } = this.#context;
    if (options.samples > 0) return [options.samples, options.samples];
    const leftMs = LIMITS.actorsQuickMsMax - (systemClock.nowMs() - this.#startMs);
    if (!isQuick || leftMs / programsLeft > LIMITS.actorsProgramMs) return roundsOf(rounds, this.#scale);
    recorder.note(`${name}: one round of each side, since the run was late`);
    return [1, 1];
  }

  #ours(program: Program): () => Performer {
    return () => new NodePerformer(OURS, program.name, this.#context.signal);
  }

  #peer(peer: PeerName, program: Program): (() => Performer) | undefined {
    const twins = this.#twins;
    const { signal } = this.#context;
    switch (peer) {
      case 'beam':
        return twins && ((): Performer => twins.start(program.name, program.workers ?? 1));
      case 'nact':
        return this.#hasNact ? () => new NodePerformer(NACT, program.name, signal) : undefined;
      case 'bare_js':
        return () => new NodePerformer(BARE, program.name, signal);
    }
  }

  #record({ metrics }: Program, standings: Standings): void {
    const { recorder } = this.#context;
    for (const [metric, unit] of Object.entries(metrics)) {
      for (const [side, medians] of standings) {
        if (side === 'ours') recorder.metric(metric, medians.get(metric), unit);
        else recorder.peer(metric, side, medians.get(metric));
      }
    }
  }
}

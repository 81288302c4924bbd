/**
 * Do those who behave notice those who do not? The latency of many conversations on one node, by turns alone and beside somebody who
 * does not do his half:
 *
 *   slow_reader      acknowledges and does not read        bytes in its socket, then its connection ends
 *   prekey_hammer    wants all pre-keys of somebody        bundles of one target, then APP_RATE_LIMITED
 *   group_flood      a thousand messages a second          messages to groups, then APP_RATE_LIMITED
 *   silent_device    never acknowledges                    a window, then its inbox, then APP_INBOX_FULL to who writes to it
 *
 * A turn of nobody comes before each, so what only time or the neighbours of the machine change falls on both; what an offender adds is the
 * median of those differences. What a member may send to a group is a cost of its own: `group_member` sends that to the same group, and
 * the flood has its turn right after it. Every message of those who behave is checked, with and without offenders.
 *
 * With `--control unbounded` the bound on messages to groups is lifted, and the run must see that more gets through than it allows.
 */

import { join } from 'node:path';
import { AdminClient } from '../../bin/operator/client.ts';
import { BenchError } from '../errors.ts';
import { LoadProcesses, type LoadResult } from '../harness/load-process.ts';
import { medianOf } from '../harness/median.ts';
import { readProcessMemory } from '../harness/memory.ts';
import { describeDifference, medianDifference } from '../harness/paired.ts';
import { pairsOfPhones } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { Threshold } from '../harness/report.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServerUnder, type Generators } from '../harness/server-under-load.ts';
import { BYTES_OPTION, WORKERS_OPTION } from '../harness/shared-options.ts';
import { LIMITS } from '../limits.ts';
import { LAWFUL, OFFENDERS, type GuestName, type Offence, type OffenderName } from '../offenders/control.ts';
import { OffenderProcess } from '../offenders/process.ts';

type OptionName = 'pairs' | 'rate' | 'members' | 'inbox' | 'samples' | 'window' | 'bytes' | 'workers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  pairs: { default: 100, min: 1, max: 5_000, help: 'conversations of those who behave' },
  rate: { default: 2_000, min: 1, max: 100_000, help: 'their messages a second' },
  members: { default: 1_024, quick: 256, min: 2, max: 1_024, help: 'members of the group that is flooded' },
  inbox: { default: 5_000, min: 1_000, max: 1_000_000, help: 'messages that an inbox holds; operators may change it' },
  samples: { default: 7, quick: 4, min: 1, max: 100, help: 'times that everybody has a turn' },
  window: { default: 5_000, quick: 1_500, min: 100, max: 60_000, help: 'milliseconds of a turn that are measured' },
  bytes: BYTES_OPTION,
  workers: WORKERS_OPTION,
};

type Context = WorkloadContext<OptionName>;

/** A block of numbers; the data directory is new, so any number is free. */
const PHONE_PREFIX = '+4918';
/** From the beginning of an offence to its window: what comes of it is there by then. */
const WARM_UP_MS = 300;
const WARM_UP_TURNS = 2;

/** The planted fault, and what it does: the larger one of each pair first, since neither may exceed the other. */
const UNBOUNDED = 'unbounded';
/** Turns in which a flood that was slow may still get through more than it may, before the fault counts as not seen. */
const MORE_FLOODS_MAX = 12;
const UNBOUNDED_LIMITS = { groupMessagesBurstMax: 400, groupMessagesPerSecondMax: 200 };

/** What is promised of each: that it meets its bound, that it is told so, and that nobody else notices. */
const THRESHOLDS: readonly Threshold[] = OFFENDERS.flatMap((name): Threshold[] => [
  { metric: `${name}_added_p99_ms`, bound: 'at-most', value: 5 },
  { metric: `${name}_refused`, bound: 'at-least', value: 1 },
  { metric: `${name}_of_bound`, bound: 'at-most', value: 1 },
]);

/** What the flood adds to what its bound allows. */
const BEYOND = 'group_flood_beyond_member_p99_ms';

export function createOffendersWorkload(): Workload<OptionName> {
  return {
    name: 'offenders',
    question: 'whether those who behave notice a slow reader, a flood, a hammer or a device that never acknowledges',
    options: OPTIONS,
    controls: [UNBOUNDED],
    thresholds: [
      ...THRESHOLDS,
      { metric: BEYOND, bound: 'at-most', value: 5 },
      { metric: 'server_extra_bytes_max', bound: 'at-most', value: 134_217_728 },
    ],
    run: (context) => run(context),
  };
}

function run(context: Context): Promise<void> {
  const { options, signal } = context;
  const load = new LoadProcesses(1, signal);
  const offenders = new OffenderProcess(signal);
  const both: Generators = {
    get pids() {
      return load.pids;
    },
    takeCode: (phone, code) =>
      phone.startsWith(PHONE_PREFIX) ? offenders.takeCode(phone, code) : load.takeCode(phone, code),
    stop: () => Promise.all([load.stop(), offenders.stop()]),
  };
  return withServerUnder(context, { workers: options.workers }, both, (server) =>
    new Offences(context, server, load, offenders).run(),
  );
}

/** Nobody offends in a turn of `calm`, which is what the turns up to the next one are compared with. */
type Turn = GuestName | 'calm';
const TURNS: readonly Turn[] = [
  ...(['calm', 'slow_reader', 'calm', 'prekey_hammer', 'calm', LAWFUL, 'group_flood'] as const),
  ...(['calm', 'silent_device'] as const),
];

/** Of the turns of one, in their order. */
interface Figures {
  readonly p50Ms: number[];
  readonly p99Ms: number[];
  /** The latter above that of the turn of nobody before it. */
  readonly addedMs: number[];
}

function noFigures(): Figures {
  return { p50Ms: [], p99Ms: [], addedMs: [] };
}

class Offences {
  readonly #context: Context;
  readonly #server: ServerProcess;
  readonly #load: LoadProcesses;
  readonly #offenders: OffenderProcess;
  readonly #figures: Readonly<Record<Turn, Figures>> = {
    calm: noFigures(),
    slow_reader: noFigures(),
    prekey_hammer: noFigures(),
    group_member: noFigures(),
    group_flood: noFigures(),
    silent_device: noFigures(),
  };
  /** At p99, of the last turn of nobody, and of the last one of the lawful member. */
  #calmMs = Number.NaN;
  #lawfulMs = Number.NaN;
  readonly #beyondMs: number[] = [];
  readonly #offences: Map<GuestName, Offence> = new Map();
  /** The most that the server has had of its own memory. */
  #bytesMax = 0;

  constructor(context: Context, server: ServerProcess, load: LoadProcesses, offenders: OffenderProcess) {
    this.#context = context;
    this.#server = server;
    this.#load = load;
    this.#offenders = offenders;
  }

  async run(): Promise<void> {
    const { options, progress } = this.#context;
    progress('starting the server');
    const url = await this.#server.started();
    const { control } = this.#context;
    await this.#setLimits({ inboxCountMax: options.inbox, ...(control === UNBOUNDED && UNBOUNDED_LIMITS) });
    progress(`registering ${options.pairs * 2} who behave`);
    await this.#load.openPairs(url, pairsOfPhones(options.pairs), options.bytes, false);
    progress(`registering the offenders and a group of ${options.members}`);
    await this.#offenders.open(url, PHONE_PREFIX, options.members);
    // What the first messages make and compile belongs to nobody.
    for (let turn = 0; turn < WARM_UP_TURNS; turn++) await this.#measure();
    const beforeBytes = readProcessMemory(this.#server.pid)?.anonymousBytes ?? Number.NaN;
    for (let round = 1; round <= options.samples; round++) {
      for (const turn of TURNS) {
        progress(`round ${round} of ${options.samples}: ${turn.replace('_', ' ')}`);
        await this.#turn(turn);
      }
    }
    // A machine with much else to do takes longer to get through what it may not.
    for (let more = 0; control === UNBOUNDED && more < MORE_FLOODS_MAX && !this.#isExceeded(); more++) {
      progress('group flood, once more');
      await this.#turn('group_flood');
    }
    this.#record();
    if (control === UNBOUNDED) this.#judgeControl();
    this.#context.recorder.metric('server_extra_bytes_max', this.#bytesMax - beforeBytes, 'bytes');
  }

  /** As an operator does it. With the inbox of every day it would take a minute to fill one. */
  async #setLimits(limits: Readonly<Record<string, number>>): Promise<void> {
    const admin = await AdminClient.connect(join(this.#server.dataDirectory, 'admin.sock'), LIMITS.statisticsMsMax);
    try {
      for (const [name, value] of Object.entries(limits)) {
        await admin.request('limits.set', { name, value }, LIMITS.statisticsMsMax);
      }
    } finally {
      admin.close();
    }
  }

  async #turn(turn: Turn): Promise<void> {
    if (turn !== 'calm') await this.#offenders.begin(turn);
    const { delivery } = await this.#measure();
    if (turn !== 'calm') this.#offences.set(turn, await this.#offenders.end(turn));
    const p99Ms = delivery.percentileMs(99)!;
    if (turn === 'calm') this.#calmMs = p99Ms;
    if (turn === LAWFUL) this.#lawfulMs = p99Ms;
    const figures = this.#figures[turn];
    figures.p50Ms.push(delivery.percentileMs(50)!);
    figures.p99Ms.push(p99Ms);
    figures.addedMs.push(p99Ms - this.#calmMs);
    if (turn === 'group_flood') this.#beyondMs.push(p99Ms - this.#lawfulMs);
  }

  async #measure(): Promise<LoadResult> {
    const { options } = this.#context;
    const shape = { kind: 'open', ratePerSecond: options.rate } as const;
    const times = { warmUpMs: WARM_UP_MS, windowMs: options.window, drainMsMax: LIMITS.drainMsMax };
    const look = (): void => {
      this.#bytesMax = Math.max(this.#bytesMax, readProcessMemory(this.#server.pid)?.anonymousBytes ?? 0);
    };
    // Before what waited is taken away: most is kept at the end of a turn.
    return this.#load.run({ shape, ...times }, { begun: look, ended: look });
  }

  #record(): void {
    const { recorder } = this.#context;
    recorder.metric('p50_ms', medianOf(this.#figures.calm.p50Ms), 'ms');
    recorder.metric('p99_ms', medianOf(this.#figures.calm.p99Ms), 'ms');
    for (const name of [...OFFENDERS, LAWFUL] as const) {
      const { p50Ms, p99Ms, addedMs } = this.#figures[name];
      recorder.metric(`${name}_p50_ms`, medianOf(p50Ms), 'ms');
      recorder.metric(`${name}_p99_ms`, medianOf(p99Ms), 'ms');
      this.#recordDifference(`${name}_added_p99_ms`, addedMs);
      if (name !== LAWFUL) this.#recordOffence(name, this.#offences.get(name)!);
    }
    this.#recordDifference(BEYOND, this.#beyondMs);
  }

  #recordDifference(metric: string, differencesMs: readonly number[]): void {
    const { recorder } = this.#context;
    const difference = medianDifference(differencesMs);
    recorder.metric(metric, difference.median, 'ms');
    recorder.note(`${metric}: ${describeDifference(difference, 'ms', 1)}`);
  }

  #recordOffence(name: OffenderName, { attempts, accepted, allowed, refusals, cuts }: Offence): void {
    const { recorder } = this.#context;
    const refused = Object.values(refusals).reduce((sum, count) => sum + count, cuts);
    recorder.metric(`${name}_attempts`, attempts, 'op');
    recorder.metric(`${name}_refused`, refused, 'op');
    recorder.metric(`${name}_of_bound`, accepted / allowed, 'ratio');
    const codes = Object.entries(refusals).map(([code, count]) => `${code} ${count} times`);
    if (cuts > 0) codes.push(`cut off ${cuts} times`);
    recorder.note(`${name.replace('_', ' ')}: ${attempts} attempts; ${codes.join(', ')}`);
  }

  #isExceeded(): boolean {
    const { accepted, allowed } = this.#offences.get('group_flood')!;
    return accepted > allowed;
  }

  /** @throws {BenchError} BENCH_CONTROL when a bound that does not hold looks as if it did. */
  #judgeControl(): void {
    const { accepted, allowed } = this.#offences.get('group_flood')!;
    const figures = `${accepted} messages to the group got through where ${Math.round(allowed)} may`;
    if (!this.#isExceeded()) throw new BenchError('BENCH_CONTROL', `the bound was lifted, and ${figures}`);
    this.#context.recorder.note(`control: the bound was lifted, and it was seen: ${figures}`);
  }
}

/**
 * Generator processes, seen from the parent. They are processes of their own, so that the load does not share an event
 * loop or a garbage collector with anything, and so that their CPU use can be told from the server's.
 *
 * Read next: `../generator/control.ts` for what is said, `../generator/generator.ts` for who listens.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import type {
  BacklogPhones,
  BacklogShape,
  GeneratorCommand,
  GeneratorEvent,
  PairPhones,
} from '../generator/control.ts';
import type { LoadShape, RunResult } from '../generator/measured-run.ts';
import type { ReturnPlan, StormPlan, StormResult } from '../generator/storm-load.ts';
import { LIMITS } from '../limits.ts';
import { Child } from './child.ts';
import { systemClock, within } from './clock.ts';
import { mergeHistograms, type LatencyHistogram } from './histogram.ts';
import type { WorkloadOption } from './registry.ts';
import { SecondSum, type SecondReport } from './second-counts.ts';

const ENTRY: string = fileURLToPath(new URL('../generator/main.js', import.meta.url));

/** What a phase measured in all generators together. */
export interface LoadResult {
  /** Messages per second: the sum of the generators. */
  readonly acceptedPerSecond: number;
  readonly completedPerSecond: number;
  /** Counted from the intended time; `raw` from the write. */
  readonly delivery: LatencyHistogram;
  readonly raw: LatencyHistogram;
  readonly receipt: LatencyHistogram;
  readonly sending: LatencyHistogram;
  /** Of all generators together, in cores; and of the busiest one. */
  readonly cpuCores: number;
  readonly cpuCoresMax: number;
  /** 99th percentile of the lateness of the event loop, of the generator where it is worst. */
  readonly loopLagMs: number;
}

/** What a drain measured in all generators together. */
export interface DrainedLoad {
  readonly messages: number;
  readonly drainMs: number;
  readonly receiptsMs: number;
  readonly first: LatencyHistogram;
  readonly last: LatencyHistogram;
  readonly cpuCores: number;
  readonly cpuCoresMax: number;
}

/** Called at the ends of a phase's window. */
export interface WindowWatch {
  readonly begun: () => void;
  readonly ended: () => void;
}

/** Told what each second of a phase was, when all generators have said it. */
export type WatchSecond = (index: number, sum: SecondSum) => void;

/** A phase for all generators: the rate of an open loop is shared by them. */
export interface LoadPlan {
  readonly shape:
    { readonly kind: 'closed'; readonly inFlight: number } | { readonly kind: 'open'; readonly ratePerSecond: number };
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly drainMsMax: number;
}

/** The option of workloads whose pairs can be driven by either generator. */
export const NATIVE_OPTION: WorkloadOption = {
  default: 1,
  min: 0,
  max: 1,
  help: '1 runs the load in C where a compiler is installed, 0 in TypeScript',
};

/** Which generators a figure was measured with: what they take from the machine is missing to the server. */
export function sayGenerators(load: LoadProcesses): string {
  return load.isNative ? 'the load ran in C' : 'the load ran in TypeScript, which takes more of the machine';
}

/** Where an XMPP server listens. */
export interface XmppAddress {
  readonly host: string;
  readonly port: number;
}

/** One generator process. */
class GeneratorProcess {
  readonly #process: ChildProcess;
  readonly #child: Child;
  #listen: (event: GeneratorEvent) => void = () => undefined;

  constructor(index: number) {
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
    this.#process = fork(ENTRY, [], { stdio: [...stdio], serialization: 'advanced', execArgv: [] });
    this.#child = new Child(this.#process, `generator ${index}`, 'BENCH_CHILD');
    this.#process.on('message', (event: GeneratorEvent) => this.#listen(event));
  }

  get pid(): number {
    return this.#child.pid;
  }

  tell(command: GeneratorCommand): void {
    if (this.#process.connected) this.#process.send(command);
  }

  /** Gives a command and waits for the event that answers it. Events on the way go to `watch`. */
  request<Kind extends GeneratorEvent['kind']>(
    command: GeneratorCommand,
    kind: Kind,
    watch?: (event: GeneratorEvent) => void,
  ): Promise<Extract<GeneratorEvent, { kind: Kind }>> {
    const answered = new Promise<Extract<GeneratorEvent, { kind: Kind }>>((resolve, reject) => {
      this.#listen = (event) => {
        if (event.kind === 'failed') reject(new BenchError(event.code, event.detail));
        else if (event.kind === kind) resolve(event as Extract<GeneratorEvent, { kind: Kind }>);
        else watch?.(event);
      };
    });
    this.tell(command);
    return Promise.race([answered, this.#child.gone]);
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.connected && this.#process.disconnect(), LIMITS.childStopMsMax);
  }
}

/** All generators of a run, driven as one. */
export class LoadProcesses {
  readonly #generators: readonly GeneratorProcess[];
  readonly #signal: AbortSignal;
  /** Which generator registers a phone number. */
  readonly #ownerOfPhone: Map<string, GeneratorProcess> = new Map();
  #nativePids: readonly number[] = [];

  /** Starts `count` processes. Stop them, whatever happens. */
  constructor(count: number, signal: AbortSignal) {
    this.#generators = Array.from({ length: count }, (_, index) => new GeneratorProcess(index));
    this.#signal = signal;
  }

  /** Registers and logs in all accounts. Both ends of a pair stay in one process, so that they share a clock. */
  async openPairs(
    url: string,
    pairs: readonly PairPhones[],
    ciphertextBytes: number,
    native: boolean,
    parallelMax: number = LIMITS.openingParallelMax,
  ): Promise<void> {
    const shares = this.#generators.map((_, index) =>
      pairs.filter((_pair, pair) => pair % this.#generators.length === index),
    );
    await this.#openAll((generator, index) => {
      for (const { sender, recipient } of shares[index]!) {
        this.#ownerOfPhone.set(sender, generator).set(recipient, generator);
      }
      return { kind: 'open-pairs', url, pairs: shares[index]!, ciphertextBytes, native, parallelMax };
    });
  }

  /** Hands a verification code to the generator that waits for it. */
  takeCode(phone: string, code: string): void {
    this.#ownerOfPhone.get(phone)?.tell({ kind: 'code', phone, code });
  }

  /** Opens the connections of the echo ceiling, the same number in each process. */
  async openEcho(url: string, connections: number, messageBytes: number): Promise<void> {
    const share = Math.max(1, Math.round(connections / this.#generators.length));
    await this.#openAll(() => ({ kind: 'open-echo', url, connections: share, messageBytes }));
  }

  /** Opens the connections of the relay ceiling. Both ends of a pair stay in one process. */
  async openRelay(url: string, pairs: number, ciphertextBytes: number, native: boolean): Promise<void> {
    const { length: count } = this.#generators;
    const numbers = Array.from({ length: pairs }, (_, index) => index);
    await this.#openAll((_, index) => {
      const share = numbers.filter((number) => number % count === index);
      return { kind: 'open-relay', url, pairs: share, ciphertextBytes, native };
    });
  }

  /** Logs pairs in to an XMPP server that has their accounts. Both ends of a pair stay in one process. */
  async openXmpp(server: XmppAddress, pairs: number, bodyBytes: number): Promise<void> {
    const { length: count } = this.#generators;
    const numbers = Array.from({ length: pairs }, (_, index) => index);
    await this.#openAll((_, index) => {
      const share = numbers.filter((number) => number % count === index);
      return { kind: 'open-xmpp', host: server.host, port: server.port, pairs: share, bodyBytes };
    });
  }

  /** Logs `clients` in to an XMPP server, so many at a time. Returns the milliseconds that it took. */
  async openXmppClients(
    { host, port }: XmppAddress,
    clients: number,
    parallel: number,
    sources: readonly string[],
  ): Promise<number> {
    const { length: count } = this.#generators;
    const firstOf = (index: number): number => Math.floor((clients * index) / count);
    const parallelMax = Math.max(1, Math.round(parallel / count));
    const beganMs = systemClock.nowMs();
    await this.#openAll((_, index) => {
      const first = firstOf(index);
      return { kind: 'open-xmpp-clients', host, port, first, count: firstOf(index + 1) - first, parallelMax, sources };
    });
    return systemClock.nowMs() - beganMs;
  }

  /** Registers all accounts of `offline`; its devices then go away. Senders and their devices stay in one process. */
  async openBacklogs(url: string, phones: BacklogPhones, shape: BacklogShape): Promise<void> {
    const { length: count } = this.#generators;
    const share = (all: readonly string[], index: number): string[] => all.filter((_, at) => at % count === index);
    await this.#openAll((generator, index) => {
      const own = { devices: share(phones.devices, index), senders: share(phones.senders, index) };
      for (const phone of [...own.devices, ...own.senders]) this.#ownerOfPhone.set(phone, generator);
      return { kind: 'open-backlogs', url, phones: own, shape };
    });
  }

  /** Sends all that is to wait. */
  async fillBacklogs(): Promise<{ readonly messages: number; readonly fillMs: number }> {
    const late = (): Error => new BenchError('BENCH_CHILD', `not filled after ${LIMITS.fillMsMax} ms`);
    const requests = this.#generators.map((generator) => generator.request({ kind: 'fill' }, 'filled'));
    const filled = await within(Promise.all(requests), LIMITS.fillMsMax, late, this.#signal);
    const messages = filled.reduce((sum, each) => sum + each.messages, 0);
    return { messages, fillMs: Math.max(...filled.map((each) => each.fillMs)) };
  }

  /** Brings all devices back. The slowest generator decides. */
  async drainBacklogs(): Promise<DrainedLoad> {
    const totalMs = LIMITS.fillMsMax + 2 * LIMITS.drainMsMax;
    const late = (): Error => new BenchError('BENCH_CHILD', `not drained after ${totalMs} ms`);
    const requests = this.#generators.map((generator) => generator.request({ kind: 'drain' }, 'drained'));
    const results = (await within(Promise.all(requests), totalMs, late, this.#signal)).map(({ result }) => result);
    const cores = results.map(({ cpuMs, drainMs, receiptsMs }) => cpuMs / (drainMs + receiptsMs));
    return {
      messages: results.reduce((sum, { messages }) => sum + messages, 0),
      drainMs: Math.max(...results.map(({ drainMs }) => drainMs)),
      receiptsMs: Math.max(...results.map(({ receiptsMs }) => receiptsMs)),
      first: mergeHistograms(results.map(({ first }) => first)),
      last: mergeHistograms(results.map(({ last }) => last)),
      cpuCores: cores.reduce((total, each) => total + each, 0),
      cpuCoresMax: Math.max(...cores),
    };
  }

  async #openAll(command: (generator: GeneratorProcess, index: number) => GeneratorCommand): Promise<void> {
    const requests = this.#generators.map((generator, index) => generator.request(command(generator, index), 'opened'));
    const late = (): Error =>
      new BenchError('BENCH_REGISTRATION', `not all connections open after ${LIMITS.openingMsMax} ms`);
    const opened = await within(Promise.all(requests), LIMITS.openingMsMax, late, this.#signal);
    this.#nativePids = opened.flatMap(({ nativePid }) => nativePid ?? []);
  }

  /** Whether every generator runs its load in C. */
  get isNative(): boolean {
    return this.#nativePids.length === this.#generators.length;
  }

  /**
   * Carries out one phase in all generators.
   *
   * @param watch - `begun` is called when the last window has begun, `ended` when the first has ended.
   * @param second - Called once a second.
   */
  async run(plan: LoadPlan, watch?: WindowWatch, second?: WatchSecond): Promise<LoadResult> {
    const { length: count } = this.#generators;
    const [edges, seconds] = [countEdges(count, watch), addSeconds(count, second)];
    const listen = (event: GeneratorEvent): void => (event.kind === 'second' ? seconds(event.second) : edges(event));
    const runs = this.#generators.map(async (generator, index) => {
      const command = { kind: 'run', plan: { ...plan, shape: shareOf(plan.shape, index, count) } } as const;
      return (await generator.request(command, 'result', listen)).result;
    });
    const totalMs = plan.warmUpMs + plan.windowMs + plan.drainMsMax + LIMITS.drainMsMax;
    const late = (): Error => new BenchError('BENCH_CHILD', `no result after ${totalMs} ms`);
    return combine(await within(Promise.all(runs), totalMs, late, this.#signal));
  }

  /** Registers and logs in clients for storms. @param sources - Addresses to connect from. */
  async openClients(url: string, phones: readonly string[], sources: readonly string[]): Promise<void> {
    const { length: count } = this.#generators;
    await this.#openAll((generator, index) => {
      const share = phones.filter((_phone, at) => at % count === index);
      for (const phone of share) this.#ownerOfPhone.set(phone, generator);
      return {
        kind: 'open-clients',
        url,
        phones: share,
        sources: sources.filter((_source, at) => at % count === index),
      };
    });
  }

  /** Connects `count` clients for storms to an echo server. */
  async openBareClients(url: string, count: number, sources: readonly string[]): Promise<void> {
    const { length } = this.#generators;
    await this.#openAll((_generator, index) => {
      const share = Math.floor((count + index) / length);
      const own = sources.filter((_source, at) => at % length === index);
      return { kind: 'open-bare-clients', url, count: share, sources: own };
    });
  }

  /** Registers and logs in the members of a group in the first process, and creates the group. */
  async openGroup(url: string, phones: readonly string[], writers: number, ciphertextBytes: number): Promise<void> {
    const [generator] = this.#generators;
    for (const phone of phones) this.#ownerOfPhone.set(phone, generator!);
    await this.#openAll(() => ({ kind: 'open-group', url, phones, writers, ciphertextBytes }));
  }

  /** Cuts every client and waits until all are back. */
  async storm(plan: StormPlan): Promise<StormResult[]> {
    const runs = this.#generators.map(async (generator) => {
      return (await generator.request({ kind: 'storm', plan }, 'storm-over')).result;
    });
    const totalMs = plan.stormMsMax + LIMITS.drainMsMax;
    const late = (): Error => new BenchError('BENCH_CHILD', `no result after ${totalMs} ms`);
    return within(Promise.all(runs), totalMs, late, this.#signal);
  }

  /** Cuts every client; they stay away. */
  async depart(): Promise<void> {
    const requests = this.#generators.map((generator) => generator.request({ kind: 'depart' }, 'departed'));
    const late = (): Error => new BenchError('BENCH_CHILD', `not departed after ${LIMITS.drainMsMax} ms`);
    await within(Promise.all(requests), LIMITS.drainMsMax, late, this.#signal);
  }

  /** Brings every client back, so many at a time, and waits until all are there. */
  async comeBack({ parallelMax, returnMsMax }: ReturnPlan): Promise<StormResult[]> {
    const plan = { parallelMax: Math.max(1, Math.round(parallelMax / this.#generators.length)), returnMsMax };
    const runs = this.#generators.map(async (generator) => {
      return (await generator.request({ kind: 'come-back', plan }, 'storm-over')).result;
    });
    const totalMs = returnMsMax + LIMITS.drainMsMax;
    const late = (): Error => new BenchError('BENCH_CHILD', `no result after ${totalMs} ms`);
    return within(Promise.all(runs), totalMs, late, this.#signal);
  }

  /** Process ids of the generators, and of those in C that they have started. */
  get pids(): readonly number[] {
    return [...this.#generators.map(({ pid }) => pid), ...this.#nativePids];
  }

  /** Ends all processes. */
  async stop(): Promise<void> {
    await Promise.all(this.#generators.map((generator) => generator.stop()));
  }
}

function shareOf(shape: LoadPlan['shape'], index: number, count: number): LoadShape {
  return shape.kind === 'closed' ? shape : { ...shape, index, count };
}

function countEdges(count: number, watch: WindowWatch | undefined): (event: GeneratorEvent) => void {
  let begun = 0;
  let ended = 0;
  return ({ kind }) => {
    if (kind === 'window-begun' && ++begun === count) watch?.begun();
    if (kind === 'window-ended' && ++ended === 1) watch?.ended();
  };
}

function addSeconds(count: number, watch: WatchSecond | undefined): (report: SecondReport) => void {
  const sums: Map<number, SecondSum> = new Map();
  return (report) => {
    const sum = sums.get(report.index) ?? new SecondSum();
    sums.set(report.index, sum);
    sum.add(report);
    if (sum.parts < count) return;
    sums.delete(report.index);
    watch?.(report.index, sum);
  };
}

/** Adds up what the generators measured: rates and CPU are summed, histograms merged, the worst lag kept. */
function combine(results: readonly RunResult[]): LoadResult {
  const sum = (part: (result: RunResult) => number): number =>
    results.reduce((total, result) => total + part(result), 0);
  const cores = results.map(({ cpuMs, windowMs }) => cpuMs / windowMs);
  return {
    acceptedPerSecond: sum(({ accepted, windowMs }) => (accepted * 1000) / windowMs),
    completedPerSecond: sum(({ completed, windowMs }) => (completed * 1000) / windowMs),
    delivery: mergeHistograms(results.map(({ delivery }) => delivery)),
    raw: mergeHistograms(results.map(({ raw }) => raw)),
    receipt: mergeHistograms(results.map(({ receipt }) => receipt)),
    sending: mergeHistograms(results.map(({ sending }) => sending)),
    cpuCores: cores.reduce((total, share) => total + share, 0),
    cpuCoresMax: Math.max(...cores),
    loopLagMs: Math.max(...results.map(({ loopLagMs }) => loopLagMs)),
  };
}

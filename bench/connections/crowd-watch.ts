/**
 * Looks at a crowd once a second: how many are there, what servers and generators use, how late messages are, what of the machine is short. Shows it on the
 * panel, keeps it for the charts, and ends a run that would use up the memory.
 *
 * Who comes and what they are asked for is `crowd.ts`; what the generators count, `crowd-count.ts`.
 */

import { connectionsOfProcess } from '../harness/descriptors.ts';
import { systemClock } from '../harness/clock.ts';
import { readAvailableBytes, readKernelMemory } from '../harness/memory.ts';
import type { Recorder, Unit } from '../harness/report.ts';
import type { CrowdCount, Histograms } from './crowd-count.ts';
import { MachineWatch } from './machine-pressure.ts';
import { formatPanelLine, type Panel, type PanelView } from './panel.ts';
import { PressureLog } from './pressure.ts';
import { readMachineCpuMs, readProcessUse } from '../harness/resources.ts';
import type { GroupUse, ProcessGroup } from '../harness/process-group.ts';

/** What is looked at, and who is told. */
export interface CrowdWatched {
  readonly count: CrowdCount;
  readonly servers: ProcessGroup;
  readonly generators: ProcessGroup;
  readonly target: number;
  readonly phase: () => string;
  /** Available memory below which the run ends itself. */
  readonly memoryFloorBytes: number;
  readonly recorder: Recorder;
  readonly panel: Panel;
  /** For who has no terminal of the panel's kind. */
  readonly progress: ((text: string) => void) | undefined;
  /** Memory is nearly used up. */
  readonly onMemoryLow: (detail: string) => void;
}

/** What all use at a moment. */
export interface CrowdUse {
  readonly atMs: number;
  /** Of the whole machine; `undefined` where nobody tells. */
  readonly machineCpuMs: number | undefined;
  /** Of this process, which looks and counts. */
  readonly ownCpuMs: number;
  readonly server: GroupUse;
  readonly generators: GroupUse;
}

interface Moment extends CrowdUse {
  readonly live: number;
  readonly sent: number;
}

/** Phases in which the machine is asked for all that it has; see `PressureLog`. */
const WATCHED_PHASES = ['connecting', 'holding'] as const;

export class CrowdWatch {
  readonly #watched: CrowdWatched;
  readonly #machine: MachineWatch = new MachineWatch(() => systemClock.nowMs());
  readonly #pressure: ReadonlyMap<string, PressureLog>;
  readonly #beganMs: number = systemClock.nowMs();
  #before: Moment | undefined = undefined;
  #connectedMax = 0;

  constructor(watched: CrowdWatched) {
    this.#watched = watched;
    this.#pressure = new Map(WATCHED_PHASES.map((phase) => [phase, new PressureLog(phase)]));
  }

  /** Most connections that there were at a time. */
  get connectedMax(): number {
    return this.#connectedMax;
  }

  use(): CrowdUse {
    const { servers, generators } = this.#watched;
    return {
      atMs: systemClock.nowMs(),
      machineCpuMs: readMachineCpuMs(),
      ownCpuMs: readProcessUse(process.pid)?.cpuMs ?? 0,
      server: servers.use(),
      generators: generators.use(),
    };
  }

  /** Tells the report what gave out. */
  conclude(): void {
    for (const log of this.#pressure.values()) this.#watched.recorder.gaveOut(log.findings());
  }

  look(): void {
    const { count } = this.#watched;
    const now: Moment = Object.assign(this.use(), { live: count.sum('live'), sent: count.sum('sent') });
    const before = this.#before;
    this.#before = now;
    this.#connectedMax = Math.max(this.#connectedMax, now.live);
    this.#guardMemory();
    if (before === undefined) return;
    const view = this.#viewOf(before, now);
    this.#chart(view);
    this.#watched.panel.show(view);
    this.#watched.progress?.(formatPanelLine(view));
  }

  #viewOf(before: Moment, now: Moment): PanelView {
    const { count, target, phase } = this.#watched;
    const elapsedMs = now.atMs - before.atMs;
    const second = count.takeSecond();
    const cores = (of: (use: CrowdUse) => GroupUse): number => (of(now).cpuMs - of(before).cpuMs) / elapsedMs;
    const [serverCores, generatorCores] = [cores(({ server }) => server), cores(({ generators }) => generators)];
    this.#notePressure(now, serverCores + generatorCores, second);
    return {
      phase: phase(),
      elapsedS: (now.atMs - this.#beganMs) / 1000,
      connected: now.live,
      target,
      perSecond: Math.max(0, ((now.live - before.live) * 1000) / elapsedMs),
      messagesPerSecond: ((now.sent - before.sent) * 1000) / elapsedMs,
      p50Ms: second.delivery.percentileMs(50),
      p99Ms: second.delivery.percentileMs(99),
      p999Ms: second.delivery.percentileMs(99.9),
      serverCores,
      generatorCores,
      serverBytes: now.server.bytes,
      generatorBytes: now.generators.bytes,
      availableBytes: readAvailableBytes(),
      errors: errorsOf(count),
    };
  }

  #notePressure({ atMs, live: connected }: Moment, ownCores: number, { delivery, sending }: Histograms): void {
    const { count, phase, memoryFloorBytes } = this.#watched;
    const machine = this.#machine.look();
    this.#pressure.get(phase())?.note({
      ...machine,
      ownCores,
      atS: (atMs - this.#beganMs) / 1000,
      connected,
      availableBytes: readAvailableBytes(),
      memoryFloorBytes,
      fullestNode: count.most('live'),
      connectionsOfNodeMax: connectionsOfProcess(),
      waiting: count.sum('waiting'),
      p99Ms: delivery.percentileMs(99),
      lateMs: sending.percentileMs(99),
    });
  }

  #chart(view: PanelView): void {
    const { recorder } = this.#watched;
    const point = (chart: string, name: string, unit: Unit, value: number | undefined): void =>
      recorder.point(chart, name, unit, view.elapsedS, value);
    point('Connections', 'connected', 'client', view.connected);
    point('Memory', 'servers', 'bytes', view.serverBytes);
    point('Memory', 'generators', 'bytes', view.generatorBytes);
    point('Memory', 'kernel', 'bytes', kernelBytes());
    if (view.phase === 'holding') {
      point('Latency of a message', 'p50', 'ms', view.p50Ms);
      point('Latency of a message', 'p99', 'ms', view.p99Ms);
      point('Latency of a message', 'p99.9', 'ms', view.p999Ms);
    }
    point('CPU', 'servers (cores)', 'cores', view.serverCores);
    point('CPU', 'generators (cores)', 'cores', view.generatorCores);
  }

  #guardMemory(): void {
    const { memoryFloorBytes, onMemoryLow } = this.#watched;
    const available = readAvailableBytes();
    if (available === undefined || available >= memoryFloorBytes) return;
    onMemoryLow(`${Math.round(available / 2 ** 20)} MiB are left, with ${this.#connectedMax} connections`);
  }
}

/** What went wrong, by cause. */
export function errorsOf(count: CrowdCount): Record<string, number> {
  const names = ['deferred', 'unexpected', 'duplicates', 'gaps'] as const;
  const counted = names.map((name) => [name, count.sum(name)] as const).filter(([, value]) => value > 0);
  return { ...Object.fromEntries(counted), ...count.closes() };
}

/** The kernel's own for sockets, both ends. */
export function kernelBytes(): number {
  const kernel = readKernelMemory();
  return kernel === undefined ? Number.NaN : kernel.slabBytes + kernel.tcpBufferBytes;
}

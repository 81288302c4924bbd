/**
 * `blindbeam start --processes N`: N nodes of one machine, each a process with its own descriptors, behind a range of ports.
 *
 *   this process       watches; holds no connection
 *     ├── node 0       --port P      --data DIR/process-00
 *     ├── node 1       --port P+1    --data DIR/process-01
 *     └── …
 *
 * A process may have a bounded number of descriptors, which its worker threads share and often nobody may raise: more
 * connections than that need more processes. Every node is complete and has accounts of its own; whoever stands before them
 * (a load balancer, the client's list of addresses) decides by number which node somebody belongs to. Nodes that are one
 * service are a cluster, and are told so by the cluster's settings; without these, messages do not go from one to another.
 *
 * A node that ends is started again, each time after a longer pause; one that ends again and again ends all. What nodes
 * log goes through, each line with the number of its process. Read next: `../main.ts`, which is one node.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock, type Clock, type Logger } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';

export interface ProcessesPlan {
  readonly count: number;
  readonly port: number;
  /** Directory under which each has its own. */
  readonly data: string;
  /** Arguments after the verb, of all nodes alike. */
  readonly argv: readonly string[];
  /** Bound of connections that was given for one node. */
  readonly connections: number;
}

export interface ProcessesIo {
  readonly log: Logger;
  readonly write: (line: string) => void;
  /** The program and its arguments up to the verb. */
  readonly command: readonly [string, ...string[]];
  readonly clock?: Pick<Clock, 'setTimer' | 'monotonicMs'>;
}

/** Where a node of the range is, and with which directory: what is added to the arguments of all. */
export function argumentsOf({ argv, port, data }: ProcessesPlan, index: number): string[] {
  const directory = join(data, `process-${String(index).padStart(2, '0')}`);
  const own = { processes: '1', port: String(port + index), data: directory, 'metrics-port': '0' };
  return ['start', ...argv, ...Object.entries(own).flatMap(([name, value]) => [`--${name}`, value])];
}

/**
 * Flags of V8 for each of `count` nodes. Where there are more nodes than processors its helpers do harm: a collection ends when the
 * last of them has, and each waits for a processor by itself, 2 to 3 s where fifty-two nodes shared two.
 */
export function flagsOfNodes(count: number, processors: number): string[] {
  return count > processors ? ['--single-threaded-gc'] : [];
}

/** The hard limit of open files of this process; `Infinity` where there is none, or it cannot be read. */
export function readDescriptorLimit(read: () => string = () => readFileSync('/proc/self/limits', 'latin1')): number {
  try {
    const [, hard = ''] = /^Max open files\s+\S+\s+(\S+)/m.exec(read()) ?? [];
    return /^\d+$/.test(hard) ? Number(hard) : Infinity;
  } catch {
    return Infinity;
  }
}

/** How many connections a node may have: what it was given, as far as its descriptors go. */
export function connectionsOfNode(given: number, descriptors: number): number {
  return Math.max(1, Math.min(given, descriptors - LIMITS.descriptorsReserved));
}

/** One place in the range, whatever process fills it. */
interface Seat {
  readonly index: number;
  child: ChildProcess | undefined;
  isServing: boolean;
  /** Ends without having served for a while. */
  failures: number;
  startedMs: number;
}

export class Processes {
  readonly #plan: ProcessesPlan;
  readonly #io: ProcessesIo;
  readonly #clock: Pick<Clock, 'setTimer' | 'monotonicMs'>;
  readonly #seats: readonly Seat[];
  #isStopping = false;
  #nextStart = 0;
  #status = 0;
  #ended: (status: number) => void = () => undefined;
  /** Resolves when all have ended: 0 if they were asked to. */
  readonly ended: Promise<number>;

  constructor(plan: ProcessesPlan, io: ProcessesIo) {
    this.#plan = plan;
    this.#io = io;
    this.#clock = io.clock ?? systemClock;
    this.ended = new Promise((resolve) => (this.#ended = resolve));
    const seat = (index: number): Seat => ({ index, child: undefined, isServing: false, failures: 0, startedMs: 0 });
    this.#seats = Array.from({ length: plan.count }, (_, index) => seat(index));
  }

  /** Starts the first few; each that serves, or fails, lets the next one begin: a start takes most of a second of a core. */
  start(): void {
    for (let count = 0; count < LIMITS.processesStartingMax; count++) this.#startNext();
  }

  /** Passes a signal on to every node. */
  signal(signal: NodeJS.Signals): void {
    for (const { child } of this.#seats) child?.kill(signal);
  }

  /** Ends every node in order. */
  stop(): void {
    this.#isStopping = true;
    this.signal('SIGTERM');
    this.#endIfAlone();
  }

  #startNext(): void {
    const seat = this.#seats[this.#nextStart];
    if (seat === undefined || this.#isStopping) return;
    this.#nextStart += 1;
    this.#begin(seat);
  }

  #begin(seat: Seat): void {
    const [program, ...first] = this.#io.command;
    const { connections } = this.#plan;
    const bound = connectionsOfNode(connections, readDescriptorLimit());
    const argv = [...first, ...argumentsOf(this.#plan, seat.index), '--connections', String(bound)];
    // In a process group of its own: Ctrl-C is for this process, which then stops the nodes in order.
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    seat.child = child;
    seat.startedMs = this.#clock.monotonicMs();
    createInterface({ input: child.stdout! }).on('line', (line) => this.#heard(seat, line));
    child.once('error', (error) => this.#io.log.error('process_unstarted', { reason: error.message }));
    child.once('close', (status, signal) => this.#gone(seat, status, signal));
  }

  #heard(seat: Seat, line: string): void {
    if (!seat.isServing && line.includes('node_started')) this.#serves(seat);
    if (line === '') return;
    this.#io.write(line.startsWith('{') ? `{"process":${seat.index},${line.slice(1)}\n` : `[${seat.index}] ${line}\n`);
  }

  #serves(seat: Seat): void {
    seat.isServing = true;
    this.#startNext();
    const serving = this.#seats.filter(({ isServing }) => isServing).length;
    if (serving === this.#seats.length) this.#io.log.info('processes_started', { processes: serving });
  }

  #gone(seat: Seat, status: number | null, signal: NodeJS.Signals | null): void {
    seat.child = undefined;
    const wasServing = seat.isServing;
    seat.isServing = false;
    if (this.#isStopping) return this.#endIfAlone();
    const livedMs = this.#clock.monotonicMs() - seat.startedMs;
    seat.failures = livedMs > LIMITS.processSettledMs ? 1 : seat.failures + 1;
    this.#io.log.error('process_ended', { process: seat.index, status, signal, failures: seat.failures });
    if (!wasServing) this.#startNext();
    if (seat.failures > LIMITS.processFailuresMax) return this.#giveUp(seat);
    const pauseMs = LIMITS.processPauseMs * 2 ** (seat.failures - 1);
    this.#clock.setTimer(pauseMs, () => {
      if (!this.#isStopping) this.#begin(seat);
    });
  }

  #giveUp({ index }: Seat): void {
    this.#io.log.error('processes_given_up', { process: index });
    this.#status = 1;
    this.stop();
  }

  #endIfAlone(): void {
    if (this.#seats.every(({ child }) => child === undefined)) this.#ended(this.#status);
  }
}

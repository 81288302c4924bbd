/**
 * What some processes use together, while they come and go. A process that ends keeps what it has used, so a sum of processor time never falls.
 */

import { readProcessMemory, type ProcessMemory } from './memory.ts';
import { readProcessUse, type ProcessUse } from './resources.ts';

/** Processor time since the first look, and memory now. */
export interface GroupUse {
  readonly cpuMs: number;
  readonly bytes: number;
}

/** How a process is read; tests bring their own. */
export interface ProcessReader {
  use(pid: number): Pick<ProcessUse, 'cpuMs'> | undefined;
  memory(pid: number): Pick<ProcessMemory, 'anonymousBytes'> | undefined;
}

const SYSTEM: ProcessReader = { use: readProcessUse, memory: readProcessMemory };

export class ProcessGroup {
  readonly #pids: () => readonly number[];
  readonly #read: ProcessReader;
  readonly #cpuMs: Map<number, number> = new Map();

  /** @param pids - Who belongs to the group now. */
  constructor(pids: () => readonly number[], read: ProcessReader = SYSTEM) {
    this.#pids = pids;
    this.#read = read;
  }

  use(): GroupUse {
    let bytes = 0;
    for (const pid of this.#pids()) {
      const cpuMs = this.#read.use(pid)?.cpuMs;
      if (cpuMs !== undefined) this.#cpuMs.set(pid, cpuMs);
      bytes += this.#read.memory(pid)?.anonymousBytes ?? 0;
    }
    let cpuMs = 0;
    for (const each of this.#cpuMs.values()) cpuMs += each;
    return { cpuMs, bytes };
  }
}

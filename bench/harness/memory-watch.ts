/**
 * The most memory that a process takes from here on, above what it has now. Linux only: the kernel keeps the peak, and forgets it on request.
 */

import { readFileSync, writeFileSync } from 'node:fs';

export class MemoryWatch {
  readonly #pid: number;
  readonly #beforeBytes: number | undefined;

  constructor(pid: number) {
    this.#pid = pid;
    this.#beforeBytes = this.#begin();
  }

  #begin(): number | undefined {
    try {
      // Has the kernel forget the peak of the past; see proc(5).
      writeFileSync(`/proc/${this.#pid}/clear_refs`, '5');
    } catch {
      return undefined;
    }
    return this.#read('VmRSS');
  }

  /** The most that it had. `undefined` where the kernel does not tell, or the process has ended. */
  peakBytes(): number | undefined {
    return this.#read('VmHWM');
  }

  /** The most that it had above what it had at first. */
  extraBytes(): number | undefined {
    const peakBytes = this.#read('VmHWM');
    if (this.#beforeBytes === undefined || peakBytes === undefined) return undefined;
    return Math.max(0, peakBytes - this.#beforeBytes);
  }

  #read(field: 'VmRSS' | 'VmHWM'): number | undefined {
    try {
      const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
      return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024;
    } catch {
      return undefined;
    }
  }
}

/**
 * Names of actors on one worker. First writer wins, one name an actor, and a name goes when its actor ends.
 */

import type { RegisterResult } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { annexOf, FLAG, type Process } from './process.ts';

export class Registry {
  readonly #processes: Map<string, Process> = new Map();

  register(name: string, process: Process): RegisterResult {
    checkName(name);
    if (process.has(FLAG.dead)) return 'noproc';
    if (this.#processes.has(name)) return 'taken';
    if (process.registeredName !== null) return 'already_named';
    this.#processes.set(name, process);
    annexOf(process).name = name;
    return 'ok';
  }

  unregister(name: string): boolean {
    const process = this.#processes.get(name);
    if (process === undefined) return false;
    annexOf(process).name = null;
    return this.#processes.delete(name);
  }

  whereis(name: string): Process | undefined {
    return this.#processes.get(name);
  }

  names(): string[] {
    return [...this.#processes.keys()];
  }
}

/** @throws {TypeError | RangeError} if `name` cannot be a name. */
export function checkName(name: string): void {
  if (typeof name !== 'string') throw new TypeError(`"name" expected a string, got ${typeof name}`);
  if (name.length < 1 || name.length > LIMITS.nameCharsMax) {
    throw new RangeError(`"name" expected 1 to ${LIMITS.nameCharsMax} characters, got ${name.length}`);
  }
}

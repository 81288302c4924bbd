/**
 * The programs, in the order in which they run: first those that take long and cannot be shortened, so that a run that is
 * short of time can save it with the others. A new one is entered here.
 */

import type { Program } from '../program.ts';
import { big } from './big.ts';
import { boundedBuffer } from './bounded-buffer.ts';
import { chameneos } from './chameneos.ts';
import { counting } from './counting.ts';
import { crossWorker } from './cross-worker.ts';
import { forkJoinCreate } from './fork-join-create.ts';
import { forkJoinThroughput } from './fork-join-throughput.ts';
import { genServerCall } from './gen-server-call.ts';
import { idleMemory } from './idle-memory.ts';
import { million } from './million.ts';
import { philosophers } from './philosophers.ts';
import { pingPong } from './ping-pong.ts';
import { skynet } from './skynet.ts';
import { sleepingBarber } from './sleeping-barber.ts';
import { threadRing } from './thread-ring.ts';

export const PROGRAMS: readonly Program[] = [
  million,
  skynet,
  idleMemory,
  pingPong,
  counting,
  threadRing,
  genServerCall,
  crossWorker,
  forkJoinCreate,
  forkJoinThroughput,
  chameneos,
  big,
  boundedBuffer,
  philosophers,
  sleepingBarber,
];

/** @throws {RangeError} for a name that no program has. */
export function findProgram(name: unknown): Program {
  const program = PROGRAMS.find((each) => each.name === name);
  if (program === undefined) throw new RangeError(`"program" expected a name of a program, got ${String(name)}`);
  return program;
}

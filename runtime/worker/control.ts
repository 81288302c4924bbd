/**
 * What the main thread and a worker say to each other over the worker's port: few and rare messages. Actors never use it.
 */

import type { Mesh } from './mesh.ts';

/** Handed to a worker at its start, in `workerData`. */
export interface WorkerStart {
  readonly nodeName: string;
  /** 1 to the number of workers. */
  readonly worker: number;
  readonly mesh: Mesh;
  /** What the application gave `startWorkers`. */
  readonly data: unknown;
}

export type ToWorker =
  { readonly type: 'message'; readonly message: unknown } | { readonly type: 'stop'; readonly allowanceMs: number };

export type ToMain =
  | { readonly type: 'ready' }
  | { readonly type: 'message'; readonly message: unknown }
  | { readonly type: 'stopped'; readonly killedCount: number };

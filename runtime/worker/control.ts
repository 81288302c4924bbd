/**
 * What the main thread and a worker say to each other over the worker's port: few and rare messages. Actors never use it.
 */

import type { Membership, RingPair } from './mesh.ts';

/** Handed to a worker at its start, in `workerData`. */
export interface WorkerStart {
  readonly nodeName: string;
  /** 1 to `workerCount`. */
  readonly worker: number;
  readonly workerCount: number;
  readonly membership: Membership;
  /** Where it shows what it does. */
  readonly pulse: SharedArrayBuffer;
  /** What the application gave `startWorkers`. */
  readonly data: unknown;
}

export type ToWorker =
  | { readonly type: 'message'; readonly message: unknown }
  /** Another worker has begun a life and can be reached. */
  | { readonly type: 'peer_up'; readonly worker: number; readonly rings: RingPair }
  | { readonly type: 'peer_down'; readonly worker: number }
  | { readonly type: 'stop'; readonly allowanceMs: number };

export type ToMain =
  /** Its node exists and takes part in the mesh; its actors are still to be started. */
  | { readonly type: 'joined' }
  | { readonly type: 'ready' }
  | { readonly type: 'message'; readonly message: unknown }
  | { readonly type: 'stopped'; readonly killedCount: number };

/** A worker of the node ended, or is back: OTP's `nodedown` and `nodeup`. */
export interface WorkerEvent {
  readonly type: 'down' | 'up';
  readonly worker: number;
}

/**
 * What the main thread and its workers say to each other beside the actors: few, small, plain messages.
 */

import type { StartupCode } from './errors.ts';
import type { MemberEvent } from '../runtime/cluster/index.ts';
import type { WorkerStatistics } from './worker-statistics.ts';

export type ToWorker =
  | { readonly kind: 'listen' }
  | { readonly kind: 'statistics'; readonly ticket: number }
  /** What membership has found. */
  | { readonly kind: 'member'; readonly event: MemberEvent };

export type FromWorker =
  | { readonly kind: 'listening' }
  | { readonly kind: 'statistics'; readonly ticket: number; readonly statistics: WorkerStatistics }
  | { readonly kind: 'start-failed'; readonly code: StartupCode; readonly message: string }
  /** An exception that nobody caught, outside of every actor: the worker cannot be trusted, and the process must end. */
  | { readonly kind: 'crashed'; readonly reason: string }
  /** A commit failed for another reason than space: the process must end without an orderly stop. */
  | { readonly kind: 'store-failed'; readonly reason: string };

/** What the benchmark and the processes of its programs say to each other. Plain data, by IPC. */

import type { BenchCode } from '../errors.ts';
import type { Figure, Sizes } from './program.ts';

export interface HostCommand {
  readonly sizes: Sizes;
}

export type HostAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'figures'; readonly figures: readonly Figure[] }
  | { readonly kind: 'failed'; readonly code: BenchCode; readonly detail: string };

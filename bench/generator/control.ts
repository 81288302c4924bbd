/**
 * What the parent and a generator process say to each other, over the channel of a forked child. Plain data.
 *
 *   parent                                   generator
 *   open-pairs, code …  ───────────────────▶
 *                       ◀─────────────────── opened
 *   run                 ───────────────────▶
 *                       ◀─────────────────── window-begun, window-ended, result
 *   (disconnect)        ───────────────────▶ ends
 *
 * `failed` may come at any time and is the last word.
 */

import type { BenchCode } from '../errors.ts';
import type { RunPlan, RunResult, WindowEdge } from './measured-run.ts';

/** The phone numbers of one pair. */
export interface PairPhones {
  readonly sender: string;
  readonly recipient: string;
}

export type GeneratorCommand =
  | {
      readonly kind: 'open-pairs';
      /** `ws://host:port/ws` */
      readonly url: string;
      readonly pairs: readonly PairPhones[];
      readonly ciphertextBytes: number;
    }
  /** The code that the server sent to a phone number. */
  | { readonly kind: 'code'; readonly phone: string; readonly code: string }
  | {
      readonly kind: 'open-echo';
      readonly url: string;
      readonly connections: number;
      readonly messageBytes: number;
    }
  | { readonly kind: 'run'; readonly plan: RunPlan };

export type GeneratorEvent =
  | { readonly kind: 'opened' }
  | { readonly kind: WindowEdge }
  | { readonly kind: 'result'; readonly result: RunResult }
  | { readonly kind: 'failed'; readonly code: BenchCode; readonly detail: string };

/** The subprotocol that generators offer. */
export const SUBPROTOCOL = 'blindbeam.1';

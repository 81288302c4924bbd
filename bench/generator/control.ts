/**
 * What the parent and a generator process say to each other, over the channel of a forked child. Plain data.
 *
 *   parent                                   generator
 *   open-pairs, code …  ───────────────────▶
 *                       ◀─────────────────── opened
 *   run                 ───────────────────▶
 *                       ◀─────────────────── second …, window-begun, window-ended, result
 *   (disconnect)        ───────────────────▶ ends
 *
 * `failed` may come at any time and is the last word.
 */

import type { BenchCode } from '../errors.ts';
import type { DrainResult } from './backlog-load.ts';
import type { SecondReport } from '../harness/second-counts.ts';
import type { RunPlan, RunResult, WindowEdge } from './measured-run.ts';
import type { ReturnPlan, StormPlan, StormResult } from './storm-load.ts';

/** The phone numbers of one pair. */
export interface PairPhones {
  readonly sender: string;
  readonly recipient: string;
  /** Where each end connects to, if not to the one server of the command. */
  readonly senderUrl?: string;
  readonly recipientUrl?: string;
}

/** The phone numbers of `offline`: devices that go away, and those who write to them. */
export interface BacklogPhones {
  readonly devices: readonly string[];
  readonly senders: readonly string[];
}

/** What waits for each device. */
export interface BacklogShape {
  readonly conversations: number;
  /** Of each conversation. */
  readonly messages: number;
  readonly ciphertextBytes: number;
}

export type GeneratorCommand =
  | {
      readonly kind: 'open-pairs';
      /** `ws://host:port/ws` */
      readonly url: string;
      readonly pairs: readonly PairPhones[];
      readonly ciphertextBytes: number;
      /** Whether the load is to run in C, where a compiler is installed. */
      readonly native: boolean;
      /** Pairs that are opened at a time. Default LIMITS.openingParallelMax. */
      readonly parallelMax?: number;
    }
  /** The code that the server sent to a phone number. */
  | { readonly kind: 'code'; readonly phone: string; readonly code: string }
  | {
      readonly kind: 'open-echo';
      readonly url: string;
      readonly connections: number;
      readonly messageBytes: number;
    }
  | {
      readonly kind: 'open-relay';
      readonly url: string;
      /** Numbers of the pairs; of no other generator. */
      readonly pairs: readonly number[];
      readonly ciphertextBytes: number;
      readonly native: boolean;
    }
  /** Logs pairs in to an XMPP server: accounts 2n and 2n + 1 of each number. */
  | {
      readonly kind: 'open-xmpp';
      readonly host: string;
      readonly port: number;
      readonly pairs: readonly number[];
      readonly bodyBytes: number;
    }
  /** Logs clients in to an XMPP server, who then say nothing: accounts from `first` on. */
  | {
      readonly kind: 'open-xmpp-clients';
      readonly host: string;
      readonly port: number;
      readonly first: number;
      readonly count: number;
      readonly parallelMax: number;
      /** Addresses to connect from, in turn. */
      readonly sources: readonly string[];
    }
  | { readonly kind: 'run'; readonly plan: RunPlan }
  /** Registers and logs in the members of a group, and creates it. */
  | {
      readonly kind: 'open-group';
      readonly url: string;
      readonly phones: readonly string[];
      readonly writers: number;
      readonly ciphertextBytes: number;
    }
  /** Registers and logs in clients that take part in storms. */
  | {
      readonly kind: 'open-clients';
      readonly url: string;
      readonly phones: readonly string[];
      /** Addresses to connect from, in turn. */
      readonly sources: readonly string[];
    }
  /** Connects clients to an echo server: what a storm is without us. */
  | {
      readonly kind: 'open-bare-clients';
      readonly url: string;
      readonly count: number;
      readonly sources: readonly string[];
    }
  /** Cuts all clients and lets them come back; answered by `storm-over` when all are back, or it takes too long. */
  | { readonly kind: 'storm'; readonly plan: StormPlan }
  /** Cuts all clients, who stay away; answered by `departed`. */
  | { readonly kind: 'depart' }
  /** Brings them back without a storm; answered by `storm-over`. */
  | { readonly kind: 'come-back'; readonly plan: ReturnPlan }
  | {
      readonly kind: 'open-backlogs';
      readonly url: string;
      readonly phones: BacklogPhones;
      readonly shape: BacklogShape;
    }
  | { readonly kind: 'fill' }
  | { readonly kind: 'drain' };

export type GeneratorEvent =
  /** With the process that runs the load, when it is another one. */
  | { readonly kind: 'opened'; readonly nativePid?: number }
  | { readonly kind: WindowEdge }
  | { readonly kind: 'second'; readonly second: SecondReport }
  | { readonly kind: 'result'; readonly result: RunResult }
  | { readonly kind: 'storm-over'; readonly result: StormResult }
  | { readonly kind: 'departed' }
  | { readonly kind: 'filled'; readonly messages: number; readonly fillMs: number }
  | { readonly kind: 'drained'; readonly result: DrainResult }
  | { readonly kind: 'failed'; readonly code: BenchCode; readonly detail: string };

/** The subprotocol that generators offer. */
export const SUBPROTOCOL = 'blindbeam.1';

/** What the parent and the process of an operation say to each other. Plain data. */

import type { BenchCode } from '../errors.ts';
import type { ProviderName, Round, TaskTimes } from './task.ts';

export interface SignalCommand {
  readonly task: string;
  readonly times: TaskTimes;
}

export type SignalAnswer =
  | {
      readonly kind: 'figure';
      readonly value: number;
      readonly rounds: readonly Round[];
      readonly provider: ProviderName;
    }
  | { readonly kind: 'failed'; readonly code: BenchCode; readonly detail: string };

/** What the parent tells the process of an offender of `bench offenders`, and what that answers. Plain data. */

import type { BenchCode } from '../errors.ts';

/** Who does not do its half, in the order in which they have their turns. */
export const OFFENDERS = ['slow_reader', 'prekey_hammer', 'group_flood', 'silent_device'] as const;

export type OffenderName = (typeof OFFENDERS)[number];

/** Who sends to the same group as the flood, as much as the bound allows and no more: what is lawful costs the others something, too. */
export const LAWFUL = 'group_member';

/** Everybody who can be told to begin. */
export type GuestName = OffenderName | typeof LAWFUL;

/** What an offender did over all its turns, and what came of it. */
export interface Offence {
  /** What it asked for or sent. */
  readonly attempts: number;
  /** What of that the bound let through. */
  readonly accepted: number;
  /** What the bound allows of that in the same time. */
  readonly allowed: number;
  /** Refusals by code. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Connections that the server ended. */
  readonly cuts: number;
}

export type OffenderCommand =
  /** Register whoever takes part; answers `opened`. @param members - Of the group that is flooded. */
  | { readonly kind: 'open'; readonly url: string; readonly phonePrefix: string; readonly members: number }
  | { readonly kind: 'code'; readonly phone: string; readonly code: string }
  /** Offend from now on; answers `begun`. */
  | { readonly kind: 'begin'; readonly offender: GuestName }
  /** Stop it; answers `ended`. */
  | { readonly kind: 'end'; readonly offender: GuestName };

export type OffenderAnswer =
  | { readonly kind: 'opened' | 'begun' }
  | { readonly kind: 'ended'; readonly offence: Offence }
  | { readonly kind: 'failed'; readonly code: BenchCode; readonly detail: string };

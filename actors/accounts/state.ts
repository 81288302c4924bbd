/**
 * What the accounts actor of a shard is made of: what it is given, what is under way, and its state.
 *
 * Plain data, which outlives a reload of the code. Read next: `../accounts.ts`, the actor.
 */

import type { Answer } from '../../protocol/wire/index.ts';
import type { Context, Pid } from '../../runtime/index.ts';
import type { Committer } from '../committer.ts';
import type { AccountsMessage, ForgetDevice, ReloadDevices } from '../messages.ts';
import type { RemoteName } from '../routes.ts';
import type { InboxStore } from '../store/inbox-store.ts';
import type { BundleLimits } from './bundle-limits.ts';

export interface AccountsArgs {
  readonly store: InboxStore;
  readonly inboxOf: (user: string) => RemoteName;
  /** Who keeps the device that waits under a link id. */
  readonly linksOf: (link: string) => RemoteName;
  /** The partition of a phone number, keyed with the installation's secret. */
  readonly partitionOfPhone: (phone: string) => number;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
  /** Sends a code and casts the outcome to `self` as a `code-sent` message with `ticket`. */
  readonly sendCode: (self: Pid, ticket: number, phone: string, code: string) => void;
}

interface PendingCode {
  readonly code: string;
  readonly requestedAtMs: number;
  tries: number;
}

/** What happens when a commit or a sent code comes back. */
export interface Continuation {
  readonly connection: Pid;
  readonly iq: number;
  readonly answer: Answer;
  /** The number whose code is void if it could not be sent. */
  readonly phone?: string;
  /** The device that a registration replaced. */
  readonly forget?: readonly ForgetDevice[];
  /** Devices whose keys went, to be told how many are left. */
  readonly taken?: { readonly user: string; readonly devices: readonly number[] };
  /** A device was linked: the inbox of its user has to know. */
  readonly reload?: ReloadDevices;
  /** The link that this settles, either way. */
  readonly link?: { readonly id: string; readonly user: string; readonly device: number };
  /** Names that are no longer under way. */
  readonly release?: readonly string[];
}

export interface AccountsState {
  readonly args: AccountsArgs;
  /** Codes by phone number, oldest first. */
  readonly codes: Map<string, PendingCode>;
  readonly continuations: Map<number, Continuation>;
  /** What is being committed: pre-keys that go, as `onetime.user.device.id` and `kem.…`; accounts that change, as `account.user`. */
  readonly taken: Set<string>;
  readonly bundleLimits: BundleLimits;
  nextTicket: number;
}

export type Ctx = Context;

export type Request<K extends AccountsMessage['kind']> = Extract<AccountsMessage, { kind: K }>;

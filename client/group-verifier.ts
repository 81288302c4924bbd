/**
 * What a member makes of a group change: the rules that the server applies as well, and the signatures that only members look at. Pure.
 *
 *   change ─▶ decodes? ─▶ follows what we know? ─▶ proof of who joins? ─▶ signed by the author's device? ─▶ next state
 *
 * So a server can hold a change back, and nothing else: one that it makes up has no signature, one that it leaves out is missed by its
 * hash, one that it puts elsewhere has the wrong epoch, and another roster has another hash. Whose key is believed:
 * `identities.ts`. Read next: `group-book.ts`.
 */

import { xeddsaVerify } from '../protocol/signal/index.ts';
import {
  applyGroupChange,
  decodeGroupChange,
  decodeRoster,
  hashOfChange,
  hashOfRoster,
  isGroupRefusal,
  joinStatement,
} from '../protocol/wire/index.ts';
import type { GroupRefusalCode, GroupState, SignedGroupChange } from '../protocol/wire/index.ts';
import { primitives } from '../protocol/signal/primitives.ts';
import type { ErrorCode } from './errors.ts';
import { isSameKey } from './public-keys.ts';
import type { DeviceIdentity } from './layout.ts';

/** A change that holds, and what follows from it. */
export interface AcceptedChange {
  readonly kind: 'accepted';
  readonly change: SignedGroupChange;
  readonly state: GroupState;
}

/**
 * A change that is lawful, of a device that its author's newest list does not name: linked since, or unlinked since. Nothing is decided.
 */
export interface StrangersChange {
  readonly kind: 'stranger';
  readonly change: SignedGroupChange;
  readonly state: GroupState;
}

/** What became of a change. */
export type ChangeVerdict = AcceptedChange | StrangersChange | { readonly kind: 'refused'; readonly code: ErrorCode };

/** The server's view of a refusal as ours: what it accepts and we do not is its fault, or a fork. */
const CODES: Readonly<Record<GroupRefusalCode, ErrorCode>> = {
  GROUP_MALFORMED: 'CLI_GROUP_UNREADABLE',
  GROUP_UNSUPPORTED: 'CLI_GROUP_UNREADABLE',
  GROUP_EPOCH: 'CLI_GROUP_GAP',
  GROUP_FORKED: 'CLI_GROUP_FORKED',
  GROUP_NOT_A_MEMBER: 'CLI_GROUP_UNLAWFUL',
  GROUP_FORBIDDEN: 'CLI_GROUP_UNLAWFUL',
  GROUP_CONTRADICTION: 'CLI_GROUP_UNLAWFUL',
  GROUP_NO_ADMIN: 'CLI_GROUP_UNLAWFUL',
  GROUP_FULL: 'CLI_GROUP_UNLAWFUL',
  GROUP_WRONG_ROSTER: 'CLI_GROUP_ROSTER',
};

/** SHA-512 as the wire half takes it. */
export function sha512(bytes: Uint8Array): Uint8Array {
  return primitives.sha512(bytes);
}

/**
 * Judges a change.
 *
 * @param state - What we know of the group; undefined for the change that creates it.
 * @param bytes - As it came; borrowed.
 * @param signers - The devices whose signature counts for the author.
 */
export function judgeChange(
  state: GroupState | undefined,
  bytes: Uint8Array,
  signers: readonly DeviceIdentity[],
): ChangeVerdict {
  const change = decodeGroupChange(bytes);
  if (isGroupRefusal(change)) return refused(CODES[change.code]);
  const next = applyGroupChange(state, change, sha512);
  if (isGroupRefusal(next)) return refused(CODES[next.code]);
  if (state !== undefined && !provesEntry(state, change)) return refused('CLI_GROUP_FORGED');
  const signer = signers.find(({ device }) => device === change.device);
  if (signer === undefined) return { kind: 'stranger', change, state: next };
  const isSigned = xeddsaVerify(signer.identityKey, change.statement, change.signature);
  return isSigned ? { kind: 'accepted', change, state: next } : refused('CLI_GROUP_FORGED');
}

function refused(code: ErrorCode): ChangeVerdict {
  return { kind: 'refused', code };
}

/** The server has seen the gate, and could let its own people in; the key of the link it has never seen. */
function provesEntry({ roster }: GroupState, { group, author, device, actions }: SignedGroupChange): boolean {
  const [action] = actions;
  if (action?.kind !== 'join') return true;
  return xeddsaVerify(roster.link!.key, joinStatement(group, roster.link!, author, device), action.proof);
}

/**
 * The state that somebody who was invited begins with.
 *
 * @param invited - What the inviter vouches for: the hash of the change that made the epoch.
 * @param changeBytes - That change, as the server hands it out.
 * @param rosterBytes - The roster after it, from whomever.
 * @returns CLI_GROUP_FORKED for another change; CLI_GROUP_ROSTER for another roster; CLI_GROUP_UNREADABLE.
 */
export function stateOfInvitation(
  group: string,
  invited: { readonly epoch: number; readonly head: Uint8Array },
  changeBytes: Uint8Array,
  rosterBytes: Uint8Array,
): GroupState | { readonly code: ErrorCode } {
  const change = decodeGroupChange(changeBytes);
  if (isGroupRefusal(change)) return { code: CODES[change.code] };
  const isMeant = change.group === group && change.epoch === invited.epoch;
  if (!isMeant || !isSameKey(hashOfChange(change, sha512), invited.head)) return { code: 'CLI_GROUP_FORKED' };
  // The first change holds everything; a roster beside it would say nothing new.
  if (change.epoch === 1) return firstState(change);
  const roster = decodeRoster(rosterBytes);
  if (isGroupRefusal(roster)) return { code: CODES[roster.code] };
  const isRight = roster.group === group && isSameKey(hashOfRoster(roster, sha512), change.rosterHash);
  return isRight ? { roster, head: invited.head } : { code: 'CLI_GROUP_ROSTER' };
}

function firstState(change: SignedGroupChange): GroupState | { readonly code: ErrorCode } {
  const state = applyGroupChange(undefined, change, sha512);
  return isGroupRefusal(state) ? { code: CODES[state.code] } : state;
}

/**
 * The catalogue of what is wrong with a group change: codes as plain data, the same at both ends.
 *
 * A server answers them under its own codes (`actors/errors.ts`), a client tells the application with its own. None of them closes a
 * connection: a stale change is an everyday thing. Read next: `group-roster.ts`.
 */

export type GroupRefusalCode =
  | 'GROUP_MALFORMED'
  | 'GROUP_UNSUPPORTED'
  | 'GROUP_EPOCH'
  | 'GROUP_FORKED'
  | 'GROUP_NOT_A_MEMBER'
  | 'GROUP_FORBIDDEN'
  | 'GROUP_CONTRADICTION'
  | 'GROUP_NO_ADMIN'
  | 'GROUP_FULL'
  | 'GROUP_WRONG_ROSTER';

/** One row of the catalogue. */
export interface GroupRefusalEntry {
  /** What was refused. */
  readonly meaning: string;
  /** What the author of the change does about it. */
  readonly action: string;
}

/** The catalogue. Codes are stable: they may be added, never renamed or given another meaning. */
export const GROUP_REFUSALS: Readonly<Record<GroupRefusalCode, GroupRefusalEntry>> = Object.freeze({
  GROUP_MALFORMED: {
    meaning: 'bytes that are no group change, or no roster',
    action: 'mend the client',
  },
  GROUP_UNSUPPORTED: {
    meaning: 'a version that this release does not read',
    action: 'ask the user to update; change nothing until then',
  },
  GROUP_EPOCH: {
    meaning: 'a change for another epoch than the next one',
    action: 'get the changes in between and make it again',
  },
  GROUP_FORKED: {
    meaning: 'a change for the next epoch that does not follow the change before',
    action: 'compare with the group as the server has it; between members it is an alarm',
  },
  GROUP_NOT_A_MEMBER: {
    meaning: 'a change by somebody who is no member',
    action: 'ask an admin to be added, or join by a link',
  },
  GROUP_FORBIDDEN: {
    meaning: 'a member who does what only an admin may, or a gate that does not fit the link',
    action: 'ask an admin; ask for the present link',
  },
  GROUP_CONTRADICTION: {
    meaning:
      'an action that changes nothing or does not fit the others: adding a member, removing a stranger, joining twice',
    action: 'look at the roster and leave the action out',
  },
  GROUP_NO_ADMIN: {
    meaning: 'members would stay without an admin',
    action: 'make somebody an admin in the same change',
  },
  GROUP_FULL: {
    meaning: 'more than 1,024 members',
    action: 'remove somebody first',
  },
  GROUP_WRONG_ROSTER: {
    meaning: 'the roster that the change leads to is not the one whose hash it names',
    action: 'compute the roster with the same rules; mend the client',
  },
});

/** Why a change does not hold. Plain data. */
export interface GroupRefusal {
  readonly code: GroupRefusalCode;
}

/** Makes the refusal of `code`. */
export function groupRefusal(code: GroupRefusalCode): GroupRefusal {
  return { code };
}

/** Tells a refusal from a result: no result of the group files has a `code`. */
export function isGroupRefusal(outcome: unknown): outcome is GroupRefusal {
  if (typeof outcome !== 'object' || outcome === null) return false;
  const { code } = outcome as { code?: unknown };
  return typeof code === 'string' && Object.hasOwn(GROUP_REFUSALS, code);
}

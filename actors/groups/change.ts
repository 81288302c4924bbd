/**
 * Decides a change of a group: applied by the rules that its members' clients apply too, or refused in the words of the server.
 *
 * It applies exactly what members signed and cannot check a signature: clients do. Rules: `protocol/wire/group-roster.ts`.
 */

import {
  applyGroupChange,
  decodeGroupChange,
  type GroupRefusalCode,
  type GroupState,
  isGroupRefusal,
  type SignedGroupChange,
  LIMITS as WIRE,
} from '../../protocol/wire/index.ts';
import type { AppCode, Refusal } from '../errors.ts';
import { answerTo, refusalTo, storeFull } from './answers.ts';
import type { GroupChangeSubmit } from './messages.ts';
import { type Group, placeBody, sha512 } from './roll.ts';
import type { GroupsCommit, GroupsState } from './state.ts';
import { LIMITS } from '../limits.ts';
import { fullBucket, takeToken } from '../rate-limit.ts';

const HOUR_MS = 3_600_000;

const CREATION_RULE = {
  perSecond: (LIMITS.groupCreationsPerHourMax * 1_000) / HOUR_MS,
  burst: LIMITS.groupCreationsPerHourMax,
};

/** What the rules say of a change, in the words of the server. */
const CODES: Readonly<Record<GroupRefusalCode, AppCode>> = {
  GROUP_MALFORMED: 'APP_GROUP_BAD_CHANGE',
  GROUP_UNSUPPORTED: 'APP_GROUP_BAD_CHANGE',
  GROUP_EPOCH: 'APP_GROUP_EPOCH',
  GROUP_FORKED: 'APP_GROUP_EPOCH',
  GROUP_NOT_A_MEMBER: 'APP_NOT_A_MEMBER',
  GROUP_FORBIDDEN: 'APP_GROUP_FORBIDDEN',
  GROUP_CONTRADICTION: 'APP_GROUP_BAD_CHANGE',
  GROUP_NO_ADMIN: 'APP_GROUP_FORBIDDEN',
  GROUP_FULL: 'APP_GROUP_FULL',
  GROUP_WRONG_ROSTER: 'APP_GROUP_BAD_CHANGE',
};

export function planChange(item: GroupChangeSubmit, group: Group, commit: GroupsCommit, state: GroupsState): void {
  const change = decodeGroupChange(item.change);
  if (isGroupRefusal(change)) return void commit.told.push(refusalTo(item, { code: CODES[change.code] }));
  const isOurs = change.group === group.id && change.author === item.self.user && change.device === item.self.device;
  if (!isOurs) return void commit.told.push(refusalTo(item, { code: 'APP_GROUP_BAD_CHANGE' }));
  if (isKept(change, item, state)) return void commit.told.push(answerTo(item, group));
  const next = applyGroupChange(group.state, change, sha512);
  if (isGroupRefusal(next)) return void commit.told.push(refusalTo(item, refusalOf(next.code, group)));
  const refusal = refuseCreation(group, item.self.user, state, commit.now.monotonicMs) ?? refuseRoom(item, commit);
  if (refusal !== undefined) return void commit.told.push(refusalTo(item, refusal));
  acceptChange(item, group, change, next, commit);
}

/** Whether this very change was accepted before, and its answer lost. */
function isKept({ epoch }: SignedGroupChange, { group, change }: GroupChangeSubmit, { args }: GroupsState): boolean {
  const [kept] = args.store.groups.changes(group, epoch - 1, 1);
  return kept !== undefined && kept.epoch === epoch && Buffer.compare(kept.bytes, change) === 0;
}

function refusalOf(code: GroupRefusalCode, { state }: Group): Refusal {
  if (CODES[code] !== 'APP_GROUP_EPOCH') return { code: CODES[code] };
  return state === undefined ? { code: 'APP_UNKNOWN_GROUP' } : { code: 'APP_GROUP_EPOCH', epoch: state.roster.epoch };
}

function refuseCreation(group: Group, user: string, { creators }: GroupsState, now: number): Refusal | undefined {
  if (group.state !== undefined) return undefined;
  const bucket = creators.get(user) ?? fullBucket(CREATION_RULE, now);
  creators.delete(user);
  creators.set(user, bucket);
  for (const oldest of creators.keys()) {
    if (creators.size <= LIMITS.groupCreatorsMax) break;
    creators.delete(oldest);
  }
  const waitMs = takeToken(bucket, CREATION_RULE, now);
  return waitMs === 0 ? undefined : { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) };
}

/** A change and the roster after it. */
function refuseRoom({ change }: GroupChangeSubmit, commit: GroupsCommit): Refusal | undefined {
  return commit.room < change.length + WIRE.groupRosterBytesMax ? storeFull() : undefined;
}

function acceptChange(
  item: GroupChangeSubmit,
  group: Group,
  change: SignedGroupChange,
  next: GroupState,
  commit: GroupsCommit,
): void {
  const body = placeBody(group, item.self, { kind: 'change', id: 0, ts: commit.ts, bytes: item.change });
  commit.accepted.push({ kind: 'change', group, item, body, change, state: next, before: group.state });
  group.state = next;
  group.targets = undefined;
  group.changing = true;
  group.planned++;
  commit.room -= body.bytes.length + WIRE.groupRosterBytesMax;
  commit.bytes += body.bytes.length + WIRE.groupRosterBytesMax;
}

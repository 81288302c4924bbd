/** What the owner of groups answers: to those who look at a group, and to those whose message or change it refuses. */

import { encodeRoster, type GroupAnswer, type GroupState, hashOfGate } from '../../protocol/wire/index.ts';
import type { Context, Pid } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import type { GroupChangeSubmit, GroupQuery, GroupSubmit } from './messages.ts';
import { findGroup, type Group, isMember, sha512 } from './roll.ts';
import type { GroupsState } from './state.ts';
import type { Told } from '../inbox/state.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage } from '../messages.ts';

type Ctx = Context;

export function answerQuery(query: GroupQuery, state: GroupsState, ctx: Ctx): void {
  const group = findGroup(state.roll, state.args.store.groups, query.group);
  const refusal = refuseLook(group, query);
  if (refusal !== undefined) return refuseRequest(query, refusal, ctx);
  const flushed = flushedState(group, state);
  if (flushed === undefined) return refuseRequest(query, { code: 'APP_UNKNOWN_GROUP' }, ctx);
  const { roster } = flushed;
  const { after } = query;
  const changes = after === undefined ? [] : changesAfter(group.id, after, state);
  const isWhole = after !== undefined && (after >= roster.epoch || changes.length > 0);
  const answer: GroupAnswer = {
    kind: 'group',
    group: group.id,
    epoch: roster.epoch,
    order: state.args.store.groups.order(group.id),
    roster: isWhole ? undefined : encodeRoster(roster),
    changes,
  };
  tell(query.connection, { kind: 'answer', iq: query.iq, answer }, ctx);
}

/** Members may look; so may who shows the gate of the present link. */
function refuseLook(group: Group, { self, gate }: GroupQuery): Refusal | undefined {
  const link = group.state?.roster.link;
  const isLetIn = gate !== undefined && link !== undefined;
  if (isLetIn && Buffer.compare(hashOfGate(gate, sha512), link.gateHash) === 0) return undefined;
  return refuseStranger(group, self.user);
}

export function refuseStranger(group: Group, user: string): Refusal | undefined {
  if (group.state === undefined) return { code: 'APP_UNKNOWN_GROUP' };
  return isMember(group, user) ? undefined : { code: 'APP_NOT_A_MEMBER' };
}

/** What is on disk: a change that is being committed is not told. */
function flushedState(group: Group, { commit }: GroupsState): GroupState | undefined {
  for (const each of commit?.accepted ?? []) if (each.kind === 'change' && each.group === group) return each.before;
  return group.state;
}

/** The kept changes after an epoch, if the one that follows it is still kept. */
function changesAfter(group: string, after: number, { args }: GroupsState): Uint8Array[] {
  const kept = args.store.groups.changes(group, after, LIMITS.groupChangesBytesMax);
  return kept[0]?.epoch === after + 1 ? kept.map(({ bytes }) => bytes) : [];
}

/** That a change is applied, for the connection that it came on. */
export function answerTo({ connection, iq }: GroupChangeSubmit, { id, state, order }: Group): Told {
  const answer: GroupAnswer = { kind: 'group', group: id, epoch: state!.roster.epoch, order, changes: [] };
  return { connection, message: { kind: 'answer', iq, answer } };
}

export function storeFull(): Refusal {
  return { code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds };
}

/** That a message or change is refused. @param connection - Where its sender is now. */
export function refusalTo(
  item: GroupSubmit | GroupChangeSubmit,
  refusal: Refusal,
  connection: Pid = item.connection,
): Told {
  if (item.kind === 'group-change') return { connection, message: { kind: 'answer-refused', iq: item.iq, refusal } };
  return { connection, message: { kind: 'group-refused', group: item.group, id: item.id, refusal } };
}

export function tellAll(told: readonly Told[], ctx: Ctx): void {
  for (const { connection, message } of told) tell(connection, message, ctx);
}

export function refuseRequest(to: { readonly connection: Pid; readonly iq: number }, refusal: Refusal, ctx: Ctx): void {
  tell(to.connection, { kind: 'answer-refused', iq: to.iq, refusal }, ctx);
}

/** What a connection does not take is lost with it: its client sends again, or asks again. */
export function tell(connection: Pid, message: ConnectionMessage, ctx: Ctx): void {
  ctx.cast(connection, message);
}

/** How `blindbeam node …` looks. */

import type { MapRow, NodeRow } from '../../actors/nodes/overview.ts';
import type { NodeList, NodeMap } from '../../actors/nodes/verbs.ts';
import type { DepartResult } from '../../actors/node-control.ts';
import { count, span, table } from './text.ts';

const NODE_HEAD = ['NODE', 'STATE', 'RELEASE', 'WIRE', 'SESSIONS', 'OWNED', 'STANDBY', 'BEHIND', 'NATS', 'UP', ''];

export function printNodes({ nodes }: NodeList): string {
  const right = [false, false, false, true, true, true, true, true];
  return table(NODE_HEAD, nodes.map(nodeCells), right);
}

export function nodeCells(row: NodeRow): string[] {
  const { node, state, release, wire, frames, sessions, owned, standby, copying, lag, nats, uptimeMs, isThis, reason } =
    row;
  return [
    `${node}${isThis ? ' *' : ''}`,
    state,
    release ?? '',
    wire === undefined ? '' : `${wire}/${frames ?? '?'}`,
    sessions === undefined ? '' : count(sessions),
    count(owned),
    copying === 0 ? count(standby) : `${count(standby)} (${count(copying)} begun)`,
    lag === undefined ? '' : lagText(lag),
    nats === undefined ? '' : nats.isUp ? nats.servers.join(' ') : 'DOWN',
    uptimeMs === undefined ? '' : span(uptimeMs),
    reason ?? '',
  ];
}

/** `0`, or `12 in 0.4 s`. */
function lagText({ records, ms }: NonNullable<NodeRow['lag']>): string {
  return records === 0 ? '0' : `${count(records)} in ${(ms / 1_000).toFixed(1)} s`;
}

const MAP_HEAD = ['SHARD', 'PARTITIONS', 'EPOCH', 'OWNER', 'STANDBY', 'NEXT', 'PHASE', 'BEHIND'];

export function printMap({ shards }: NodeMap): string {
  const right = [true, true, true, false, false, false, false, true];
  return table(MAP_HEAD, shards.map(mapCells), right);
}

function mapCells({ shard, partitions, epoch, owner, standby, next, phase, lag }: MapRow): string[] {
  return [
    String(shard),
    count(partitions),
    count(epoch),
    owner ?? 'nobody',
    standby ?? '',
    next ?? '',
    phase ?? '?',
    lag === undefined ? '' : lagText(lag),
  ];
}

export function printDeparted({ told, left, shardsLeft }: DepartResult): string {
  const shards =
    shardsLeft === 0
      ? 'Its shards are with other nodes'
      : `${count(shardsLeft)} shards stayed: no other node took them in time`;
  return `${shards}; ${count(told)} clients were sent away, ${count(left)} connections are still open.`;
}

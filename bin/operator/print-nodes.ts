/** How `blindbeam node …` looks, and the page of nodes of `blindbeam top`. */

import type { NodeRow } from '../../actors/nodes/overview.ts';
import { isWell, type MapRow, type ShardSummary } from '../../actors/nodes/shard-map.ts';
import type { NodeList, NodeMap } from '../../actors/nodes/verbs.ts';
import type { DepartResult } from '../../actors/node-control.ts';
import { bytes, count, span, table } from './text.ts';

interface Column<Row> {
  readonly title: string;
  readonly isRight?: true;
  /** A terminal of 80 columns goes without it. */
  readonly isWide?: true;
  /** It is there when a row has something in it. */
  readonly isOptional?: true;
  readonly of: (row: Row) => string;
}

const NODE: readonly Column<NodeRow>[] = [
  { title: 'NODE', of: ({ node, isThis }) => `${node}${isThis ? ' *' : ''}` },
  { title: 'CENTRE', isOptional: true, of: ({ centre }) => centre ?? '' },
  { title: 'STATE', of: ({ state }) => state },
  { title: 'RELEASE', isWide: true, of: ({ release }) => release ?? '' },
  {
    title: 'WIRE',
    isRight: true,
    isWide: true,
    of: ({ wire, frames }) => (wire === undefined ? '' : `${wire}/${frames ?? '?'}`),
  },
  { title: 'SESSIONS', isRight: true, of: ({ sessions }) => (sessions === undefined ? '' : count(sessions)) },
  { title: 'OWNED', isRight: true, of: ({ owned }) => count(owned) },
  {
    title: 'STANDBY',
    isRight: true,
    of: ({ standby, copying }) => (copying === 0 ? count(standby) : `${count(standby)} (${count(copying)} begun)`),
  },
  { title: 'BEHIND', isRight: true, of: ({ lag }) => (lag === undefined ? '' : lagText(lag)) },
  {
    title: 'ALONE',
    isRight: true,
    isOptional: true,
    of: ({ tailBytes }) => (tailBytes === undefined ? '' : bytes(tailBytes)),
  },
  {
    title: 'OUTBOX',
    isRight: true,
    isOptional: true,
    of: ({ outbox }) => (outbox === undefined ? '' : count(outbox)),
  },
];

const NATS: Column<NodeRow> = {
  title: 'NATS',
  of: ({ nats }) => (nats === undefined ? '' : nats.isUp ? nats.servers.join(' ') : 'DOWN'),
};
const NATS_NARROW: Column<NodeRow> = {
  title: 'NATS',
  of: ({ nats }) => (nats === undefined ? '' : nats.isUp ? 'up' : 'DOWN'),
};
const UP: Column<NodeRow> = {
  title: 'UP',
  isRight: true,
  of: ({ uptimeMs }) => (uptimeMs === undefined ? '' : span(uptimeMs)),
};
const REASON: Column<NodeRow> = { title: '', isOptional: true, of: ({ reason }) => reason ?? '' };

export function printNodes({ nodes, shards }: NodeList): string {
  const rows = tableOf([...NODE, NATS, UP, REASON], nodes);
  return shards === undefined ? rows : `${rows}\n\n${summaryText(shards)}`;
}

/** Its lines, the head first, for a terminal that cuts off what is too long: without reasons, and narrow ones without what is least missed. */
export function nodeLines(nodes: readonly NodeRow[], isNarrow: boolean): string[] {
  const columns = isNarrow ? [...NODE.filter(({ isWide }) => isWide !== true), NATS_NARROW, UP] : [...NODE, NATS, UP];
  return tableOf(columns, nodes).split('\n');
}

/** A sentence: whether every shard is served, and would be if one more disk were lost. */
export function summaryText({ count: all, unserved, single, unseen = 0 }: ShardSummary): string {
  const shards = `${count(all - unseen)} ${all - unseen === 1 ? 'shard' : 'shards'}`;
  const served = unserved === 0 ? 'all served' : `${count(unserved)} NOT SERVED`;
  const copies =
    single > 0
      ? `${count(single)} WITHOUT A WHOLE SECOND COPY`
      : `${unserved === 0 ? 'each' : 'the others'} with a whole second copy`;
  const elsewhere = unseen === 0 ? '' : `; ${count(unseen)} elsewhere OUT OF SIGHT`;
  return `${shards}: ${served}, ${copies}${elsewhere}`;
}

/** `0`, or `12 in 0.4 s`. */
function lagText({ records, ms }: NonNullable<NodeRow['lag']>): string {
  return records === 0 ? '0' : `${count(records)} in ${(ms / 1_000).toFixed(1)} s`;
}

const MAP: readonly Column<MapRow>[] = [
  { title: 'SHARD', isRight: true, of: ({ shard }) => String(shard) },
  { title: 'CENTRE', isOptional: true, of: ({ centre }) => centre ?? '' },
  { title: 'PARTITIONS', isRight: true, isWide: true, of: ({ partitions }) => count(partitions) },
  { title: 'EPOCH', isRight: true, of: ({ epoch }) => count(epoch) },
  { title: 'OWNER', of: ({ owner }) => owner ?? 'nobody' },
  {
    title: 'STANDBY',
    of: ({ standby, standbyIs }) => (standbyIs === undefined ? (standby ?? '') : `${standby ?? ''} (${standbyIs})`),
  },
  { title: 'NEXT', isOptional: true, of: ({ next }) => next ?? '' },
  { title: 'PHASE', of: ({ phase, isUnseen }) => phase ?? (isUnseen === true ? 'out of sight' : '?') },
  { title: 'BEHIND', isRight: true, of: ({ lag }) => (lag === undefined ? '' : lagText(lag)) },
  {
    title: 'ALONE',
    isRight: true,
    isOptional: true,
    of: ({ tailBytes }) => (tailBytes === undefined ? '' : bytes(tailBytes)),
  },
];

export function printMap({ shards }: NodeMap): string {
  return shards.length === 0 ? 'It has no shard.' : tableOf(MAP, shards);
}

/** A line of the map; `isWell` is true of its head as well. */
export interface MapLine {
  readonly text: string;
  readonly isWell: boolean;
}

/** The map in at most `room` lines: shards that somebody should look at first, then as many of the others as fit. */
export function mapLines({ shards }: NodeMap, isNarrow: boolean, room: number): MapLine[] {
  if (room < 2 || shards.length === 0) return [];
  const sorted = [...shards.filter((row) => !isWell(row)), ...shards.filter(isWell)];
  const hasAll = sorted.length < room;
  const shown = hasAll ? sorted : sorted.slice(0, Math.max(0, room - 2));
  const columns = isNarrow ? MAP.filter(({ isWide }) => isWide !== true) : MAP;
  const [head, ...rows] = tableOf(columns, shown).split('\n');
  const lines = rows.map((text, index): MapLine => ({ text, isWell: isWell(shown[index]!) }));
  const more = { text: `… ${count(sorted.length - shown.length)} more: blindbeam node map`, isWell: true };
  return [{ text: head!, isWell: true }, ...lines, ...(hasAll ? [] : [more])];
}

function tableOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const shown = columns.filter(({ isOptional, of }) => isOptional !== true || rows.some((row) => of(row) !== ''));
  return table(
    shown.map(({ title }) => title),
    rows.map((row) => shown.map(({ of }) => of(row))),
    shown.map(({ isRight }) => isRight === true),
  );
}

export function printDeparted({ told, left, shardsLeft }: DepartResult): string {
  const shards =
    shardsLeft === undefined
      ? 'It has no cluster, and keeps its shards'
      : shardsLeft === 0
        ? 'Its shards are with other nodes'
        : `${count(shardsLeft)} shards stayed: no other node took them in time`;
  // Who lost an inbox with a shard comes again by himself, mostly before anybody is sent away.
  const clients =
    told === 0
      ? 'no client was left to be sent away'
      : `${count(told)} ${told === 1 ? 'client was' : 'clients were'} sent away`;
  return `${shards}; ${clients}, ${count(left)} connections are still open.`;
}

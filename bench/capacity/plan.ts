/**
 * From what is to be carried and what a node costs to nodes, memory, disk and traffic. Pure arithmetic, each line with its
 * formula, so that a reader can check it by hand; docs/capacity.md explains the assumptions.
 */

import type { Costs } from './costs.ts';
import { loginsPerSecond, messagesPerSecond, type Demand } from './demand.ts';

/** How a figure is printed. */
export type PlanUnit = 'nodes' | 'per s' | 'bytes' | 'bytes/s' | 'connections' | 'files';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: PlanUnit;
  /** In words and names of inputs. */
  readonly formula: string;
  /** The report behind it, where a measurement is. */
  readonly source?: string;
}

export interface Plan {
  readonly sections: readonly { readonly title: string; readonly figures: readonly Figure[] }[];
  /** Nodes that are needed: the most of what connections, messages and a recovery ask for. */
  readonly nodes: number;
  readonly boundBy: string;
}

const SECONDS_OF_A_DAY = 86_400;

/** Bytes around a stored message of ours: sender, ids, times, keys. `ENTRY_OVERHEAD_BYTES` of the store. */
export const ENTRY_BYTES = 64;
/** Bytes around a message between nodes, and around a record of the log: addresses, subject, headers of NATS. */
const HOP_BYTES = 200;

/** Makes the plan. */
export function plan(demand: Demand, costs: Costs): Plan {
  const traffic = planTraffic(demand);
  const nodes = planNodes(demand, costs);
  const needed = nodes.reduce((most, figure) => (figure.value > most.value ? figure : most));
  const count = needed.value;
  return {
    sections: [
      { title: 'What there is to carry', figures: traffic },
      { title: 'Nodes', figures: nodes },
      { title: 'On each node', figures: planNode(demand, costs, count) },
      { title: 'Memory and disk of all', figures: planStorage(demand, costs) },
      { title: 'NATS', figures: planNats(demand, count) },
    ],
    nodes: count,
    boundBy: needed.name,
  };
}

function planTraffic(demand: Demand): Figure[] {
  const rate = messagesPerSecond(demand);
  return [
    { name: 'messages', value: rate, unit: 'per s', formula: 'messages-per-day / 86,400' },
    { name: 'messages at peak', value: rate * demand.peak, unit: 'per s', formula: 'messages × peak' },
    { name: 'inbox writes', value: rate * demand.recipients, unit: 'per s', formula: 'messages × recipients' },
    { name: 'text', value: rate * demand['message-bytes'], unit: 'bytes/s', formula: 'messages × message-bytes' },
    {
      name: 'logins',
      value: loginsPerSecond(demand),
      unit: 'per s',
      formula: 'connections × reconnects-per-day / 86,400',
    },
    { name: 'files', value: rate * demand['media-share'], unit: 'per s', formula: 'messages × media-share' },
  ];
}

function planNodes(demand: Demand, { connectionBytes, messagesPerCore, loginsPerCore }: Costs): Figure[] {
  const used = 1 - demand.headroom;
  const held = connectionsOfNode(demand, connectionBytes.value);
  const cores = demand['node-cores'] * used;
  const cycles = messagesPerSecond(demand) * demand.peak * demand.recipients;
  const returning = demand.connections / (demand['recovery-minutes'] * 60);
  const isGiven = demand['node-connections'] > 0;
  return [
    {
      name: 'for connections',
      value: Math.ceil(demand.connections / held),
      unit: 'nodes',
      formula: isGiven
        ? 'connections / node-connections'
        : 'connections / (node-memory × (1 - headroom) / bytes of a connection)',
      ...(isGiven ? {} : { source: connectionBytes.source }),
    },
    {
      name: 'for messages',
      value: Math.ceil(cycles / (messagesPerCore.value * cores)),
      unit: 'nodes',
      formula: 'messages × peak × recipients / (cycles of a core × node-cores × (1 - headroom))',
      source: messagesPerCore.source,
    },
    {
      name: 'for everybody’s return',
      value: Math.ceil(returning / (loginsPerCore.value * cores)),
      unit: 'nodes',
      formula: 'connections / (recovery-minutes × 60) / (logins of a core × node-cores × (1 - headroom))',
      source: loginsPerCore.source,
    },
  ];
}

function connectionsOfNode(demand: Demand, connectionBytes: number): number {
  if (demand['node-connections'] > 0) return demand['node-connections'];
  return Math.max(1, Math.floor((demand['node-memory'] * (1 - demand.headroom)) / connectionBytes));
}

function planNode(demand: Demand, { connectionBytes, drainPerCore }: Costs, nodes: number): Figure[] {
  const connections = demand.connections / nodes;
  const returning = demand['messages-per-day'] * demand['offline-share'] * demand.recipients;
  const cores = demand['node-cores'] * (1 - demand.headroom);
  return [
    { name: 'connections', value: connections, unit: 'connections', formula: 'connections / nodes' },
    {
      name: 'memory for connections',
      value: connections * connectionBytes.value,
      unit: 'bytes',
      formula: 'connections of a node × bytes of a connection',
      source: connectionBytes.source,
    },
    {
      name: 'messages',
      value: messagesPerSecond(demand) / nodes,
      unit: 'per s',
      formula: 'messages / nodes',
    },
    {
      name: 'messages out of inboxes, at most',
      value: drainPerCore.value * cores,
      unit: 'per s',
      formula: 'drained of a core × node-cores × (1 - headroom)',
      source: drainPerCore.source,
    },
    {
      name: 'messages out of inboxes, asked for',
      value: returning / SECONDS_OF_A_DAY / nodes,
      unit: 'per s',
      formula: 'messages × offline-share × recipients / nodes',
    },
  ];
}

function planStorage(demand: Demand, { connectionBytes }: Costs): Figure[] {
  const perDay = demand['messages-per-day'];
  const textPerDay = perDay * demand['message-bytes'];
  const waiting = perDay * demand['offline-share'] * (demand['offline-hours'] / 24) * demand.recipients;
  const mediaPerDay = perDay * demand['media-share'] * demand['media-bytes'];
  return [
    {
      name: 'connections',
      value: demand.connections * connectionBytes.value,
      unit: 'bytes',
      formula: 'connections × bytes of a connection',
      source: connectionBytes.source,
    },
    { name: 'text of a day', value: textPerDay, unit: 'bytes', formula: 'messages-per-day × message-bytes' },
    {
      name: 'text, if nobody ever took it',
      value: textPerDay * demand['retention-days'],
      unit: 'bytes',
      formula: 'text of a day × retention-days',
    },
    {
      name: 'text that waits',
      value: waiting * (demand['message-bytes'] + ENTRY_BYTES) * demand.copies,
      unit: 'bytes',
      formula: `messages-per-day × offline-share × offline-hours / 24 × recipients × (message-bytes + ${ENTRY_BYTES}) × copies`,
    },
    {
      name: 'accounts',
      value: demand.accounts * demand['account-bytes'],
      unit: 'bytes',
      formula: 'accounts × account-bytes',
    },
    {
      name: 'media of a day',
      value: mediaPerDay,
      unit: 'bytes',
      formula: 'messages-per-day × media-share × media-bytes',
    },
    {
      name: 'media kept',
      value: mediaPerDay * demand['retention-days'],
      unit: 'bytes',
      formula: 'media of a day × retention-days',
    },
  ];
}

function planNats(demand: Demand, nodes: number): Figure[] {
  const entries = messagesPerSecond(demand) * demand.recipients;
  const elsewhere = 1 - 1 / nodes;
  const record = demand['message-bytes'] + HOP_BYTES;
  const isCluster = nodes > 1;
  return [
    {
      name: 'messages between nodes',
      // To the owner of the inbox, and from there to the connection: each of them is most likely on another node.
      value: isCluster ? 2 * entries * elsewhere : 0,
      unit: 'per s',
      formula: '2 × inbox writes × (1 - 1 / nodes)',
    },
    {
      name: 'between nodes',
      value: isCluster ? 2 * entries * elsewhere * record : 0,
      unit: 'bytes/s',
      formula: `messages between nodes × (message-bytes + ${HOP_BYTES})`,
    },
    {
      name: 'log, all replicas',
      value: isCluster ? entries * record * demand['log-replicas'] : 0,
      unit: 'bytes/s',
      formula: `inbox writes × (message-bytes + ${HOP_BYTES}) × log-replicas`,
    },
  ];
}

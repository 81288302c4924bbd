/**
 * The settings of a node's cluster as one value, and what must hold between them. A node without `nats` has no cluster.
 */

import { CLUSTER_LIMITS, isNodeName, type NatsAddress } from '../../runtime/cluster/index.ts';
import type { SettingProblem, SettingValues } from '../config/schema.ts';
import { parseCentres, type Centre } from './centres.ts';

/** Plain data: workers get it. */
export interface ClusterConfig {
  readonly name: string;
  /** This node. */
  readonly node: string;
  /** The nodes that a new cluster begins with: its shards wait for them. */
  readonly nodes: readonly string[];
  readonly shards: number;
  /** None, or two at least: then their order says whose the shards are. */
  readonly centres: readonly Centre[];
  /** The one that this node is in; an index of `centres`. */
  readonly centre: number;
  /** Copies that the servers keep of each log. */
  readonly replicas: number;
  /** What an owner does while the log does not answer: refuse, or go on without it. */
  readonly durability: 'replicated' | 'local';
  /** Of the installation, hex. */
  readonly secret: string;
  readonly nats: NatsAddress;
}

export function clusterOf(values: SettingValues): ClusterConfig | undefined {
  const text = (name: keyof SettingValues): string => String(values[name]);
  const optional = (name: keyof SettingValues): string | undefined => (text(name) === '' ? undefined : text(name));
  if (values.nats === '') return undefined;
  return {
    name: text('cluster'),
    node: text('node'),
    nodes: listOf(text('cluster-nodes')),
    shards: Number(values['cluster-shards']),
    ...centresOf(values),
    replicas: replicasOf(values),
    durability: text('cluster-durability') as ClusterConfig['durability'],
    secret: text('cluster-secret'),
    nats: {
      servers: listOf(text('nats')),
      user: optional('nats-user'),
      password: optional('nats-password'),
      credentials: optional('nats-credentials'),
      ca: optional('nats-ca'),
      cert: optional('nats-certificate'),
      key: optional('nats-key'),
    },
  };
}

function centresOf(values: SettingValues): Pick<ClusterConfig, 'centres' | 'centre'> {
  const centres = parseCentres(String(values['cluster-centres']));
  if (typeof centres === 'string') throw new RangeError(centres);
  return { centres, centre: centres.findIndex(({ name }) => name === values['cluster-centre']) };
}

/** As many as survive the loss of one server, where there are servers enough. */
function replicasOf(values: SettingValues): number {
  const given = Number(values['cluster-replicas']);
  if (given > 0) return given;
  return listOf(String(values.nats)).length >= 3 ? 3 : 1;
}

export function clusterProblems(values: SettingValues): SettingProblem[] {
  if (values.nats === '') return [];
  const { nodeNameCharsMax, clusterNameCharsMax } = CLUSTER_LIMITS;
  const problems: SettingProblem[] = [];
  const isName = (name: string): boolean => isNodeName(name, nodeNameCharsMax);
  const nodes = listOf(String(values['cluster-nodes']));
  if (!listOf(String(values.nats)).every((server) => /^(nats|tls):\/\/[^\s/@]+$/.test(server)))
    problems.push({ name: 'nats', problem: 'expected servers as in nats://host:4222,nats://other:4222' });
  if (!isNodeName(values.cluster, clusterNameCharsMax))
    problems.push({ name: 'cluster', problem: `expected a name of a-z, 0-9 and dashes, got "${values.cluster}"` });
  if (!isName(String(values.node)))
    problems.push({ name: 'node', problem: `expected a name of a-z, 0-9 and dashes, got "${values.node}"` });
  if (nodes.length === 0 || !nodes.every(isName) || new Set(nodes).size !== nodes.length)
    problems.push({ name: 'cluster-nodes', problem: 'expected the names of the nodes of the cluster, as in a,b,c' });
  problems.push(...centreProblems(values));
  if (!/^[0-9a-f]{64}$/.test(String(values['cluster-secret'])))
    problems.push({ name: 'cluster-secret', problem: 'expected 64 hexadecimal digits, the same on all nodes' });
  if ((values['nats-certificate'] === '') !== (values['nats-key'] === ''))
    problems.push({ name: 'nats-key', problem: 'is needed with nats-certificate, and the other way round' });
  return problems;
}

function centreProblems(values: SettingValues): SettingProblem[] {
  const centres = parseCentres(String(values['cluster-centres']));
  const own = String(values['cluster-centre']);
  if (typeof centres === 'string') return [{ name: 'cluster-centres', problem: centres }];
  if (centres.length === 0)
    return own === '' ? [] : [{ name: 'cluster-centre', problem: 'is one of cluster-centres, which says nothing' }];
  const names = centres.map(({ name }) => name);
  if (!names.includes(own))
    return [{ name: 'cluster-centre', problem: `expected ${names.join(' or ')}, got "${own}"` }];
  const isEnough = Number(values['cluster-shards']) >= centres.length;
  return isEnough ? [] : [{ name: 'cluster-shards', problem: `expected one for each of ${centres.length} centres` }];
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

/**
 * What all nodes of a cluster must have in common: the secret, the number of shards, its data centres, a version that they speak with each other.
 *
 * A node is judged twice. Before it takes part: the first node writes what the cluster is made of into a bucket, the same for nodes with and without data
 * centres, and one that starts later with something else ends with the code that says so. And by each sign of life, which tells nodes apart that do not share
 * a bucket, as two clusters of one name behind a link between their servers: they refuse each other, and go on with all others. Two such clusters may be
 * made of the same; hence the id, which is drawn with the record. Data centres have a record each, and are not compared by it.
 *
 * The secret itself stands in neither place: its mark is enough to compare, and tells nothing about it.
 */

import { createHmac } from 'node:crypto';
import { agreeOn, VERSIONS, type Member, type MemberRefusal, type VersionRange } from '../../runtime/cluster/index.ts';
import type { Clock, Random } from '../../runtime/index.ts';
import { StartupError, type StartupCode } from '../errors.ts';
import { formatCentres } from './centres.ts';
import type { ClusterConfig } from './config.ts';
import type { Registry } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';
import { CLUSTER_KEY, formatCluster, parseCluster, type ClusterRecord } from './shard-record.ts';

export interface ClusterTraits {
  readonly shards: number;
  /** See `formatCentres`; empty for a cluster in one place. */
  readonly centres: string;
  /** See `markOf`. */
  readonly secretMark: string;
  /** Of frames and packets between nodes. */
  readonly versions: VersionRange;
  /** Of the record that this node agreed with. */
  readonly id?: string | undefined;
  /** The data centre that this node is in. */
  readonly centre?: string | undefined;
}

/** Why a node cannot be in the cluster, for its operator. */
export interface Disagreement {
  readonly code: Extract<
    StartupCode,
    'APP_CLUSTER_SECRET' | 'APP_CLUSTER_SHARDS' | 'APP_CLUSTER_CENTRES' | 'APP_CLUSTER_VERSION'
  >;
  readonly message: string;
}

/** Tells secrets apart without telling anything about them. @param secret - 64 hexadecimal digits. */
export function markOf(secret: string): string {
  return createHmac('sha256', Buffer.from(secret, 'hex'))
    .update('blindbeam: mark of a cluster')
    .digest('hex')
    .slice(0, 16);
}

export function traitsOf({
  secret,
  shards,
  centres,
  centre,
}: Pick<ClusterConfig, 'secret' | 'shards' | 'centres' | 'centre'>): ClusterTraits {
  const own = centres[centre]?.name;
  return { shards, centres: formatCentres(centres), secretMark: markOf(secret), versions: VERSIONS, centre: own };
}

/** An id for a cluster that is made now. */
export function drawClusterId(random: Random): string {
  return Buffer.from(random.bytes(8)).toString('hex');
}

/** @param theirs - Of the cluster, or of another node of it; what an older release does not say is taken for the same. */
export function compareTraits(ours: ClusterTraits, theirs: Partial<ClusterTraits>): Disagreement | undefined {
  if (theirs.versions !== undefined && agreeOn(ours.versions, theirs.versions) === undefined) {
    const [here, there] = [ours.versions, theirs.versions].map(({ min, max }) =>
      min === max ? `${min}` : `${min} to ${max}`,
    );
    const message = `between nodes this release speaks version ${here}, the others ${there}: start one that speaks both, and go on a release at a time`;
    return { code: 'APP_CLUSTER_VERSION', message };
  }
  if (theirs.secretMark !== undefined && theirs.secretMark !== ours.secretMark) {
    const message =
      'the others have another secret: give all nodes the same cluster-secret, or this one another --cluster name';
    return { code: 'APP_CLUSTER_SECRET', message };
  }
  if (theirs.shards !== undefined && theirs.shards !== ours.shards) {
    const message = `the cluster has ${theirs.shards} shards, this node was started with ${ours.shards}: set cluster-shards to ${theirs.shards}, which never changes in the life of a cluster`;
    return { code: 'APP_CLUSTER_SHARDS', message };
  }
  if (theirs.centres !== undefined && theirs.centres !== ours.centres) {
    const [here, there] = [ours.centres, theirs.centres].map((text) => (text === '' ? 'none' : text));
    const message = `the cluster has the data centres ${there}, this node was started with ${here}: set cluster-centres to the same, which never changes in the life of a cluster`;
    return { code: 'APP_CLUSTER_CENTRES', message };
  }
  if (ours.centres === '' && ours.id !== undefined && theirs.id !== undefined && ours.id !== theirs.id) {
    const message =
      'the other is of a cluster of the same name on NATS servers of its own, which are joined with ours: give all nodes cluster-centres and cluster-centre before there are people, or one of the clusters another --cluster name';
    return { code: 'APP_CLUSTER_CENTRES', message };
  }
  return undefined;
}

/**
 * Compares this node with what the cluster is made of, and writes that down if this is the first node.
 *
 * @param registry - See `openAgreement`. @param newId - Of the cluster, if it has none yet: it is made now, or was by an earlier release.
 * @returns (as resolution) The cluster's id.
 * @throws {StartupError} (as rejection) APP_CLUSTER_SECRET; APP_CLUSTER_SHARDS; APP_CLUSTER_CENTRES; APP_CLUSTER_VERSION; APP_CLUSTER when the servers do not answer.
 */
export async function agreeWithCluster(
  registry: Registry,
  ours: ClusterTraits,
  newId: string,
  clock: Clock,
): Promise<string> {
  for (let tries = 1; tries <= LIMITS.openTriesMax; tries++) {
    const entry = await registry.read(CLUSTER_KEY);
    if (entry === 'unknown') {
      await pause(clock, LIMITS.retryMs);
      continue;
    }
    const found = entry === 'missing' ? undefined : compareWith(entry.value, ours);
    if (found?.id !== undefined) return found.id;
    const record = formatCluster(Object.assign({}, found ?? ours, { id: newId }));
    await registry.swap(CLUSTER_KEY, record, entry === 'missing' ? 0 : entry.revision);
  }
  throw new StartupError('APP_CLUSTER', 'the servers do not answer what the cluster is made of');
}

function compareWith(text: string, ours: ClusterTraits): ClusterRecord {
  let theirs: ClusterRecord;
  try {
    theirs = parseCluster(text);
  } catch (error) {
    throw new StartupError(
      'APP_CLUSTER_VERSION',
      `${(error as Error).message}: this release is older than the cluster`,
    );
  }
  const found = compareTraits(ours, theirs);
  if (found !== undefined) throw new StartupError(found.code, `${found.message}.`);
  return theirs;
}

/** A judge for `Membership`: by what a node says of itself with each sign of life. */
export function judgeMember(
  ours: ClusterTraits,
): (member: Member, known: Member | undefined) => MemberRefusal | undefined {
  return ({ versions, info }, known) => {
    const { shards, secretMark, centres, clusterId } = info;
    const theirs: Partial<ClusterTraits> = Object.assign(
      { versions },
      typeof shards === 'number' ? { shards } : undefined,
      typeof secretMark === 'string' ? { secretMark } : undefined,
      typeof centres === 'string' ? { centres } : undefined,
      typeof clusterId === 'string' ? { id: clusterId } : undefined,
    );
    const found = compareTraits(ours, theirs) ?? compareNamesakes(known?.info['centre'], info['centre']);
    return found === undefined ? undefined : { code: found.code, reason: found.message };
  };
}

/** A later life of a node is in the centre of the former: otherwise two nodes have one name, and must not end each other in turns. */
function compareNamesakes(here: unknown, there: unknown): Disagreement | undefined {
  if (typeof here !== 'string' || typeof there !== 'string' || here === there) return undefined;
  const message = `the data centres ${here} and ${there} have a node of this name each: names of nodes differ in all centres`;
  return { code: 'APP_CLUSTER_CENTRES', message };
}

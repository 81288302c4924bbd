/**
 * What all nodes of a cluster must have in common: the secret, the number of shards, a version that they speak with each other.
 *
 * A node is judged twice. Before it takes part: the first node writes what the cluster is made of into the table, and one that starts
 * later with something else ends with the code that says so. And by each sign of life, which tells nodes apart that do not share a
 * table, as two clusters of one name behind a link between their servers: they refuse each other, and go on with all others.
 *
 * The secret itself stands in neither place: its mark is enough to compare, and tells nothing about it.
 */

import { createHmac } from 'node:crypto';
import { agreeOn, VERSIONS, type Member, type MemberRefusal, type VersionRange } from '../../runtime/cluster/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { StartupError, type StartupCode } from '../errors.ts';
import type { ClusterConfig } from './config.ts';
import type { Registry } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { pause } from './pause.ts';
import { CLUSTER_KEY, formatCluster, parseCluster } from './shard-record.ts';

export interface ClusterTraits {
  readonly shards: number;
  /** See `markOf`. */
  readonly secretMark: string;
  /** Of frames and packets between nodes. */
  readonly versions: VersionRange;
}

/** Why a node cannot be in the cluster, for its operator. */
export interface Disagreement {
  readonly code: Extract<StartupCode, 'APP_CLUSTER_SECRET' | 'APP_CLUSTER_SHARDS' | 'APP_CLUSTER_VERSION'>;
  readonly message: string;
}

/** Tells secrets apart without telling anything about them. @param secret - 64 hexadecimal digits. */
export function markOf(secret: string): string {
  return createHmac('sha256', Buffer.from(secret, 'hex'))
    .update('blindbeam: mark of a cluster')
    .digest('hex')
    .slice(0, 16);
}

export function traitsOf({ secret, shards }: Pick<ClusterConfig, 'secret' | 'shards'>): ClusterTraits {
  return { shards, secretMark: markOf(secret), versions: VERSIONS };
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
  return undefined;
}

/**
 * Compares this node with what the cluster is made of, and writes that down if this is the first node.
 *
 * @throws {StartupError} (as rejection) APP_CLUSTER_SECRET; APP_CLUSTER_SHARDS; APP_CLUSTER_VERSION; APP_CLUSTER when the servers do not answer.
 */
export async function agreeWithCluster(table: Registry, ours: ClusterTraits, clock: Clock): Promise<void> {
  for (let tries = 1; tries <= LIMITS.openTriesMax; tries++) {
    const entry = await table.read(CLUSTER_KEY);
    if (typeof entry === 'object') return compareWith(entry.value, ours);
    if (entry === 'missing') await table.swap(CLUSTER_KEY, formatCluster(ours), 0);
    else await pause(clock, LIMITS.retryMs);
  }
  throw new StartupError('APP_CLUSTER', 'the servers do not answer what the cluster is made of');
}

function compareWith(text: string, ours: ClusterTraits): void {
  let theirs: ClusterTraits;
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
}

/** A judge for `Membership`: by what a node says of itself with each sign of life. */
export function judgeMember(ours: ClusterTraits): (member: Member) => MemberRefusal | undefined {
  return ({ versions, info }) => {
    const { shards, secretMark } = info;
    const theirs: Partial<ClusterTraits> = Object.assign(
      { versions },
      typeof shards === 'number' ? { shards } : undefined,
      typeof secretMark === 'string' ? { secretMark } : undefined,
    );
    const found = compareTraits(ours, theirs);
    return found === undefined ? undefined : { code: found.code, reason: found.message };
  };
}

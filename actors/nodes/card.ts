/**
 * What a node says of itself with each sign of life, for the other nodes and their operators. Nothing in it changes often: figures are asked for.
 */

import type { ClusterTraits } from '../cluster/agreement.ts';

/** What a node does, by its own word. */
export type NodeState = 'up' | 'draining' | 'leaving';

const STATES: readonly NodeState[] = ['up', 'draining', 'leaving'];

export interface NodeCard {
  /** Version of the program. */
  readonly release: string;
  /** Version of the dictionary that it speaks with clients. */
  readonly wire: number;
  readonly state: NodeState;
  /** The data centre that it is in; absent in a cluster in one place. */
  readonly centre?: string | undefined;
}

/** As it travels: plain data. A reader passes over what it does not know. */
export function writeCard({
  release,
  wire,
  state,
  traits,
}: Omit<NodeCard, 'centre'> & { readonly traits: ClusterTraits }): Record<string, unknown> {
  const { shards, secretMark, centres, centre, id } = traits;
  return { release, wire, state, shards, secretMark, centres, centre, clusterId: id };
}

/** What can be read of it; an older release says less. */
export function readCard({ release, wire, state, centre }: Readonly<Record<string, unknown>>): Partial<NodeCard> {
  return Object.assign(
    {},
    typeof release === 'string' ? { release } : undefined,
    typeof wire === 'number' ? { wire } : undefined,
    STATES.includes(state as NodeState) ? { state: state as NodeState } : undefined,
    typeof centre === 'string' ? { centre } : undefined,
  );
}

/**
 * Puts the operation of a cluster into a node, on its main thread: the verbs for its own operators, and the actor that answers other nodes.
 */

import { childSpec, startSupervisor } from '../../supervisors/index.ts';
import type { Desk } from '../admin/desk.ts';
import type { NodeFacts } from '../admin/status.ts';
import type { Verb } from '../admin/verb.ts';
import type { NodeConfig } from '../config.ts';
import { openConnections, outboxMessages } from '../metrics/health.ts';
import type { NodeControl } from '../node-control.ts';
import type { Workers } from '../workers.ts';
import type { NodeState } from './card.ts';
import { NODE_AGENT, nodeAgent, type NodeAgentArgs } from './node-agent.ts';
import { orderKey } from './order.ts';
import { OwnNode } from './own-node.ts';
import { Peers } from './peers.ts';
import type { Coordinator } from '../reload/coordinator.ts';
import type { AcrossNodes } from '../reload/verbs.ts';
import { reloadsOf } from './reload-targets.ts';
import { nodeVerbs, type OwnCluster } from './verbs.ts';

export interface OperateParts {
  readonly workers: Workers;
  readonly control: NodeControl;
  readonly facts: NodeFacts;
  readonly config: Pick<NodeConfig, 'cluster'>;
  /** Ends this process in order, as SIGTERM does. */
  readonly end: () => void;
}

export interface OperatedNode {
  readonly verbs: readonly Verb[];
  readonly own: OwnNode;
  /** Absent for a node on its own. */
  readonly cluster: OwnCluster | undefined;
  /** Reloads at every node, this one by `coordinator`; undefined for a node on its own. */
  reloads(coordinator: Coordinator): AcrossNodes | undefined;
  /** From now on other nodes are answered, if there is a cluster. */
  answerOthers(desk: Desk): Promise<void>;
}

export function operateNode({ workers, control, facts, config, end }: OperateParts): OperatedNode {
  const own = new OwnNode({
    workers,
    isClustered: config.cluster !== undefined,
    facts,
    state: () => stateOf(control),
    sessions: () => openConnections(workers.figures()),
    outbox: () => outboxMessages(workers.figures()),
  });
  const cluster = clusterOf(workers, config);
  return {
    verbs: nodeVerbs({ own, control, workers, cluster, end }),
    own,
    cluster,
    reloads: (coordinator) => (cluster === undefined ? undefined : reloadsOf(workers.node, coordinator, cluster)),
    async answerOthers(desk) {
      if (config.cluster === undefined) return;
      const args: NodeAgentArgs = { own, desk, key: orderKey(config.cluster.secret) };
      const started = await startSupervisor(workers.node, {
        name: 'main',
        strategy: 'one_for_one',
        intensity: 5,
        periodMs: 10_000,
        children: [childSpec(NODE_AGENT, nodeAgent, args, { options: { name: NODE_AGENT } })],
      });
      if ('error' in started)
        throw new TypeError(`the agent of the node did not start: ${JSON.stringify(started.error)}`);
    },
  };
}

function clusterOf({ node, head }: Workers, { cluster }: Pick<NodeConfig, 'cluster'>): OwnCluster | undefined {
  if (cluster === undefined || head === undefined) return undefined;
  return {
    name: cluster.name,
    founders: cluster.nodes,
    centres: cluster.centres,
    head,
    peers: new Peers(node, orderKey(cluster.secret)),
  };
}

function stateOf({ phase }: NodeControl): NodeState {
  if (phase === 'draining') return 'draining';
  return phase === 'stopping' ? 'leaving' : 'up';
}

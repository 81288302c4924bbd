/**
 * The nodes of a cluster as something that reloads: this one by its coordinator, the others by the verbs `reload` and `reload.rollback` at their desks.
 */

import { AdminError } from '../admin/errors.ts';
import type { Coordinator, Tell } from '../reload/coordinator.ts';
import type { ReloadReport } from '../reload/report.ts';
import { readShare, type AcrossNodes, type ReloadProgress } from '../reload/verbs.ts';
import type { Peers } from './peers.ts';
import { reloadAcross, rollBackAcross, type NodeReloadParameters, type ReloadTarget } from './reload-across.ts';
import type { OwnCluster } from './verbs.ts';
import type { RuntimeNode } from '../../runtime/index.ts';

/** @param node - The main thread's. */
export function reloadsOf(
  { name, clock }: RuntimeNode,
  coordinator: Coordinator,
  { head, peers }: OwnCluster,
): AcrossNodes {
  const targets = (): ReloadTarget[] => {
    const others = head.members().map((member) => member.node);
    return [ownTarget(name, coordinator), ...others.sort().map((other) => peerTarget(other, peers))];
  };
  let count = 0;
  // No other of the cluster has it: the names of nodes differ, and so do the clocks of two lives of one.
  const nextRun = (): string => `${name}.${Math.round(clock.nowMs())}.${(count += 1)}`;
  return {
    reload: (parameters, tell) =>
      reloadAcross(targets(), Object.assign({}, parameters, { run: nextRun() }), clock, tell),
    rollback: (parameters, tell) => rollBackAcross(targets(), parameters, clock, tell),
  };
}

function ownTarget(node: string, coordinator: Coordinator): ReloadTarget {
  return {
    node,
    reload: (parameters, tell) => coordinator.reload(optionsOf(parameters), tell),
    rollback: ({ name, observe, timeout, of }, tell) =>
      coordinator.rollback({ name, observeMs: observe, timeoutMs: timeout, of }, tell),
  };
}

function optionsOf(parameters: NodeReloadParameters): Parameters<Coordinator['reload']>[0] {
  const { name, canary, check, observe, record, timeout, renumber, expect, run } = parameters;
  const times = { observeMs: observe, recordMs: record, timeoutMs: timeout };
  return Object.assign({ name, canary: readShare(canary), checkOnly: check, renumber, expect, run }, times);
}

function peerTarget(node: string, peers: Peers): ReloadTarget {
  const order = async (verb: string, parameters: object, tell: Tell): Promise<ReloadReport> => {
    let report: ReloadReport | undefined;
    await peers.order(node, { verb, parameters }, (value) => {
      const progress = value as ReloadProgress;
      if ('stage' in progress) tell(progress.stage);
      else if ('report' in progress) report = progress.report;
    });
    if (report === undefined) throw new AdminError('ADM_NO_ANSWER', `node ${node} gave no report`);
    return report;
  };
  return {
    node,
    reload: (parameters, tell) => order('reload', parameters, tell),
    rollback: (parameters, tell) => order('reload.rollback', parameters, tell),
  };
}

/**
 * What operators ask of reloads: `reload`, `reload.list`, `reload.history`, `reload.rollback`.
 *
 * A reload answers again and again: `{ stage }` while it goes on, and `{ report }` in the end.
 */

import { RELOAD_LIMITS } from '../../runtime/reload/index.ts';
import { defineVerb, type Caller, type Verb } from '../admin/verb.ts';
import { AdminError } from '../admin/errors.ts';
import { DEFAULT_OPTIONS, type Coordinator, type Tell } from './coordinator.ts';
import type { ClusterReloadReport, NodeReloadParameters, NodeRollbackParameters } from '../nodes/reload-across.ts';
import type { ReloadReport } from './report.ts';

const NAME = { kind: 'text', required: true, position: 1, help: 'the behaviour: actors/connection' } as const;
const OBSERVE = {
  kind: 'integer',
  min: 0,
  max: RELOAD_LIMITS.observeMsMax as number,
  default: RELOAD_LIMITS.observeMsDefault as number,
  help: 'milliseconds to watch each stage before the next',
} as const;
const TIMEOUT = {
  kind: 'integer',
  min: 0,
  max: RELOAD_LIMITS.timeoutMsMax as number,
  default: RELOAD_LIMITS.timeoutMsDefault as number,
  help: 'milliseconds that an actor may hold on to the version before; then it is killed',
} as const;

const CLUSTER = {
  kind: 'flag',
  help: 'at every node of the cluster, one after the other; all go back if one fails',
} as const;

export const RELOAD = {
  name: 'reload',
  summary: 'load a new version of a behaviour into the running node, every connection open',
  changes: true,
  parameters: {
    name: NAME as typeof NAME,
    canary: { kind: 'text', default: '5%', help: 'share of the actors that try the version first; 0% for none' },
    check: { kind: 'flag', help: 'only check whether it could be applied' },
    observe: OBSERVE as typeof OBSERVE,
    record: {
      kind: 'integer',
      min: 0,
      max: 60_000,
      default: RELOAD_LIMITS.recordMsDefault as number,
      help: 'milliseconds for recording messages, which are then replayed in a shadow',
    },
    timeout: TIMEOUT as typeof TIMEOUT,
    renumber: { kind: 'flag', help: 'number the version one above the one that runs' },
    expect: { kind: 'text', help: 'SHA-256 that the bundle must have, as a report tells it' },
    run: { kind: 'text', help: 'a name for this reload, for "of" of reload rollback; through a cluster it has one' },
    cluster: CLUSTER as typeof CLUSTER,
    file: { kind: 'text', help: 'a file to load in place of the module’s own, within the root of the node' },
  },
} as const;

export const RELOAD_LIST = {
  name: 'reload.list',
  summary: 'the behaviours that can be reloaded, and the versions that run',
  changes: false,
  parameters: {},
} as const;

export const RELOAD_HISTORY = {
  name: 'reload.history',
  summary: 'reports of the last reloads',
  changes: false,
  parameters: {
    count: { kind: 'integer', min: 1, max: RELOAD_LIMITS.historyCountMax as number, default: 20, help: 'how many' },
  },
} as const;

export const RELOAD_ROLLBACK = {
  name: 'reload.rollback',
  summary: 'take the last reload of a behaviour back',
  changes: true,
  parameters: {
    name: NAME as typeof NAME,
    observe: OBSERVE as typeof OBSERVE,
    timeout: TIMEOUT as typeof TIMEOUT,
    of: { kind: 'text', help: 'only if the last reload is the one of this name, as the report of a cluster tells it' },
    cluster: CLUSTER as typeof CLUSTER,
  },
} as const;

export const RELOAD_MEMORY = {
  name: 'reload.memory',
  summary: 'collect garbage in every worker, and count the versions and the bytes that are left',
  changes: true,
  parameters: {},
} as const;

export const RELOAD_STALL = {
  name: 'reload.stall',
  summary: 'how long the event loop of each worker is away at a time while nothing is reloaded',
  changes: false,
  parameters: { for: { kind: 'integer', min: 1, max: 60_000, default: 1_000, help: 'milliseconds to look' } },
} as const;

/** What `reload` and `reload.rollback` answer. */
export type ReloadProgress = { readonly stage: string } | ReloadOutcome;

/** The last answer: of a node, or of all nodes of the cluster. */
export type ReloadOutcome = { readonly report: ReloadReport } | { readonly clusterReport: ClusterReloadReport };

/** Reloads at every node of a cluster. */
export interface AcrossNodes {
  reload(parameters: Omit<NodeReloadParameters, 'expect' | 'run'>, tell: Tell): Promise<ClusterReloadReport>;
  rollback(parameters: NodeRollbackParameters, tell: Tell): Promise<ClusterReloadReport>;
}

/** @param across - Absent for a node without a cluster. */
export function reloadVerbs(coordinator: Coordinator, across: AcrossNodes | undefined): Verb[] {
  return [
    defineVerb(
      RELOAD,
      ({ name, canary, check, observe, record, timeout, renumber, expect, run, cluster, file }, caller) => {
        checkReach(caller, cluster, file);
        if (cluster) {
          const parameters = { name, canary, check, observe, record, timeout, renumber };
          readShare(canary);
          return progressOf(async (tell) => ({ clusterReport: await inCluster(across).reload(parameters, tell) }));
        }
        const options = { ...DEFAULT_OPTIONS, name, renumber, file, expect, run, checkOnly: check };
        const share = readShare(canary);
        return progressOf(async (tell) => ({
          report: await coordinator.reload(
            { ...options, canary: share, observeMs: observe, recordMs: record, timeoutMs: timeout },
            tell,
          ),
        }));
      },
    ),
    defineVerb(RELOAD_LIST, async () => {
      const behaviors = await coordinator.list();
      return { behaviors, ended: coordinator.history.endedByRestart(behaviors) };
    }),
    defineVerb(RELOAD_MEMORY, async () => ({ workers: await coordinator.memory() })),
    defineVerb(RELOAD_STALL, async (values) => ({ stallMs: await coordinator.stalls(values.for) })),
    defineVerb(RELOAD_HISTORY, ({ count }) => {
      const { history } = coordinator;
      return { reports: history.last(count), lastIdBefore: history.lastIdBefore };
    }),
    defineVerb(RELOAD_ROLLBACK, ({ name, observe, timeout, of, cluster }, caller) => {
      checkReach(caller, cluster, undefined);
      return progressOf(async (tell) => {
        if (cluster) return { clusterReport: await inCluster(across).rollback({ name, observe, timeout, of }, tell) };
        return { report: await coordinator.rollback({ name, observeMs: observe, timeoutMs: timeout, of }, tell) };
      });
    }),
  ];
}

/**
 * A file is for the node where somebody names it: by the path of another node it would name who knows what. An order is for the node that gets it.
 *
 * @throws {AdminError} ADM_REFUSED.
 */
function checkReach({ via }: Caller, cluster: boolean, file: string | undefined): void {
  const isOrder = via.startsWith('node ');
  if (isOrder && cluster) throw new AdminError('ADM_REFUSED', 'an order is for the node that gets it');
  if (file !== undefined && (isOrder || cluster)) {
    throw new AdminError('ADM_REFUSED', 'through a cluster each node loads its own module: "file" is for one node');
  }
}

/** @throws {AdminError} ADM_REFUSED. */
function inCluster(across: AcrossNodes | undefined): AcrossNodes {
  if (across === undefined) throw new AdminError('ADM_REFUSED', 'this node has no cluster: leave --cluster out');
  return across;
}

/** `5%` or `0.05`. @throws {AdminError} ADM_BAD_PARAMETER. */
export function readShare(text: string): number {
  const match = /^(\d{1,3}(?:\.\d+)?)(%?)$/.exec(text);
  const share = match === null ? NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (share >= 0 && share <= 1) return share;
  throw new AdminError('ADM_BAD_PARAMETER', '"canary" expected a share from 0% to 100%');
}

/** What goes on, as it comes; then the report. A caller that leaves does not end the reload. */
async function* progressOf(run: (tell: Tell) => Promise<ReloadOutcome>): AsyncGenerator<ReloadProgress> {
  const stages: string[] = [];
  let wake = (): void => undefined;
  let outcome: ReloadOutcome | { readonly thrown: unknown } | undefined;
  const tell = (stage: string): void => {
    stages.push(stage);
    wake();
  };
  void run(tell).then(
    (ended) => {
      outcome = ended;
      wake();
    },
    (thrown: unknown) => {
      outcome = { thrown };
      wake();
    },
  );
  for (;;) {
    for (let stage = stages.shift(); stage !== undefined; stage = stages.shift()) yield { stage };
    if (outcome !== undefined) break;
    await new Promise<void>((resolve) => (wake = resolve));
  }
  if ('thrown' in outcome) throw outcome.thrown;
  yield outcome;
}

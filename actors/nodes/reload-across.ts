/**
 * A reload through a cluster: node after node, each with its verdict before the next begins, and all back if one of them fails.
 *
 *   check at every node ─▶ first node: a share, then all ─▶ second node ─▶ … ─▶ kept
 *       └─▶ refused            └── fault: it goes back by itself, then those before it, the last one first ─▶ rolled back
 *
 * What is taken back is named: a node that never took this reload, or has another one on top of it, stays where it is. A node that is busy or silent is asked
 * again for a while. The report says which version each node runs then, and `mixed` if they are not those that it began with.
 *
 * Meanwhile nodes with both versions serve together, as the workers of a node do while a share tries one: so a version that the running one would not
 * understand is refused by the check. What a node loads is on its own disk; it has to be the very bundle of the first (`RELOAD_OTHER_CODE`).
 *
 * Knows neither the transport nor threads: a node is something that reloads, and tells how it went.
 */

import type { Clock } from '../../runtime/index.ts';
import { isAdminError } from '../admin/errors.ts';
import { pause } from '../pause.ts';
import type { Tell } from '../reload/coordinator.ts';
import { formatReport, OUTCOMES, type Outcome, type ReloadReport } from '../reload/report.ts';
import { LIMITS } from './limits.ts';

/** What a node is asked, as its verb `reload` takes it. */
export interface NodeReloadParameters {
  readonly name: string;
  readonly canary: string;
  readonly check: boolean;
  readonly observe: number;
  readonly record: number;
  readonly timeout: number;
  readonly renumber: boolean;
  /** SHA-256 of the bundle; absent for the first node, which says it. */
  readonly expect?: string;
  /** Name of the reload through the cluster, the same at every node, and of no other reload. */
  readonly run: string;
}

export type NodeRollbackParameters = Pick<NodeReloadParameters, 'name' | 'observe' | 'timeout'> & {
  /** The `run` to take back; absent: whatever came last. */
  readonly of?: string | undefined;
};

/** One node. Rejects with an `AdminError` if it does not answer: then nothing is known of it. */
export interface ReloadTarget {
  readonly node: string;
  reload(parameters: NodeReloadParameters, tell: Tell): Promise<ReloadReport>;
  rollback(parameters: NodeRollbackParameters, tell: Tell): Promise<ReloadReport>;
}

export type NodeReload =
  | { readonly node: string; readonly report: ReloadReport }
  | { readonly node: string; readonly error: { readonly code: string; readonly message: string } };

/** `mixed`: some nodes run what they should not, or nobody knows; `runs` tells which. */
export type ClusterOutcome = Outcome | 'mixed';

export interface NodeVersion {
  readonly node: string;
  /** `undefined` for a node that did not say. */
  readonly version: number | undefined;
}

export interface ClusterReloadReport {
  readonly name: string;
  readonly outcome: ClusterOutcome;
  /** By what it can be taken back; absent for what takes back whatever came last. */
  readonly run: string | undefined;
  /** Whether this took an earlier reload back. */
  readonly isBack: boolean;
  readonly startedAt: string;
  readonly tookMs: number;
  /** Of the bundle, the same at every node. */
  readonly sha256: string | undefined;
  /** What each node that was asked said last, in the order in which they were. */
  readonly nodes: readonly NodeReload[];
  /** Those that were taken back because another one failed. */
  readonly back: readonly NodeReload[];
  /** What each node ran at the end, by what it said last. */
  readonly runs: readonly NodeVersion[];
}

/** @param targets - The first one is where a share of the actors tries the version. At least one. */
export async function reloadAcross(
  targets: readonly ReloadTarget[],
  parameters: Omit<NodeReloadParameters, 'expect'>,
  clock: Clock,
  tell: Tell,
): Promise<ClusterReloadReport> {
  const finish = beginReport(parameters, false, clock);
  const { checks, sha256 } = await checkAll(targets, parameters, tell);
  const began = versionsAfter(checks);
  const isChecked = checks.every((each) => outcomeOf(each) === 'checked');
  if (!isChecked) return finish({ outcome: 'refused', sha256, nodes: checks, runs: began });
  if (parameters.check || sha256 === undefined)
    return finish({ outcome: 'checked', sha256, nodes: checks, runs: began });
  const nodes: NodeReload[] = [];
  for (const [index, target] of targets.entries()) {
    const given = Object.assign({}, parameters, { canary: index === 0 ? parameters.canary : '0%', expect: sha256 });
    const each = await attempt(target, () => target.reload(given, within(target, tell)));
    nodes.push(each);
    if (outcomeOf(each) === 'kept') continue;
    // What a node did that does not answer any more is not known: it is asked to go back as well.
    const reloaded = targets.slice(0, 'error' in each ? index + 1 : index);
    const back = await takeBack(reloaded, Object.assign({}, parameters, { of: parameters.run }), clock, tell);
    const runs = versionsAfter([...checks, ...nodes, ...back]);
    const outcome = areAlike(runs, began) ? (back.length === 0 && outcomeOf(each)) || 'rolled_back' : 'mixed';
    return finish({ outcome, sha256, nodes, back, runs });
  }
  return finish({ outcome: 'kept', sha256, nodes, runs: versionsAfter(nodes) });
}

/** Takes a reload back at every node, whatever becomes of the others: the one that is named, or the last one of each. */
export async function rollBackAcross(
  targets: readonly ReloadTarget[],
  parameters: NodeRollbackParameters,
  clock: Clock,
  tell: Tell,
): Promise<ClusterReloadReport> {
  const finish = beginReport({ name: parameters.name, run: parameters.of }, true, clock);
  const nodes = await takeBack(targets, parameters, clock, tell);
  const keptCount = nodes.filter((each) => outcomeOf(each) === 'kept').length;
  const some = keptCount === 0 && nodes.every((each) => 'report' in each) ? 'refused' : 'mixed';
  const outcome = keptCount === nodes.length ? 'kept' : some;
  return finish({ outcome, sha256: undefined, nodes, runs: versionsAfter(nodes) });
}

interface Checked {
  readonly checks: NodeReload[];
  readonly sha256: string | undefined;
}

/** The first node says what is loaded; the others, all at once, whether they have the same. */
async function checkAll(
  [first, ...others]: readonly ReloadTarget[],
  parameters: Omit<NodeReloadParameters, 'expect'>,
  tell: Tell,
): Promise<Checked> {
  const check = (target: ReloadTarget, expect?: string): Promise<NodeReload> => {
    const given = Object.assign({}, parameters, { check: true }, expect === undefined ? undefined : { expect });
    return attempt(target, () => target.reload(given, within(target, tell)));
  };
  const own = await check(first!);
  const sha256 = 'report' in own ? own.report.bundle?.sha256 : undefined;
  if (outcomeOf(own) !== 'checked') return { checks: [own], sha256 };
  return { checks: [own, ...(await Promise.all(others.map((target) => check(target, sha256))))], sha256 };
}

/** The last one first: the version that all began with is on the fewest nodes, and grows from there. */
async function takeBack(
  targets: readonly ReloadTarget[],
  { name, observe, timeout, of }: NodeRollbackParameters,
  clock: Clock,
  tell: Tell,
): Promise<NodeReload[]> {
  const back: NodeReload[] = [];
  for (const target of targets.toReversed()) {
    tell(`${target.node}: taking it back`);
    const ask = (): Promise<NodeReload> =>
      attempt(target, () => target.rollback({ name, observe, timeout, of }, within(target, tell)));
    // Without a name a second try could take back one more.
    back.push(await (of === undefined ? ask() : untilItSays(ask, 2 * (observe + timeout), clock)));
  }
  return back;
}

/** Asks a node again that is busy, perhaps with the very reload that is to go back, or does not answer. */
async function untilItSays(ask: () => Promise<NodeReload>, reloadMs: number, clock: Clock): Promise<NodeReload> {
  const beganMs = clock.monotonicMs();
  for (;;) {
    const said = await ask();
    const isBusy = 'report' in said && said.report.refusals.some(({ code }) => code === 'RELOAD_BUSY');
    if ('report' in said && !isBusy) return said;
    const passedMs = clock.monotonicMs() - beganMs;
    if (passedMs > LIMITS.backAgainMs + (isBusy ? reloadMs : 0)) return said;
    await pause(clock, LIMITS.backPauseMs);
  }
}

async function attempt({ node }: ReloadTarget, run: () => Promise<ReloadReport>): Promise<NodeReload> {
  try {
    return { node, report: await run() };
  } catch (error) {
    if (!isAdminError(error)) throw error;
    return { node, error: { code: error.code, message: error.message } };
  }
}

function within({ node }: ReloadTarget, tell: Tell): Tell {
  return (stage) => tell(`${node}: ${stage}`);
}

/** `undefined` for a node that gave no report. */
function outcomeOf(each: NodeReload): Outcome | undefined {
  return 'report' in each ? each.report.outcome : undefined;
}

/** By what each said last, in the order in which they were asked first. */
function versionsAfter(said: readonly NodeReload[]): NodeVersion[] {
  const versions = new Map<string, number | undefined>();
  for (const each of said) versions.set(each.node, versionAfter(each));
  return Array.from(versions, ([node, version]) => ({ node, version }));
}

function versionAfter(each: NodeReload): number | undefined {
  if (!('report' in each)) return undefined;
  const { outcome, from, to } = each.report;
  return outcome === 'kept' ? to : from;
}

function areAlike(one: readonly NodeVersion[], other: readonly NodeVersion[]): boolean {
  return one.every(({ version }, index) => version !== undefined && version === other[index]?.version);
}

type Ending = Pick<ClusterReloadReport, 'outcome' | 'sha256' | 'nodes' | 'runs'> &
  Partial<Pick<ClusterReloadReport, 'back'>>;

function beginReport(
  { name, run }: Pick<ClusterReloadReport, 'name' | 'run'>,
  isBack: boolean,
  clock: Clock,
): (ending: Ending) => ClusterReloadReport {
  const startedAt = new Date(clock.nowMs()).toISOString();
  const beganMs = clock.monotonicMs();
  return ({ outcome, sha256, nodes, back = [], runs }) => {
    const tookMs = clock.monotonicMs() - beganMs;
    return { name, outcome, run, isBack, startedAt, tookMs, sha256, nodes, back, runs };
  };
}

// --- for people -------------------------------------------------------------------------------------------------

/** The report, without a line feed at its end. */
export function formatClusterReport(report: ClusterReloadReport): string {
  const { name, outcome, run, isBack, tookMs, startedAt, sha256, nodes, back, runs } = report;
  const word = isBack && outcome === 'kept' ? 'taken back' : outcome === 'mixed' ? MIXED : OUTCOMES[outcome];
  const code = sha256 === undefined ? '' : `, bundle ${sha256.slice(0, 12)}`;
  return [
    `${name} at ${nodes.length === 1 ? 'one node' : `${nodes.length} nodes`}: ${word} in ${Math.round(tookMs)} ms, ${startedAt}${code}`,
    ...nodes.flatMap((each) => nodeLines(each)),
    ...(back.length === 0 ? [] : ['asked to take it back:', ...back.flatMap((each) => nodeLines(each))]),
    `now: ${runs.map(({ node, version }) => `${node} runs ${version ?? 'nobody knows what'}`).join(', ')}`,
    ...(run === undefined || outcome === 'checked' || outcome === 'refused' ? [] : [`name: ${run}`]),
  ].join('\n');
}

const MIXED = 'NOT ALIKE at all nodes';

function nodeLines(each: NodeReload): string[] {
  const text = 'report' in each ? formatReport(each.report) : `${each.error.code}: ${each.error.message}`;
  return text.split('\n').map((line, index) => (index === 0 ? `${each.node}  ${line}` : `    ${line}`));
}

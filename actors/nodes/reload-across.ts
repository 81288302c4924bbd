/**
 * A reload through a cluster: node after node, each with its verdict before the next begins, and all back if one of them fails.
 *
 *   check at every node ─▶ first node: a share, then all ─▶ second node ─▶ … ─▶ kept
 *       └─▶ refused            └── fault: it goes back by itself, then those before it, the last one first ─▶ rolled back
 *
 * Meanwhile nodes with both versions serve together, as the workers of a node do while a share tries one: so a version that the running one would not
 * understand is refused by the check. What a node loads is on its own disk; it has to be the very bundle of the first (`RELOAD_OTHER_CODE`).
 *
 * Knows neither the transport nor threads: a node is something that reloads, and tells how it went.
 */

import type { Clock } from '../../runtime/index.ts';
import { isAdminError } from '../admin/errors.ts';
import type { Tell } from '../reload/coordinator.ts';
import { formatReport, OUTCOMES, type Outcome, type ReloadReport } from '../reload/report.ts';

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
}

export type NodeRollbackParameters = Pick<NodeReloadParameters, 'name' | 'observe' | 'timeout'>;

/** One node. Rejects with an `AdminError` if it does not answer: then nothing is known of it. */
export interface ReloadTarget {
  readonly node: string;
  reload(parameters: NodeReloadParameters, tell: Tell): Promise<ReloadReport>;
  rollback(parameters: NodeRollbackParameters, tell: Tell): Promise<ReloadReport>;
}

export type NodeReload =
  | { readonly node: string; readonly report: ReloadReport }
  | { readonly node: string; readonly error: { readonly code: string; readonly message: string } };

export interface ClusterReloadReport {
  readonly name: string;
  readonly outcome: Outcome;
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
}

/** @param targets - The first one is where a share of the actors tries the version. At least one. */
export async function reloadAcross(
  targets: readonly ReloadTarget[],
  parameters: Omit<NodeReloadParameters, 'expect'>,
  clock: Clock,
  tell: Tell,
): Promise<ClusterReloadReport> {
  const finish = beginReport(parameters.name, false, clock);
  const { checks, sha256 } = await checkAll(targets, parameters, tell);
  if (!checks.every((each) => outcomeOf(each) === 'checked')) return finish('refused', sha256, checks);
  if (parameters.check || sha256 === undefined) return finish('checked', sha256, checks);
  const done: NodeReload[] = [];
  for (const [index, target] of targets.entries()) {
    const canary = index === 0 ? parameters.canary : '0%';
    const each = await attempt(target, () =>
      target.reload(Object.assign({}, parameters, { canary, expect: sha256 }), within(target, tell)),
    );
    done.push(each);
    if (outcomeOf(each) === 'kept') continue;
    // What a node did that does not answer any more is not known: it is asked to go back as well.
    const reloaded = targets.slice(0, 'error' in each ? index + 1 : index);
    const back = await takeBack(reloaded, parameters, tell);
    return finish(back.length === 0 ? (outcomeOf(each) ?? 'rolled_back') : 'rolled_back', sha256, done, back);
  }
  return finish('kept', sha256, done);
}

/** Takes the last reload back at every node, whatever becomes of the others. */
export async function rollBackAcross(
  targets: readonly ReloadTarget[],
  parameters: NodeRollbackParameters,
  clock: Clock,
  tell: Tell,
): Promise<ClusterReloadReport> {
  const finish = beginReport(parameters.name, true, clock);
  const nodes = await takeBack(targets, parameters, tell);
  return finish(nodes.every((each) => outcomeOf(each) === 'kept') ? 'kept' : 'refused', undefined, nodes);
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
  { name, observe, timeout }: NodeRollbackParameters,
  tell: Tell,
): Promise<NodeReload[]> {
  const back: NodeReload[] = [];
  for (const target of targets.toReversed()) {
    tell(`${target.node}: taking it back`);
    back.push(await attempt(target, () => target.rollback({ name, observe, timeout }, within(target, tell))));
  }
  return back;
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

type Finish = (
  outcome: Outcome,
  sha256: string | undefined,
  nodes: readonly NodeReload[],
  back?: readonly NodeReload[],
) => ClusterReloadReport;

function beginReport(name: string, isBack: boolean, clock: Clock): Finish {
  const startedAt = new Date(clock.nowMs()).toISOString();
  const beganMs = clock.monotonicMs();
  return (outcome, sha256, nodes, back = []) => {
    const tookMs = clock.monotonicMs() - beganMs;
    return { name, outcome, isBack, startedAt, tookMs, sha256, nodes, back };
  };
}

// --- for people -------------------------------------------------------------------------------------------------

/** The report, without a line feed at its end. */
export function formatClusterReport(report: ClusterReloadReport): string {
  const { name, outcome, isBack, tookMs, startedAt, sha256, nodes, back } = report;
  const word = isBack && outcome === 'kept' ? 'taken back' : OUTCOMES[outcome];
  const code = sha256 === undefined ? '' : `, bundle ${sha256.slice(0, 12)}`;
  return [
    `${name} at ${nodes.length} nodes: ${word} in ${Math.round(tookMs)} ms, ${startedAt}${code}`,
    ...nodes.flatMap((each) => nodeLines(each)),
    ...(back.length === 0 ? [] : ['taken back:', ...back.flatMap((each) => nodeLines(each))]),
  ].join('\n');
}

function nodeLines(each: NodeReload): string[] {
  const text = 'report' in each ? formatReport(each.report) : `${each.error.code}: ${each.error.message}`;
  return text.split('\n').map((line, index) => (index === 0 ? `${each.node}  ${line}` : `    ${line}`));
}

/** The half of the page that is asked for: tree, crashes, code, audit. The nodes are in `cluster.ts`. */

import type { TreeActor, TreeAnswer } from '../../admin/actor-questions.ts';
import type { EachAnswer } from '../../admin/ask.ts';
import type { AuditLine } from '../../admin/audit.ts';
import type { LineageNode } from '../../../runtime/index.ts';
import type { ReloadReport } from '../../reload/report.ts';
import type { CrashRow } from '../verbs.ts';
import { button, byId, count, element, fillTable, time, type Cell } from './dom.ts';

export function showTree({ workers }: { readonly workers: readonly EachAnswer<TreeAnswer>[] }): void {
  const trees = workers.map((each) => {
    const title = element('strong', {}, `worker ${each.worker}`);
    if ('error' in each) return element('li', {}, title, ` ${each.error}`);
    const { roots, orphans } = each.ok;
    const loose =
      orphans > 0 ? element('p', { class: 'empty' }, `and ${count(orphans)} that nobody supervises`) : undefined;
    return element('li', {}, title, element('ul', {}, ...roots.map(treeItem)), loose);
  });
  byId('tree').replaceChildren(element('ul', {}, ...trees));
}

function treeItem({ shown, childCount, children }: LineageNode<TreeActor>): HTMLElement {
  if (childCount === 0) return element('li', {}, element('div', { class: 'leaf' }, ...treeLabel(shown)));
  const missing = childCount - children.length;
  const more = missing > 0 ? element('li', { class: 'leaf soft' }, `… ${count(missing)} more`) : undefined;
  const details = element('details', { open: '' }, element('summary', {}, ...treeLabel(shown)));
  details.append(element('ul', {}, ...children.map(treeItem), more));
  return element('li', {}, details);
}

function treeLabel({ pid, name, behavior, status, queue }: TreeActor): Node[] {
  const busy = queue > 0 ? `, ${count(queue)} waiting` : '';
  const state = status === 'waiting' ? '' : `, ${status}`;
  return [
    element('span', {}, name ?? behavior, ' '),
    element('span', { class: 'soft mono' }, pid),
    element('span', { class: 'soft' }, ` ${name === undefined ? '' : behavior}${state}${busy}`),
  ];
}

export function showCrashes({ crashes }: { readonly crashes: readonly CrashRow[] }): void {
  const items = crashes.map(({ atMs, worker, event, fields }) => {
    const { stack, reason, ...rest } = fields as { stack?: string; reason?: string } & Record<string, unknown>;
    const offender = (fields['offender'] as { readonly id?: string } | undefined)?.id;
    const who = [offender, fields['name'], fields['behavior'], fields['supervisor']]
      .filter((part) => part !== undefined)
      .join(', ');
    const head = element(
      'summary',
      {},
      `${time(atMs)}  worker ${worker}  `,
      element('span', { class: 'bad' }, who),
      `  ${reason ?? ''}`,
    );
    const text = [stack, event, JSON.stringify(rest, null, 2)].filter((part) => part !== undefined).join('\n\n');
    return element('details', { class: 'report' }, head, element('pre', {}, text));
  });
  byId('crashes').replaceChildren(...orEmpty(items, 'Nothing has crashed since the node was started.'));
}

function orEmpty(items: readonly Node[], text: string): Node[] {
  return items.length > 0 ? [...items] : [element('p', { class: 'empty' }, text)];
}

/** A line of `reload.list`, as far as the page looks at it. */
export interface LiveBehaviorRow {
  readonly name: string;
  readonly version: number;
}

export interface CodeActions {
  readonly reload: (name: string, isCheck: boolean) => void;
  readonly rollBack: (name: string) => void;
}

export function showBehaviors(rows: readonly LiveBehaviorRow[], isSignedIn: boolean, actions: CodeActions): void {
  const cells = rows.map(({ name, version }): Cell[] => {
    const buttons = element('span', {});
    if (isSignedIn) {
      buttons.append(
        button('check', () => actions.reload(name, true)),
        button('reload', () => actions.reload(name, false)),
        button('roll back', () => actions.rollBack(name), 'small danger'),
      );
    }
    return [name, { right: String(version) }, buttons];
  });
  fillTable(byId('behaviors'), 'Behaviours that can be replaced while they run', ['behaviour', 'version', ''], cells);
}

const OUTCOME_CLASSES: Readonly<Record<string, string>> = {
  kept: 'good',
  checked: 'good',
  refused: 'warn',
  rolled_back: 'bad',
};

export function showReloads(reports: readonly ReloadReport[]): void {
  const items = reports.map((report) => {
    const { id, name, outcome, from, to, startedAt, tookMs, isBack } = report;
    const word = isBack && outcome === 'kept' ? 'taken back' : outcome.replace('_', ' ');
    const tag = element('span', { class: `tag ${OUTCOME_CLASSES[outcome] ?? ''}` }, word);
    const versions = from === undefined ? '' : ` ${from} → ${to ?? '?'}`;
    const head = element(
      'summary',
      {},
      `#${id} ${name}${versions} `,
      tag,
      `  ${count(tookMs)} ms, ${time(Date.parse(startedAt))}`,
    );
    return element('details', { class: 'report' }, head, element('pre', {}, JSON.stringify(report, null, 2)));
  });
  byId('reloads').replaceChildren(...orEmpty(items, 'Nothing has been reloaded.'));
}

export function showAudit({ lines }: { readonly lines: readonly AuditLine[] }): void {
  const cells = lines.map((line): Cell[] => [
    String(line['time'] ?? ''),
    String(line['entry'] ?? ''),
    String(line['verb'] ?? ''),
    String(line['via'] ?? ''),
    line['outcome'] === undefined ? JSON.stringify(line['parameters'] ?? {}) : String(line['outcome']),
  ]);
  fillTable(
    byId('audit'),
    'Newest first; each action has a line before and one after',
    ['time', 'entry', 'what', 'via', 'parameters or outcome'],
    cells,
  );
}

/** The live half of the page: figures, charts, workers, behaviours and actors, from the frames of `top`. */

import type { TopActor, TopFrame, TopGroup, TopWorker } from '../../admin/top.ts';
import { Chart } from './charts.ts';
import { button, byId, bytes, count, element, fillTable, percent, span, type Cell } from './dom.ts';

/** What can be done to an actor from its row. */
export type ActorAction = 'inspect' | 'suspend' | 'resume' | 'kill';

interface Charts {
  readonly work: Chart;
  readonly clients: Chart;
  readonly busy: Chart;
  readonly heap: Chart;
}

export class NowView {
  readonly #onAction: (action: ActorAction, actor: TopActor) => void;
  #charts: Charts | undefined;
  #frames = 0;

  constructor(onAction: (action: ActorAction, actor: TopActor) => void) {
    this.#onAction = onAction;
  }

  show(frame: TopFrame, isSignedIn: boolean): void {
    const { status, workers, groups, actors, coverage } = frame;
    byId('node-name').textContent = status.node;
    byId('node-facts').textContent =
      `${status.version}, process ${status.pid}, up ${span(status.uptimeMs)}, ${status.url}`;
    this.#showFigures(frame);
    // The rates of the first frame are means since the start, and would be the highest point of the chart.
    if (++this.#frames > 1) this.#draw(frame);
    fillTable(byId('workers'), 'Workers', WORKER_HEAD, workers.map(workerCells));
    fillTable(byId('groups'), 'All actors, by what they are', GROUP_HEAD, groups.map(groupCells));
    byId('coverage').textContent = isHeld() ? 'held while you point at it' : coverageText(coverage);
    if (!isHeld()) {
      const rows = actors.map((actor) => this.#actorCells(actor, isSignedIn));
      fillTable(byId('actors'), 'First of all actors of the node', ACTOR_HEAD, rows);
    }
    offerBehaviors(groups);
  }

  #showFigures({ status, workers }: TopFrame): void {
    const sum = sumOf(workers);
    const figures: readonly (readonly [string, string])[] = [
      ['connections', count(sum((each) => each.connections))],
      ['actors', count(sum((each) => each.actors))],
      ['actor messages a second', count(sum((each) => each.messagesPerS))],
      ['messages stored a second', count(sum((each) => each.storedPerS))],
      ['messages that wait for actors', count(sum((each) => each.queued))],
      ['memory of the process', bytes(status.memoryBytes)],
    ];
    byId('figures').replaceChildren(
      ...figures.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
    );
  }

  #draw({ status, workers }: TopFrame): void {
    const charts = (this.#charts ??= makeCharts(byId('charts'), workers));
    const sum = sumOf(workers);
    const at = status.nowMs / 1_000;
    charts.work.add(at, [sum((each) => each.messagesPerS), sum((each) => each.storedPerS)]);
    charts.clients.add(at, [sum((each) => each.connections)]);
    charts.busy.add(
      at,
      workers.map((each) => each.busyShare ?? 0),
    );
    charts.heap.add(
      at,
      workers.map((each) => each.heapBytes ?? 0),
    );
  }

  #actorCells(actor: TopActor, isSignedIn: boolean): Cell[] {
    const act = (label: ActorAction, className?: string): HTMLButtonElement =>
      button(label, () => this.#onAction(label, actor), className);
    const actions = element('span', {}, act('inspect'));
    if (isSignedIn) actions.append(act('suspend'), act('resume'), act('kill', 'small danger'));
    return [
      actor.name ?? actor.behavior,
      element('span', { class: 'mono' }, actor.pid),
      actor.status,
      { right: count(actor.queue) },
      { right: actor.ageMs === 0 ? '' : `${count(actor.ageMs)} ms` },
      { right: count(actor.messagesPerS) },
      { right: percent(actor.timeShare) },
      { right: bytes(actor.bytes) },
      actions,
    ];
  }
}

/** A row that changes its place under the pointer, or takes the focus with it, would be the wrong one to act on. */
function isHeld(): boolean {
  const body = byId('actors').querySelector('tbody');
  return body !== null && (body.contains(document.activeElement) || body.matches(':hover'));
}

function coverageText(coverage: number): string {
  return coverage < 1 ? `${percent(coverage)} of all actors seen in time` : '';
}

const WORKER_HEAD = [
  'worker',
  'busy',
  'heap',
  'connections',
  'actors',
  'waiting',
  'messages a second',
  'stored a second',
];
const GROUP_HEAD = ['behaviour', 'actors', 'waiting', 'messages a second', 'time'];
const ACTOR_HEAD = ['actor', 'pid', 'status', 'queue', 'oldest', 'messages a second', 'time', 'bytes, at least', ''];

function sumOf(workers: readonly TopWorker[]): (pick: (worker: TopWorker) => number | undefined) => number {
  return (pick) => workers.reduce((total, worker) => total + (pick(worker) ?? 0), 0);
}

function makeCharts(parent: HTMLElement, workers: readonly TopWorker[]): Charts {
  const names = workers.map(({ worker }) => `worker ${worker}`);
  return {
    work: new Chart(parent, { title: 'Messages a second', series: ['between actors', 'stored'], format: count }),
    clients: new Chart(parent, { title: 'Connections', series: ['connections'], format: count }),
    busy: new Chart(parent, { title: 'How busy the workers are', series: names, format: percent }),
    heap: new Chart(parent, { title: 'Heap of the workers', series: names, format: bytes }),
  };
}

function workerCells(worker: TopWorker): Cell[] {
  if (worker.error !== undefined) return [String(worker.worker), element('span', { class: 'bad' }, worker.error)];
  return [
    String(worker.worker),
    gauge(worker.busyShare ?? 0, 0.9),
    gauge((worker.heapBytes ?? 0) / Math.max(1, worker.heapBytesMax ?? 1), 0.8),
    { right: count(worker.connections ?? 0) },
    { right: count(worker.actors ?? 0) },
    { right: count(worker.queued ?? 0) },
    { right: count(worker.messagesPerS ?? 0) },
    { right: count(worker.storedPerS ?? 0) },
  ];
}

function gauge(share: number, high: number): HTMLElement {
  const meter = element('meter', { min: '0', max: '1', high: String(high), optimum: '0', value: share.toFixed(3) });
  return element('span', {}, meter, percent(share));
}

function groupCells(group: TopGroup): Cell[] {
  const { behavior, queued, messagesPerS, timeShare } = group;
  return [
    behavior,
    { right: count(group.count) },
    { right: count(queued) },
    { right: count(messagesPerS) },
    { right: percent(timeShare) },
  ];
}

/** New behaviours are added to the choice; what is chosen stays. */
function offerBehaviors(groups: readonly TopGroup[]): void {
  const select = byId<HTMLSelectElement>('behavior');
  const known = new Set([...select.options].map(({ value }) => value));
  for (const { behavior } of groups) {
    if (!known.has(behavior)) select.append(element('option', { value: behavior }, behavior));
  }
}

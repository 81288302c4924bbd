/**
 * `blindbeam top` without a terminal: what is looked at, what a key changes, and how a frame looks as lines of text. Pure;
 * `top.ts` has the terminal.
 */

import type { ActorDetails } from '../../actors/admin/actor-questions.ts';
import { RANK_BY } from '../../actors/admin/rank-by.ts';
import type { TopActor, TopFrame, TopGroup, TopWorker } from '../../actors/admin/top.ts';
import type { NodeList, NodeMap } from '../../actors/nodes/verbs.ts';
import { printDetails } from './print-actors.ts';
import { mapLines, nodeLines, summaryText } from './print-nodes.ts';
import { bytes, count, percent, span, table } from './text.ts';

export type RankBy = (typeof RANK_BY)[number];

/** What the person has chosen. */
export interface TopView {
  readonly by: RankBy;
  readonly page: 'actors' | 'behaviours' | 'actor' | 'nodes' | 'help';
  readonly isPaused: boolean;
  readonly intervalMs: number;
  /** Of the rows shown. */
  readonly selected: number;
  readonly behavior: string | undefined;
  /** The actor of the page `actor`. */
  readonly pid: string | undefined;
}

/** What the page `nodes` shows; without a cluster there is no map. */
export interface NodesLook {
  readonly list: NodeList;
  readonly map: NodeMap | undefined;
}

/** What was asked for beside the frame: an actor, the nodes, or why there is nothing to show. */
export type TopDetails =
  { readonly actor: ActorDetails } | { readonly nodes: NodesLook } | { readonly problem: string };

export interface TopSize {
  readonly columns: number;
  readonly lines: number;
}

export const FIRST_VIEW: TopView = {
  by: 'messages',
  page: 'actors',
  isPaused: false,
  intervalMs: 1_000,
  selected: 0,
  behavior: undefined,
  pid: undefined,
};

const INTERVALS_MS: readonly number[] = [200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

const RANK_KEYS: Readonly<Record<string, RankBy>> = { u: 'queue', a: 'age', m: 'messages', t: 'time', e: 'memory' };

/** The view after a key; `undefined` ends. Names of keys are those of Node's readline. */
export function pressKey(view: TopView, key: string, frame: TopFrame | undefined): TopView | undefined {
  if (key === 'q' || key === 'ctrl-c') return undefined;
  const by = RANK_KEYS[key];
  if (by !== undefined) return { ...view, by, page: 'actors', selected: 0 };
  switch (key) {
    case 'right':
    case '>':
      return { ...view, by: neighbour(RANK_BY, view.by, 1), selected: 0 };
    case 'left':
    case '<':
      return { ...view, by: neighbour(RANK_BY, view.by, -1), selected: 0 };
    case 'b':
      return { ...view, page: view.page === 'behaviours' ? 'actors' : 'behaviours', selected: 0 };
    case 'n':
      return { ...view, page: view.page === 'nodes' ? 'actors' : 'nodes' };
    case 'h':
    case '?':
      return { ...view, page: view.page === 'help' ? 'actors' : 'help' };
    case 'space':
      return { ...view, isPaused: !view.isPaused };
    case '+':
      return { ...view, intervalMs: neighbour(INTERVALS_MS, view.intervalMs, 1) };
    case '-':
      return { ...view, intervalMs: neighbour(INTERVALS_MS, view.intervalMs, -1) };
    case 'up':
    case 'k':
      return { ...view, selected: Math.max(0, view.selected - 1) };
    case 'down':
    case 'j':
      return { ...view, selected: Math.min(Math.max(0, rowCount(view, frame) - 1), view.selected + 1) };
    case 'return':
      return open(view, frame);
    case 'escape':
    case 'backspace':
      return back(view);
  }
  return view;
}

function neighbour<T>(all: readonly T[], now: T, step: number): T {
  return all[Math.min(all.length - 1, Math.max(0, all.indexOf(now) + step))]!;
}

function rowCount(view: TopView, frame: TopFrame | undefined): number {
  if (frame === undefined) return 0;
  return view.page === 'behaviours' ? frame.groups.length : frame.actors.length;
}

/** Of a behaviour its actors, of an actor its details. */
function open(view: TopView, frame: TopFrame | undefined): TopView {
  if (view.page === 'behaviours') {
    const behavior = frame?.groups[view.selected]?.behavior;
    return behavior === undefined ? view : { ...view, page: 'actors', behavior, selected: 0 };
  }
  const pid = view.page === 'actors' ? frame?.actors[view.selected]?.pid : undefined;
  return pid === undefined ? view : { ...view, page: 'actor', pid };
}

function back(view: TopView): TopView {
  if (view.page === 'actor' || view.page === 'nodes' || view.page === 'help')
    return { ...view, page: 'actors', pid: undefined };
  return { ...view, page: 'actors', behavior: undefined, selected: 0 };
}

// --- how it looks -----------------------------------------------------------------------------------------------

/** A line, and whether it stands out. */
export interface Line {
  readonly text: string;
  readonly style?: 'bold' | 'reverse' | 'dim' | 'warn';
}

/** At most `size.lines` lines of at most `size.columns` characters. */
export function renderTop(frame: TopFrame, view: TopView, details: TopDetails | undefined, size: TopSize): Line[] {
  const workers = frame.workers.map((worker) => workerLine(worker, size));
  const head = [...headLines(frame, view), ...workers, { text: '' }];
  const room = Math.max(1, size.lines - head.length - 1);
  const body = bodyLines(frame, view, details, room, size);
  const padding = Array.from({ length: Math.max(0, room - body.length) }, (): Line => ({ text: '' }));
  const lines = [...head, ...body.slice(0, room), ...padding, footLine(view, size)];
  return lines.slice(0, size.lines).map(({ text, style }) => {
    const cut = text.slice(0, size.columns);
    return style === undefined ? { text: cut } : { text: style === 'reverse' ? cut.padEnd(size.columns) : cut, style };
  });
}

function headLines({ status, workers, coverage }: TopFrame, view: TopView): Line[] {
  const sum = (pick: (worker: TopWorker) => number | undefined): number =>
    workers.reduce((total, worker) => total + (pick(worker) ?? 0), 0);
  const seen = coverage < 1 ? `, seen ${percent(coverage)} of them` : '';
  const paused = view.isPaused ? '  PAUSED' : '';
  return [
    {
      text: `${status.node} ${status.version}  up ${span(status.uptimeMs)}  ${status.url}  process ${status.pid}${paused}`,
      style: 'bold',
    },
    {
      text: [
        `${count(sum((each) => each.connections))} connections`,
        `${count(sum((each) => each.actors))} actors${seen}`,
        `${count(sum((each) => each.messagesPerS))} actor messages/s`,
        `${count(sum((each) => each.storedPerS))} stored/s`,
        `${bytes(status.memoryBytes)}`,
      ].join('  '),
    },
  ];
}

/** Below so many columns what is least missed is left out, so that nothing that ranks is cut off. */
const WIDE_COLUMNS = 110;

function isNarrow({ columns }: TopSize): boolean {
  return columns < WIDE_COLUMNS;
}

const BAR_CHARS = 20;
const NARROW_BAR_CHARS = 8;

function workerLine(worker: TopWorker, size: TopSize): Line {
  if (worker.error !== undefined) return { text: `${worker.worker}  ${worker.error}`, style: 'warn' };
  const share = Math.min(1, Math.max(0, worker.busyShare ?? 0));
  const chars = isNarrow(size) ? NARROW_BAR_CHARS : BAR_CHARS;
  const full = Math.round(share * chars);
  const bar = `${'█'.repeat(full)}${'░'.repeat(chars - full)}`;
  const heap = (worker.heapBytes ?? 0) / Math.max(1, worker.heapBytesMax ?? 1);
  const text = [
    `${String(worker.worker).padStart(2)} ${bar} ${percent(share).padStart(5)}`,
    `heap ${percent(heap)} of ${bytes(worker.heapBytesMax ?? 0)}`,
    `${count(worker.connections ?? 0)} connections`,
    `${count(worker.queued ?? 0)} queued`,
    `${count(worker.messagesPerS ?? 0)}/s`,
  ].join('  ');
  return share > 0.9 || heap > 0.8 ? { text, style: 'warn' } : { text };
}

function bodyLines(
  frame: TopFrame,
  view: TopView,
  details: TopDetails | undefined,
  room: number,
  size: TopSize,
): Line[] {
  switch (view.page) {
    case 'help':
      return HELP.map((text) => ({ text }));
    case 'actor':
    case 'nodes':
      return detailLines(details, room, size);
    case 'behaviours':
      return tableLines(GROUP_HEAD, frame.groups.map(groupCells), view.selected, room, 0);
    case 'actors':
      return actorLines(frame, view, room, size);
  }
}

function detailLines(details: TopDetails | undefined, room: number, size: TopSize): Line[] {
  if (details === undefined) return [{ text: 'asking …' }];
  if ('nodes' in details) return clusterLines(details.nodes, room, size);
  const text = 'actor' in details ? printDetails(details.actor) : details.problem;
  return text.split('\n').map((line) => ({ text: line }));
}

/** The nodes, what is wrong with one in a line of its own, the sum, and as much of the map as there is room for. */
function clusterLines({ list, map }: NodesLook, room: number, size: TopSize): Line[] {
  const { nodes, shards } = list;
  const [head, ...rows] = nodeLines(nodes, isNarrow(size));
  const lines: Line[] = [{ text: head!, style: 'bold' }];
  rows.forEach((text, index) => {
    const { state, reason } = nodes[index]!;
    const isWell = state === 'up' || state === 'draining';
    lines.push(isWell ? { text } : { text, style: 'warn' });
    if (reason !== undefined) lines.push({ text: `  ${reason}`, style: 'warn' });
  });
  if (shards === undefined || map === undefined) return lines;
  const text = summaryText(shards);
  lines.push({ text: '' }, shards.unserved + shards.single === 0 ? { text } : { text, style: 'warn' }, { text: '' });
  const mapped = mapLines(map, isNarrow(size), room - lines.length);
  lines.push(
    ...mapped.map(({ text, isWell }, index): Line =>
      index === 0 ? { text, style: 'bold' } : isWell ? { text } : { text, style: 'warn' },
    ),
  );
  return lines;
}

function actorLines(frame: TopFrame, view: TopView, room: number, size: TopSize): Line[] {
  const marked = ACTOR_HEAD.map((title) => (title === TITLES[view.by] ? `${title}▼` : title));
  const cells = frame.actors.map(actorCells);
  const lines = isNarrow(size)
    ? tableLines(withoutPid(marked), cells.map(withoutPid), view.selected, room, 1)
    : tableLines(marked, cells, view.selected, room, 2);
  const filter = view.behavior === undefined ? [] : [{ text: `only ${view.behavior}`, style: 'dim' } as const];
  return [...filter, ...lines];
}

const TITLES: Readonly<Record<RankBy, string>> = {
  queue: 'QUEUE',
  age: 'OLDEST',
  messages: 'MSG/S',
  time: 'TIME',
  memory: 'BYTES≥',
};

const ACTOR_HEAD: readonly string[] = ['NAME', 'PID', 'STATUS', 'QUEUE', 'OLDEST', 'MSG/S', 'TIME', 'BYTES≥'];

/** A pid is for other commands to be given, and `enter` looks without it. */
function withoutPid(row: readonly string[]): readonly string[] {
  return row.filter((_, column) => column !== PID_COLUMN);
}

const PID_COLUMN = 1;

function actorCells(actor: TopActor): string[] {
  return [
    actor.name ?? actor.behavior,
    actor.pid,
    actor.status,
    count(actor.queue),
    actor.ageMs === 0 ? '' : `${count(actor.ageMs)} ms`,
    count(actor.messagesPerS),
    percent(actor.timeShare),
    bytes(actor.bytes),
  ];
}

const GROUP_HEAD: readonly string[] = ['BEHAVIOUR', 'ACTORS', 'QUEUED', 'MSG/S', 'TIME'];

function groupCells(group: TopGroup): string[] {
  return [group.behavior, count(group.count), count(group.queued), count(group.messagesPerS), percent(group.timeShare)];
}

/** Only the rows that fit, with the selected one among them. */
function tableLines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  selected: number,
  room: number,
  textColumns: number,
): Line[] {
  const from = Math.max(0, Math.min(selected - room + 2, rows.length - room + 1));
  const shown = rows.slice(from, from + Math.max(1, room - 1));
  const right = head.map((_, column) => column > textColumns);
  const [title, ...lines] = table(head, shown, right).split('\n');
  return [
    { text: title!, style: 'bold' },
    ...lines.map((text, index): Line => (from + index === selected ? { text, style: 'reverse' } : { text })),
  ];
}

function footLine(view: TopView, size: TopSize): Line {
  if (view.page === 'actor' || view.page === 'nodes' || view.page === 'help')
    return { text: 'esc back  q quit', style: 'dim' };
  const pace = isNarrow(size) ? '' : `+- every ${view.intervalMs / 1_000} s  `;
  const text = `←→ rank by  ↑↓ enter look  b behaviours  n nodes  space pause  ${pace}? help  q quit`;
  return { text, style: 'dim' };
}

const HELP: readonly string[] = [
  'Rank actors by        u  messages that wait        a  age of the oldest',
  '                      m  messages handled          t  time, share of a core',
  '                      e  memory, a lower bound     or go with ← and →',
  '',
  'b      behaviours: all actors of a kind together; enter shows those of one kind',
  'enter  an actor in detail',
  'n      the nodes of the cluster with their figures, and the map of its shards',
  'esc    back; without a filter',
  'space  stop the picture, and go on',
  '+ -    more rarely, more often',
  '',
  'Time is measured in one turn of about 32; BYTES≥ is the actor, its queue and',
  'the first level of its state. A wider window shows pids as well.',
];

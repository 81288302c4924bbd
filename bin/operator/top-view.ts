/**
 * `blindbeam top` without a terminal: what is looked at, what a key changes, and how a frame looks as lines of text. Pure;
 * `top.ts` has the terminal.
 */

import type { ActorDetails } from '../../actors/admin/actor-questions.ts';
import { RANK_BY } from '../../actors/admin/rank-by.ts';
import type { TopActor, TopFrame, TopGroup, TopWorker } from '../../actors/admin/top.ts';
import { printDetails } from './print-actors.ts';
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
export function renderTop(
  frame: TopFrame,
  view: TopView,
  details: ActorDetails | string | undefined,
  size: TopSize,
): Line[] {
  const head = [...headLines(frame, view), ...frame.workers.map(workerLine), { text: '' }];
  const room = Math.max(1, size.lines - head.length - 1);
  const body = bodyLines(frame, view, details, room);
  const padding = Array.from({ length: Math.max(0, room - body.length) }, (): Line => ({ text: '' }));
  const lines = [...head, ...body.slice(0, room), ...padding, footLine(view)];
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

const BAR_CHARS = 20;

function workerLine(worker: TopWorker): Line {
  if (worker.error !== undefined) return { text: `${worker.worker}  ${worker.error}`, style: 'warn' };
  const share = Math.min(1, Math.max(0, worker.busyShare ?? 0));
  const full = Math.round(share * BAR_CHARS);
  const bar = `${'█'.repeat(full)}${'░'.repeat(BAR_CHARS - full)}`;
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

function bodyLines(frame: TopFrame, view: TopView, details: ActorDetails | string | undefined, room: number): Line[] {
  switch (view.page) {
    case 'help':
      return HELP.map((text) => ({ text }));
    case 'actor':
    case 'nodes':
      return detailLines(details);
    case 'behaviours':
      return tableLines(GROUP_HEAD, frame.groups.map(groupCells), view.selected, room, 0);
    case 'actors':
      return actorLines(frame, view, room);
  }
}

function detailLines(details: ActorDetails | string | undefined): Line[] {
  if (details === undefined) return [{ text: 'asking …' }];
  const text = typeof details === 'string' ? details : printDetails(details);
  return text.split('\n').map((line) => ({ text: line }));
}

function actorLines(frame: TopFrame, view: TopView, room: number): Line[] {
  const marked = ACTOR_HEAD.map((title) => (title === TITLES[view.by] ? `${title}▼` : title));
  const lines = tableLines(marked, frame.actors.map(actorCells), view.selected, room, 2);
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

function footLine(view: TopView): Line {
  const seconds = view.intervalMs / 1_000;
  const text =
    view.page === 'actor' || view.page === 'nodes' || view.page === 'help'
      ? 'esc back  q quit'
      : `←→ rank by  ↑↓ enter look  b behaviours  space pause  +- every ${seconds} s  ? help  q quit`;
  return { text, style: 'dim' };
}

const HELP: readonly string[] = [
  'Rank actors by        u  messages that wait        a  how long the oldest has waited',
  '                      m  messages handled          t  time, as a share of one core',
  '                      e  memory, a lower bound     or go with ← and →',
  '',
  'b      behaviours: all actors of a kind together; enter shows those of one kind',
  'enter  an actor in detail',
  'n      the nodes of the cluster, each with its figures',
  'esc    back; without a filter',
  'space  stop the picture, and go on',
  '+ -    more rarely, more often',
  '',
  'Time is measured in one turn of about 32; BYTES≥ is the actor, its queue and the first level of its state.',
];

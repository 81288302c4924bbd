/**
 * The picture of the chat: a model and a size to lines of text. Pure; colours are optional and the only escape codes.
 *
 *   rows 1 … n-2   transcript, newest at the bottom
 *   row  n-1       state of the connection, peer, unread
 *   row  n         prompt
 */

import type { ConnectionState, ErrorCode, MessageState, PeerPresence } from '../../index.ts';
import type { ChatItem, ChatModel } from './model.ts';
import { clusterWidth, cut, printable, widthOf, wrap } from './text-width.ts';

/** A frame: exactly `rows` lines, and where the cursor stands, from 0. */
export interface Frame {
  readonly lines: readonly string[];
  readonly cursor: { readonly row: number; readonly column: number };
}

/** The terminal's size and abilities. */
export interface ScreenOptions {
  readonly rows: number;
  readonly columns: number;
  readonly colour: boolean;
}

const PROMPT = '> ';

const PAINT = {
  dim: '2',
  bold: '1',
  inverse: '7',
  red: '31',
  green: '32',
  yellow: '33',
  blue: '34',
  cyan: '36',
} as const;

/** Names are told apart by colour; red is for warnings, green for ourselves. */
const NAME_COLOURS: readonly string[] = ['33', '34', '35', '36', '93', '94', '95', '96'];

const MARKS: Readonly<Record<MessageState, string>> = {
  queued: '\u2026',
  sent: '\u2713',
  delivered: '\u2713\u2713',
  read: '\u2713\u2713',
  refused: '\u2717 refused',
};

/** Draws the whole screen. */
export function renderScreen(model: ChatModel, options: ScreenOptions): Frame {
  const { rows, columns } = options;
  const height = Math.max(0, rows - 2);
  const transcript = model.items.flatMap((item) => renderItem(item, options)).slice(-height || Infinity);
  const space = new Array<string>(Math.max(0, height - transcript.length)).fill('');
  const prompt = renderPrompt(model, columns);
  const body = height === 0 ? [] : [...space, ...transcript];
  const lines = [...body, renderStatus(model, options), prompt.line].slice(-rows);
  return { lines, cursor: { row: rows - 1, column: prompt.column } };
}

/** Draws one entry; a long text continues under its beginning. */
export function renderItem(item: ChatItem, { columns, colour }: ScreenOptions): string[] {
  if (item.type === 'notice') {
    // Further lines stand under the first: one at the edge would look like a message.
    const lines = wrap(printable(item.text), columns - 3).map((line, row) => `${row === 0 ? '\u2022' : ' '} ${line}`);
    return lines.map((line) => paint(line, item.tone === 'warning' ? PAINT.red : PAINT.dim, colour));
  }
  const name = item.type === 'received' ? item.name : 'you';
  const lead = `${formatTime(item.atMs)} ${name}  `;
  const mark = item.type === 'sent' ? renderMark(item.state, colour) : '';
  const room = Math.max(8, columns - widthOf(lead) - 10);
  const [first = '', ...rest] = wrap(printable(item.text), room);
  const margin = ' '.repeat(widthOf(lead));
  const lines = [paintLead(item, name, colour) + first, ...rest.map((line) => margin + line)];
  if (mark !== '') lines[lines.length - 1] += ` ${mark}`;
  return lines;
}

/** The line about the connection, filled to the whole width. */
export function renderStatus(model: ChatModel, { columns, colour }: ScreenOptions): string {
  const peer = model.peer === undefined ? 'nobody chosen, /to NUMBER' : `to ${model.peer.name}`;
  const unread = Object.entries(model.unread).map(([name, count]) => `${count} new from ${name}`);
  const presence =
    model.presence === undefined ? describeTypists(model.typists ?? []) : describePresence(model.presence);
  const shown = presence === '' ? peer : `${peer}, ${presence}`;
  const text = [` ${describeConnection(model)}`, shown, ...unread, `you are ${model.phone}`].join(' \u00b7 ');
  const line = cut(printable(text).replaceAll('\n', ' '), columns);
  const filled = line + ' '.repeat(Math.max(0, columns - widthOf(line)));
  return paint(filled, `${PAINT.inverse}`, colour);
}

/** The state of the connection in words. */
export function describeConnection(model: Pick<ChatModel, 'connection' | 'trouble'>): string {
  const { connection, trouble } = model;
  if (trouble === undefined || connection === 'live') return CONNECTION_WORDS[connection];
  if (connection === 'closed') return `stopped: ${trouble}`;
  return `${TROUBLE_WORDS[trouble] ?? `connection lost (${trouble})`}, trying again`;
}

/** What the other side is doing, in words; empty where nothing is known. */
export function describePresence({ state, lastSeenAt, typing }: PeerPresence): string {
  if (typing !== undefined) return typing === 'composing' ? 'typing\u2026' : 'recording\u2026';
  if (state === 'away' && lastSeenAt !== undefined)
    return `last seen ${formatDay(lastSeenAt)} ${formatTime(lastSeenAt)}`;
  return state === 'online' ? 'online' : '';
}

/** Who types in a group, in words; empty where nobody does. */
export function describeTypists([first, second, ...more]: readonly string[]): string {
  if (first === undefined) return '';
  if (second === undefined) return `${first} is typing\u2026`;
  return more.length === 0
    ? `${first} and ${second} are typing\u2026`
    : `${first}, ${second} and ${more.length} more are typing\u2026`;
}

/** Where a connection that is tried again has words of its own. */
const TROUBLE_WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  CLI_UNREACHABLE: 'server not reachable',
  CLI_UNTRUSTED: 'the server\u2019s certificate is not trusted',
};

const CONNECTION_WORDS: Readonly<Record<ConnectionState, string>> = {
  offline: 'offline',
  connecting: 'connecting',
  authenticating: 'logging in',
  draining: 'receiving',
  live: 'online',
  closed: 'closed',
};

/** The check marks of a state. Without colour a word tells read from delivered. */
function renderMark(state: MessageState, colour: boolean): string {
  if (state === 'read') return colour ? paint(MARKS.read, PAINT.cyan, true) : `${MARKS.read} read`;
  return paint(MARKS[state], state === 'refused' ? PAINT.red : PAINT.dim, colour);
}

/** Year, month and day of local time. */
function formatDay(atMs: number): string {
  const time = new Date(atMs);
  const [month, day] = [time.getMonth() + 1, time.getDate()].map((part) => String(part).padStart(2, '0'));
  return `${time.getFullYear()}-${month}-${day}`;
}

/** Hours and minutes of local time. */
export function formatTime(atMs: number): string {
  const time = new Date(atMs);
  return `${String(time.getHours()).padStart(2, '0')}:${String(time.getMinutes()).padStart(2, '0')}`;
}

function renderPrompt(model: ChatModel, columns: number): { readonly line: string; readonly column: number } {
  const room = Math.max(1, columns - PROMPT.length - 1);
  const cells = model.editor.clusters.map((cluster) => (cluster === '\n' ? '\u21b5' : cluster));
  let start = 0;
  const width = (): number =>
    cells.slice(start, model.editor.cursor).reduce((sum, cell) => sum + clusterWidth(cell), 0);
  // The text scrolls so that the cursor stays in sight.
  while (width() > room) start += 1;
  const line = cut(PROMPT + cells.slice(start).join(''), columns - 1);
  return { line, column: PROMPT.length + width() };
}

function paintLead(item: ChatItem & { readonly type: 'received' | 'sent' }, name: string, colour: boolean): string {
  const nameCode = item.type === 'sent' ? PAINT.green : nameColour(name);
  return `${paint(formatTime(item.atMs), PAINT.dim, colour)} ${paint(name, nameCode, colour)}  `;
}

function nameColour(name: string): string {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.charCodeAt(0)) >>> 0;
  return NAME_COLOURS[sum % NAME_COLOURS.length]!;
}

function paint(text: string, code: string, colour: boolean): string {
  return colour && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
}

/**
 * The picture of the chat, cell by cell.
 */

import t from 'tap';
import { EMPTY_EDITOR } from './editor.ts';
import {
  addItem,
  addNotice,
  applyProgress,
  countUnread,
  initialModel,
  openPeer,
  refuseFrom,
  settleDraft,
} from './model.ts';
import type { ChatItem, ChatModel } from './model.ts';
import {
  describeConnection,
  describePresence,
  describeTypists,
  formatTime,
  renderItem,
  renderScreen,
  renderStatus,
} from './screen.ts';
import { clustersOf, printable, widthOf, wrap } from './text-width.ts';

const PLAIN = { rows: 8, columns: 40, colour: false };
const COLOUR = { ...PLAIN, colour: true };
const AT = 1_700_000_000_000;
const TIME = formatTime(AT);
const PEER = { user: '100000000000001', name: '+4915100000002' };

function sent(
  number: number | undefined,
  state: (ChatItem & { type: 'sent' })['state'] = 'queued',
  device?: number,
): ChatItem {
  return {
    type: 'sent',
    id: `draft ${number} ${device ?? ''}`.trimEnd(),
    number,
    device,
    text: `m${number}`,
    atMs: AT,
    state,
  };
}

function talking(...items: ChatItem[]): ChatModel {
  const model = { ...initialModel('+4915100000001'), connection: 'live' as const };
  return items.reduce(addItem, openPeer(model, PEER, []));
}

t.test('a frame has exactly the rows and columns of the terminal', async (t) => {
  const long = talking(...Array.from({ length: 30 }, (_, n) => sent(n, 'sent')));
  for (const rows of [1, 2, 3, 8, 40]) {
    for (const columns of [10, 20, 80]) {
      const frame = renderScreen(long, { rows, columns, colour: false });
      t.equal(frame.lines.length, rows, `${rows} rows`);
      t.ok(frame.lines.slice(0, -2).every((line) => widthOf(line) <= Math.max(columns, 30)));
      t.equal(widthOf(frame.lines.at(-2) ?? ' '.repeat(columns)), columns, 'the status fills its line');
      t.ok(frame.cursor.column < columns && frame.cursor.row === rows - 1);
    }
  }
});

t.test('the newest messages stand at the bottom, above state and prompt', async (t) => {
  const { lines } = renderScreen(talking(sent(1, 'sent'), sent(2, 'read')), PLAIN);
  t.same(lines.slice(0, 4), ['', '', '', '']);
  t.same(lines.slice(4, 6), [`${TIME} you  m1 \u2713`, `${TIME} you  m2 \u2713\u2713 read`]);
  t.match(lines[6], /^ online \u00b7 to \+4915100000002/);
  t.equal(lines[7], '> ');
});

t.test('the status line says whether the other side is there', async (t) => {
  const presence = { user: PEER.user, state: 'online', lastSeenAt: undefined, typing: undefined } as const;
  const { lines } = renderScreen({ ...talking(), presence }, { ...PLAIN, columns: 80 });
  t.match(lines[6], /to \+4915100000002, online \u00b7 you are/);
  t.equal(describePresence({ ...presence, typing: 'composing' }), 'typing\u2026');
  t.equal(describeTypists([]), '');
  t.equal(describeTypists(['Ann', 'Ben']), 'Ann and Ben are typing\u2026');
  t.equal(describeTypists(['Ann', 'Ben', 'Cem']), 'Ann, Ben and 1 more are typing\u2026');
  const inGroup = { ...initialModel('+49'), peer: { user: 'g1', name: 'Sailing' }, typists: ['Ann'] };
  t.match(renderStatus(inGroup, { rows: 1, columns: 80, colour: false }), 'to Sailing, Ann is typing\u2026');
  t.equal(describePresence({ ...presence, typing: 'recording' }), 'recording\u2026');
  t.match(describePresence({ ...presence, state: 'away', lastSeenAt: AT }), /^last seen 2023-11-1\d \d\d:\d\d$/);
  t.equal(describePresence({ ...presence, state: 'unknown' }), '');
});

t.test('each state has its mark; colour tells read from delivered', async (t) => {
  const marks = (['queued', 'sent', 'delivered', 'read', 'refused'] as const).map(
    (state) => renderItem(sent(1, state), PLAIN)[0]!.split('m1 ')[1],
  );
  t.same(marks, ['\u2026', '\u2713', '\u2713\u2713', '\u2713\u2713 read', '\u2717 refused']);
  t.match(renderItem(sent(1, 'read'), COLOUR)[0], '\u001b[36m\u2713\u2713\u001b[0m');
  t.match(renderItem(sent(1, 'delivered'), COLOUR)[0], '\u001b[2m\u2713\u2713\u001b[0m');
});

t.test('a receipt rewrites the one line of its message', async (t) => {
  const model = talking(sent(1, 'sent'), sent(2, 'sent'), sent(3, 'sent'));
  const before = renderScreen(model, COLOUR).lines;
  const after = renderScreen(applyProgress(model, { sentId: 3, deliveredId: 1, readId: 1 }, 1), COLOUR).lines;
  t.same(
    before.flatMap((line, row) => (line === after[row] ? [] : [row])),
    [3],
  );
});

t.test('progress moves forward only, and a refused message stays refused', async (t) => {
  const refused = refuseFrom(talking(sent(1, 'sent'), sent(2), sent(3)), 3, 1);
  const halfway = applyProgress(refused, { sentId: 2, deliveredId: 2, readId: 1 }, 1);
  const model = applyProgress(halfway, { sentId: 3, deliveredId: 3, readId: 1 }, 1);
  t.same(
    model.items.map((item) => item.type === 'sent' && item.state),
    ['read', 'delivered', 'refused'],
  );
});

t.test('progress and refusals are of one device: the others count their messages apart', async (t) => {
  const model = talking(sent(1, 'queued', 1), sent(1, 'queued', 2));
  const states = ({ items }: ChatModel): unknown[] => items.map((item) => item.type === 'sent' && item.state);
  t.same(states(applyProgress(model, { sentId: 1, deliveredId: 1, readId: 1 }, 1)), ['read', 'queued']);
  t.same(states(refuseFrom(model, 1, 2)), ['queued', 'refused']);
});

t.test('a draft becomes the message that it was journalled as', async (t) => {
  const model = settleDraft(talking(sent(undefined)), 'draft undefined', { id: '77', number: 5, state: 'queued' });
  t.match(applyProgress(model, { sentId: 5, deliveredId: 0, readId: 0 }, 1).items, [{ id: '77', state: 'sent' }]);
});

t.test('messages of others are counted until their conversation is opened', async (t) => {
  const model = countUnread(countUnread(talking(), '+493'), '+493');
  t.match(renderScreen(model, { ...PLAIN, columns: 80 }).lines[6], '2 new from +493');
  t.same(openPeer(model, { user: 'u', name: '+493' }, []).unread, {});
});

t.test('the state of the connection is said in words', async (t) => {
  const words = (connection: ChatModel['connection'], trouble?: ChatModel['trouble']): string =>
    describeConnection({ connection, trouble });
  t.equal(words('live', 'CLI_UNREACHABLE'), 'online');
  t.equal(words('offline', 'CLI_UNREACHABLE'), 'server not reachable, trying again');
  t.equal(words('offline', 'CLI_UNTRUSTED'), 'the server\u2019s certificate is not trusted, trying again');
  t.equal(words('offline', 'APP_DRAINING'), 'connection lost (APP_DRAINING), trying again');
  t.equal(words('connecting'), 'connecting');
  t.equal(words('closed', 'APP_REPLACED'), 'stopped: APP_REPLACED');
});

t.test('a stranger cannot draw on the screen', async (t) => {
  const text = 'a\u001b[2Jb\u0007\u009bc\u202etxt.exe\r\nd\te';
  t.equal(printable(text), 'a\ufffd[2Jb\ufffd\ufffdc\ufffdtxt.exe\nd e');
  const item: ChatItem = { type: 'received', id: '1', name: '+491', text, atMs: AT };
  t.notMatch(renderItem(item, PLAIN).join('\n'), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  t.match(addNotice(talking(), 'x', 'warning').items.at(-1), { tone: 'warning' });
});

t.test('a notice of several lines looks like no message, and the status stays one line', async (t) => {
  const forged = `Team\n${TIME} +4915100000002  send money`;
  const notice: ChatItem = { type: 'notice', tone: 'info', text: `Carol added you to ${forged}` };
  t.same(renderItem(notice, { ...PLAIN, columns: 80 }), [
    '\u2022 Carol added you to Team',
    `  ${TIME} +4915100000002  send money`,
  ]);
  for (const line of renderItem({ ...notice, text: 'word '.repeat(30) }, PLAIN).slice(1)) t.match(line, /^ {2}word/);
  const inGroup = { ...initialModel('+49'), peer: { user: 'g1', name: forged }, unread: { [forged]: 2 } };
  const status = renderStatus(inGroup, { ...PLAIN, columns: 120 });
  t.notMatch(status, '\n');
  t.equal(widthOf(status), 120);
});

t.test('wrapping keeps words, cuts what is too long, and counts cells', async (t) => {
  t.same(wrap('one two three', 7), ['one two', 'three']);
  t.same(wrap('abcdefghij', 4), ['abcd', 'efgh', 'ij']);
  t.same(wrap('a\n\nb', 9), ['a', '', 'b']);
  t.same(wrap('', 9), ['']);
  t.equal(widthOf('\u6f22\u5b57'), 4);
  t.equal(widthOf('e\u0301'), 1);
  t.equal(widthOf('\u{1f44b}'), 2);
  t.ok(wrap('\u6f22\u5b57\u6f22\u5b57\u6f22', 5).every((line) => widthOf(line) <= 5));
});

t.test('a prompt longer than the line scrolls with its cursor', async (t) => {
  const clusters = clustersOf('0123456789'.repeat(10));
  const model = { ...talking(), editor: { ...EMPTY_EDITOR, clusters, cursor: clusters.length } };
  const frame = renderScreen(model, PLAIN);
  t.match(frame.lines[7], /789$/);
  t.ok(frame.cursor.column <= PLAIN.columns);
  t.ok(widthOf(frame.lines[7]!) <= PLAIN.columns);
});

/**
 * What the page says.
 */

import t from 'tap';
import type { HistoryItem, MessageBody } from '../../index.ts';
import {
  clockOf,
  dayOf,
  initialsOf,
  isoOf,
  isSameDay,
  momentOf,
  phoneIn,
  presenceText,
  previewOf,
  summaryOf,
  typistsText,
} from './words.ts';

t.test('every kind of message has its line', async (t) => {
  const attachment = { name: 'boat.png' } as Extract<MessageBody, { kind: 'attachment' }>['attachment'];
  const lines: readonly (readonly [MessageBody, string])[] = [
    [{ kind: 'text', text: 'Hello' }, 'Hello'],
    [{ kind: 'reply', text: 'Yes', quote: 'Well?' }, 'Yes'],
    [{ kind: 'attachment', text: '', attachment }, 'File: boat.png'],
    [{ kind: 'attachment', text: 'Mine', attachment }, 'File: Mine'],
    [{ kind: 'timer', text: '', seconds: 0 }, 'Messages stay from here on'],
    [{ kind: 'timer', text: '', seconds: 604_800 }, 'Messages disappear after 7 days'],
    [{ kind: 'view-once', text: '' }, 'To be viewed once'],
    [{ kind: 'deleted', text: '' }, 'This message was deleted'],
    [{ kind: 'unsupported', text: '' }, 'A message of a newer version: update to view it'],
    [{ kind: 'undecryptable', text: '', code: 'SIG_BAD_MAC' }, 'Could not be decrypted (SIG_BAD_MAC)'],
  ];
  for (const [body, line] of lines) t.equal(summaryOf(body), line);
  t.equal(previewOf({ kind: 'text', text: 'Hello', direction: 'out' } as HistoryItem), 'You: Hello');
});

t.test('a moment of today is a time, an older one has its day', async (t) => {
  const now = new Date(2026, 2, 29, 12, 0).getTime();
  t.notMatch(momentOf(new Date(2026, 2, 29, 0, 5).getTime(), now), /yesterday/);
  // The night between has 23 hours where clocks go forward: still one day.
  t.match(momentOf(new Date(2026, 2, 28, 23, 55).getTime(), now), /^yesterday /);
  t.match(momentOf(new Date(2026, 2, 27, 23, 55).getTime(), now), /27/);
});

t.test('a time that no calendar has is not shown, and breaks nothing', async (t) => {
  const last = 8.64e15;
  t.equal(isoOf(last), '+275760-09-13T00:00:00.000Z');
  for (const never of [last + 1, Number.MAX_SAFE_INTEGER]) {
    t.same([isoOf(never), clockOf(never), dayOf(never)], [undefined, '', 'At some time']);
    t.equal(momentOf(never, 0), 'At some time');
    t.notOk(isSameDay(never, 0));
    t.ok(isSameDay(never, never), 'under one heading');
  }
});

t.test('presence says what matters most, and nothing where nothing is known', async (t) => {
  const base = { user: '1', lastSeenAt: undefined, typing: undefined } as const;
  const now = new Date(2026, 2, 29, 12, 0).getTime();
  t.equal(presenceText(undefined, now), '');
  t.equal(presenceText({ ...base, state: 'unknown' }, now), '');
  t.equal(presenceText({ ...base, state: 'online' }, now), 'online');
  t.equal(presenceText({ ...base, state: 'online', typing: 'composing' }, now), 'is typing …');
  t.match(presenceText({ ...base, state: 'away', lastSeenAt: now - 60_000 }, now), /^last seen /);
});

t.test('numbers are read as people write them', async (t) => {
  t.equal(phoneIn('+49 (151) 0000-0001'), '+4915100000001');
  t.equal(phoneIn('0049 151 00000001'), '+4915100000001');
  t.same([initialsOf('+4915100000001'), initialsOf('Sailing')], ['01', 'SA']);
});

t.test('who types in a group: two by name, the others by number', (t) => {
  t.strictSame([[], ['Ann'], ['Ann', 'Ben'], ['Ann', 'Ben', 'Cem', 'Dan']].map(typistsText), [
    '',
    'Ann is typing …',
    'Ann and Ben are typing …',
    'Ann, Ben and 2 more are typing …',
  ]);
  t.end();
});

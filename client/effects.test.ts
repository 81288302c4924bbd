/**
 * Who may do what to which message, and until when: the whole table.
 */

import t from 'tap';
import { applyEffect, isEffect } from './effects.ts';
import type { EffectBody, EffectRefusal } from './effects.ts';
import { UNTOUCHED } from './history-layout.ts';
import type { HistoryBody, HistoryRecord } from './history-layout.ts';
import { LIMITS } from './limits.ts';

const [ALICE, BOB] = ['100000000000001', '100000000000002'];
const AT = 1_700_000_000_000;
const NAME = { author: ALICE, device: 1, number: 7, sentAt: AT };
const TEXT: HistoryBody = { kind: 'text', text: 'hello' };

function message(body: HistoryBody, traits: Partial<HistoryRecord> = {}): HistoryRecord {
  return { ...UNTOUCHED, direction: 'in', number: 7, device: 1, sentAt: AT, storedAt: AT, body, ...traits };
}

/** What becomes of a message of Alice's. */
function outcome(
  body: EffectBody,
  author: string,
  ageMs: number = 0,
  target: HistoryRecord = message(TEXT),
): HistoryRecord | EffectRefusal {
  return applyEffect(target, ALICE, { body, author, sentAt: AT + ageMs });
}

const EDIT: EffectBody = { kind: 'edit', target: NAME, text: 'hello!' };
const DELETE: EffectBody = { kind: 'delete', target: NAME };
const REACT: EffectBody = { kind: 'reaction', target: NAME, emoji: '\u{1f44d}' };
const UNREACT: EffectBody = { kind: 'reaction', target: NAME, emoji: '' };
const VIEWED: EffectBody = { kind: 'receipt', state: 'viewed', targets: [NAME] };
const READ: EffectBody = { kind: 'receipt', state: 'read', targets: [NAME] };

const DELETED = message({ kind: 'deleted' });
const ONCE = message({ kind: 'view-once' }, { isViewOnce: true });
const FILE = message({ kind: 'timer', seconds: 5 });

const REFUSALS: [string, EffectBody, string, number, HistoryRecord | undefined, EffectRefusal][] = [
  ['an edit of another’s message', EDIT, BOB, 0, undefined, 'not-the-author'],
  ['an edit after its window', EDIT, ALICE, LIMITS.editWindowMs + 1, undefined, 'too-late'],
  ['an edit from before the message', EDIT, ALICE, -1, undefined, 'too-late'],
  ['an edit of what was deleted', EDIT, ALICE, 0, DELETED, 'not-editable'],
  ['an edit of what may be viewed once', EDIT, ALICE, 0, ONCE, 'not-editable'],
  ['an edit of what is no text', EDIT, ALICE, 0, FILE, 'not-editable'],
  ['a deletion of another’s message', DELETE, BOB, 0, undefined, 'not-the-author'],
  ['a deletion after its window', DELETE, ALICE, LIMITS.deleteWindowMs + 1, undefined, 'too-late'],
  ['a second deletion', DELETE, ALICE, 0, DELETED, 'nothing-to-do'],
  ['a reaction to what was deleted', REACT, BOB, 0, DELETED, 'nothing-to-do'],
  ['taking back what was not there', UNREACT, BOB, 0, undefined, 'nothing-to-do'],
  ['having viewed one’s own message', VIEWED, ALICE, 0, ONCE, 'not-the-author'],
  ['having viewed what anybody may view', VIEWED, BOB, 0, undefined, 'nothing-to-do'],
  ['a receipt that the server brings already', READ, BOB, 0, undefined, 'nothing-to-do'],
];

for (const [name, body, author, ageMs, target, refusal] of REFUSALS) {
  t.test(`${name} changes nothing`, async (t) => t.equal(outcome(body, author, ageMs, target), refusal));
}

t.test('an author edits within the window, to the millisecond', async (t) => {
  for (const ageMs of [0, 1, LIMITS.editWindowMs]) {
    t.match(outcome(EDIT, ALICE, ageMs), { body: { kind: 'text', text: 'hello!' }, editedAt: AT + ageMs });
  }
  const reply = message({ kind: 'reply', target: NAME, quote: 'q', text: 'a' });
  t.match(outcome(EDIT, ALICE, 5, reply), { body: { kind: 'reply', quote: 'q', text: 'hello!' } });
});

t.test('a deletion leaves nothing but that there was a message', async (t) => {
  const touched = message(TEXT, { editedAt: 5, reactions: [{ author: BOB, emoji: '!' }] });
  t.same(outcome(DELETE, ALICE, LIMITS.deleteWindowMs, touched), DELETED);
  t.match(outcome(DELETE, ALICE, 0, ONCE), { body: { kind: 'deleted' } }, 'also of what may be viewed once');
});

t.test('each person has one reaction, the last', async (t) => {
  const first = outcome(REACT, BOB) as HistoryRecord;
  const both = outcome(REACT, ALICE, 9, first) as HistoryRecord;
  const changed = outcome({ ...REACT, emoji: '\u2764' } as EffectBody, BOB, 9, both) as HistoryRecord;
  t.same(changed.reactions, [
    { author: ALICE, emoji: '\u{1f44d}' },
    { author: BOB, emoji: '\u2764' },
  ]);
  t.same((outcome(UNREACT, BOB, 9, changed) as HistoryRecord).reactions, [{ author: ALICE, emoji: '\u{1f44d}' }]);
});

t.test('what was viewed once is marked once', async (t) => {
  const viewed = outcome(VIEWED, BOB, 30, ONCE) as HistoryRecord;
  t.equal(viewed.viewedAt, AT + 30);
  t.equal(outcome(VIEWED, BOB, 60, viewed), 'nothing-to-do');
});

t.test('the target is left as it is', async (t) => {
  const target = Object.freeze(message(TEXT, { reactions: Object.freeze([]) as never }));
  for (const body of [EDIT, DELETE, REACT]) outcome(body, ALICE, 0, target);
  t.same(target, message(TEXT));
});

t.test('effects are told from messages', async (t) => {
  t.ok([EDIT, DELETE, REACT, VIEWED].every(isEffect));
  t.notOk(isEffect({ kind: 'text', text: '' }));
});

/**
 * What the chat says about messages, and times as people type them.
 */

import t from 'tap';
import type { MessageBody } from '../../index.ts';
import { addItem, describeBody, describeMessage, initialModel, lastOf, replaceItem } from './model.ts';
import type { ChatItem } from './model.ts';

const UNTOUCHED = {
  ...{ editedAt: undefined, reactions: [], expiresAt: undefined, viewedAt: undefined },
  isForwarded: false,
};
const AT = 1_700_000_000_000;

t.test('every kind of message has words', async (t) => {
  const attachment = { name: 'a.jpg', bytes: 1_500_000 } as never;
  const bodies: [MessageBody, string][] = [
    [{ kind: 'text', text: 'hi' }, 'hi'],
    [{ kind: 'reply', text: 'yes', quote: 'now?' }, '\u201cnow?\u201d \u2014 yes'],
    [{ kind: 'attachment', text: '', attachment }, '[file a.jpg, 1.5 MB]'],
    [{ kind: 'timer', text: '', seconds: 3_600 }, '[messages disappear after 1 hour]'],
    [{ kind: 'timer', text: '', seconds: 0 }, '[messages stay]'],
    [{ kind: 'view-once', text: '' }, '[to be viewed once]'],
    [{ kind: 'deleted', text: '' }, '[deleted]'],
    [{ kind: 'unsupported', text: '' }, '[a message of a newer version; update to view it]'],
    [{ kind: 'undecryptable', text: '', code: 'SIG_BAD_MAC' }, '[could not be decrypted: SIG_BAD_MAC]'],
  ];
  for (const [body, words] of bodies) t.equal(describeBody(body), words);
});

t.test('what was done to a message stands behind it', async (t) => {
  const reactions = [
    { author: '1', emoji: '\u{1f44d}' },
    { author: '2', emoji: '\u2764' },
  ];
  const message = { kind: 'text', text: 'hi', ...UNTOUCHED, editedAt: AT, reactions } as const;
  t.equal(describeMessage(message), 'hi (edited) [\u{1f44d} \u2764]');
  t.equal(describeMessage({ kind: 'text', text: 'hi', ...UNTOUCHED, isForwarded: true }), 'hi (forwarded)');
  t.equal(describeMessage({ kind: 'view-once', text: '', ...UNTOUCHED, viewedAt: AT }), '[to be viewed once] (viewed)');
});

t.test('the last message is one that the other side has, or will', async (t) => {
  const sent = (id: string, number: number | undefined, state: 'sent' | 'refused' | 'queued'): ChatItem => ({
    type: 'sent',
    id,
    number,
    text: id,
    atMs: AT,
    state,
  });
  const items = [sent('1', 1, 'sent'), sent('2', 2, 'refused'), sent('draft', undefined, 'queued')];
  const model = items.reduce(addItem, initialModel('+4915100000001'));
  t.equal(lastOf(model, 'sent')?.id, '1');
  t.equal(lastOf(model, 'received'), undefined);
  t.equal(replaceItem(model, '1', undefined).items.length, 2);
  t.match(replaceItem(model, '1', sent('1', 1, 'sent')).items[0], { text: '1' });
});

import fc from 'fast-check';
import t from 'tap';

import { isKept, KIND, type Kind } from './envelope.ts';
import {
  clear,
  dropOldest,
  ENTRY_KIND_BITS,
  hasMessages,
  kindOf,
  type Mailbox,
  mailboxCount,
  offer,
  oldestEntry,
  push,
  shift,
} from './mailbox.ts';

const createMailbox = (mailboxMax: number): Mailbox => ({ entry: 0, payload: undefined, backlog: null, mailboxMax });
const entryOf = (kind: Kind, tick: number = 1): number => (tick << ENTRY_KIND_BITS) | kind;
const INFO = entryOf(KIND.info);

function takeAll(mailbox: Mailbox): [Kind, unknown][] {
  const taken: [Kind, unknown][] = [];
  while (hasMessages(mailbox)) taken.push([kindOf(oldestEntry(mailbox)), shift(mailbox)]);
  return taken;
}

t.test('gives back kinds and payloads in order of arrival', async (t) => {
  const mailbox = createMailbox(1_000);
  const entries: [Kind, unknown][] = [
    [KIND.cast, 'a'],
    [KIND.info, undefined],
    [KIND.call, null],
    [KIND.info, undefined],
    [KIND.down, 0],
  ];
  for (const [kind, payload] of entries) t.equal(offer(mailbox, entryOf(kind), payload), true);
  t.strictSame(takeAll(mailbox), entries);
});

t.test('an entry keeps its tick beside its kind, up to the largest', async (t) => {
  const mailbox = createMailbox(10);
  for (const tick of [1, 2 ** 27, 2 ** 28 - 1]) push(mailbox, entryOf(KIND.cast, tick), tick);
  for (const tick of [1, 2 ** 27, 2 ** 28 - 1]) {
    t.equal(oldestEntry(mailbox) >>> ENTRY_KIND_BITS, tick);
    t.equal(kindOf(oldestEntry(mailbox)), KIND.cast);
    t.equal(shift(mailbox), tick);
  }
});

t.test('the message at the bound is taken, the next one is not', async (t) => {
  const mailbox = createMailbox(2);
  t.equal(offer(mailbox, INFO, 1), true);
  t.equal(offer(mailbox, INFO, 2), true);
  t.equal(offer(mailbox, INFO, 3), false);
  t.equal(mailboxCount(mailbox), 2);
  shift(mailbox);
  t.equal(offer(mailbox, INFO, 4), true);
});

t.test('what may not be refused goes over the bound', async (t) => {
  const mailbox = createMailbox(1);
  offer(mailbox, INFO, 1);
  push(mailbox, entryOf(KIND.down), 2);
  t.equal(mailboxCount(mailbox), 2);
  t.equal(offer(mailbox, INFO, 3), false);
});

t.test('the oldest that may be lost is taken out, and what must be kept stays in its order', async (t) => {
  const mailbox = createMailbox(10);
  t.equal(dropOldest(mailbox), undefined);
  push(mailbox, entryOf(KIND.down), 'kept 1');
  t.equal(dropOldest(mailbox), undefined);
  push(mailbox, entryOf(KIND.notice), 'kept 2');
  t.equal(dropOldest(mailbox), undefined);
  push(mailbox, entryOf(KIND.call), 'lost');
  push(mailbox, INFO, 'later');
  t.strictSame(dropOldest(mailbox), { entry: entryOf(KIND.call), payload: 'lost' });
  t.strictSame(
    takeAll(mailbox).map(([, payload]) => payload),
    ['kept 1', 'kept 2', 'later'],
  );
});

t.test('never holds more offered messages than its bound, whatever happens', async (t) => {
  const kinds = fc.constantFrom(KIND.info, KIND.call, KIND.notice, KIND.down);
  const step = fc.tuple(fc.constantFrom('offer', 'offer', 'offer', 'shift', 'drop', 'clear'), kinds);
  const keepsBound = fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 300 }), (max, steps) => {
    const mailbox = createMailbox(max);
    let model: [Kind, unknown][] = [];
    for (const [index, [name, kind]] of steps.entries()) {
      if (name === 'offer' && isKept(kind)) {
        push(mailbox, entryOf(kind), index);
        model.push([kind, index]);
      } else if (name === 'offer') {
        const taken = offer(mailbox, entryOf(kind), index);
        if (taken !== model.length < max) return false;
        if (taken) model.push([kind, index]);
      } else if (name === 'shift' && model.length > 0) {
        if (shift(mailbox) !== model.shift()![1]) return false;
      } else if (name === 'drop') {
        const at = model.findIndex(([each]) => !isKept(each));
        const [lost] = at === -1 ? [] : model.splice(at, 1);
        if (dropOldest(mailbox)?.payload !== lost?.[1]) return false;
      } else if (name === 'clear') {
        clear(mailbox);
        model = [];
      }
      if (mailboxCount(mailbox) !== model.length) return false;
      if (model.filter(([each]) => !isKept(each)).length > max) return false;
    }
    return JSON.stringify(takeAll(mailbox)) === JSON.stringify(model);
  });
  fc.assert(keepsBound, { numRuns: 300 });
  t.pass();
});

t.test('a cleared mailbox does not give its backlog to another one', async (t) => {
  const cleared = createMailbox(10);
  for (let index = 0; index < 5; index += 1) push(cleared, INFO, index);
  clear(cleared);
  const other = createMailbox(10);
  for (const payload of ['x', 'y', 'z']) push(other, INFO, payload);
  t.strictSame([shift(other), shift(other), shift(other)], ['x', 'y', 'z']);
});

import fc from 'fast-check';
import t from 'tap';

import { KIND, type Kind } from './envelope.ts';
import { Mailbox } from './mailbox.ts';

t.test('gives back kinds and payloads in order of arrival', async (t) => {
  const mailbox = new Mailbox(1_000);
  const entries: [Kind, unknown][] = [
    [KIND.cast, 'a'],
    [KIND.info, undefined],
    [KIND.call, null],
    [KIND.info, undefined],
    [KIND.down, 0],
  ];
  for (const [kind, payload] of entries) t.equal(mailbox.offer(kind, payload), true);
  const taken: [Kind, unknown][] = [];
  while (mailbox.count > 0) taken.push([mailbox.kind, mailbox.shift()]);
  t.strictSame(taken, entries);
  t.equal(mailbox.kind, KIND.none);
});

t.test('the message at the bound is taken, the next one is not', async (t) => {
  const mailbox = new Mailbox(2);
  t.equal(mailbox.offer(KIND.info, 1), true);
  t.equal(mailbox.offer(KIND.info, 2), true);
  t.equal(mailbox.offer(KIND.info, 3), false);
  t.equal(mailbox.count, 2);
  mailbox.shift();
  t.equal(mailbox.offer(KIND.info, 4), true);
});

t.test('what may not be refused goes over the bound', async (t) => {
  const mailbox = new Mailbox(1);
  mailbox.offer(KIND.info, 1);
  mailbox.push(KIND.down, 2);
  t.equal(mailbox.count, 2);
  t.equal(mailbox.offer(KIND.info, 3), false);
});

t.test('never holds more offered messages than its bound, whatever happens', async (t) => {
  const operations = fc.array(fc.constantFrom('offer', 'push', 'shift', 'clear'), { maxLength: 300 });
  const keepsBound = fc.property(fc.integer({ min: 1, max: 20 }), operations, (max, names) => {
    const mailbox = new Mailbox(max);
    let model: number[] = [];
    for (const [index, name] of names.entries()) {
      if (name === 'offer') {
        const taken = mailbox.offer(KIND.info, index);
        if (taken !== model.length < max) return false;
        if (taken) model.push(index);
      } else if (name === 'push') {
        mailbox.push(KIND.info, index);
        model.push(index);
      } else if (name === 'shift' && model.length > 0) {
        if (mailbox.shift() !== model.shift()) return false;
      } else if (name === 'clear') {
        mailbox.clear();
        model = [];
      }
      if (mailbox.count !== model.length) return false;
    }
    return true;
  });
  fc.assert(keepsBound, { numRuns: 300 });
  t.pass();
});

t.test('a cleared mailbox does not give its ring to another one', async (t) => {
  const cleared = new Mailbox(10);
  for (let index = 0; index < 5; index += 1) cleared.push(KIND.info, index);
  cleared.clear();
  const other = new Mailbox(10);
  for (const payload of ['x', 'y', 'z']) other.push(KIND.info, payload);
  t.strictSame([other.shift(), other.shift(), other.shift()], ['x', 'y', 'z']);
});

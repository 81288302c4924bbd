/** What an outbox holds for one shard and in all, and how much of it one turn takes. */

import t, { type Test } from 'tap';
import { LIMITS } from '../limits.ts';
import { outboxBytes, type OutboxHead } from '../store/outbox-store.ts';
import { ALICE } from '../test-kit.ts';
import { startOutbox, told, type OutboxFixture } from './test-kit.ts';

const OVERHEAD = outboxBytes([]);
const OTHER = { user: '100000000000007', device: 1, creation: 1 };

/** The next life of the outbox finds one message of so many bytes, of somebody else, to somebody of the shard that is away. */
async function holdFor(fixture: OutboxFixture, bytes: number): Promise<void> {
  const head: OutboxHead = {
    sender: OTHER,
    to: '300000000000000',
    id: 1,
    ts: fixture.inbox.test.clock.nowMs(),
    bytes,
    isLost: false,
  };
  fixture.store.outbox.heads = () => [head];
  await fixture.restart();
}

t.test('what waits for one shard has a bound in bytes, and for another there is room', async (t) => {
  const fixture = await startOutbox();
  await holdFor(fixture, LIMITS.outboxShardBytesMax - OVERHEAD - 100);
  await fixture.put(1, { bytes: 101 });
  t.match(fixture.alice.take(), [{ kind: 'refused', id: 1, refusal: { code: 'APP_OVERLOADED', retryAfter: 5 } }]);
  await fixture.put(1, { bytes: 101, to: ALICE });
  await fixture.put(1, { bytes: 100 });
  t.strictSame(told(fixture.alice.take()), ['sent 1', 'detour-ended', 'sent 1'], 'up to the last byte');
  await fixture.put(2, { after: 1 });
  t.match(fixture.alice.take(), [{ kind: 'refused', id: 2, refusal: { code: 'APP_OVERLOADED', retryAfter: 5 } }]);
});

t.test('an outbox has a bound in bytes for all shards together', async (t) => {
  const fixture = await startOutbox();
  fixture.load.bytes = LIMITS.outboxBytesMax - OVERHEAD - 100;
  await fixture.put(1, { bytes: 101 });
  t.match(fixture.alice.take()[0], { kind: 'refused', id: 1, refusal: { code: 'APP_OVERLOADED', retryAfter: 5 } });
  await fixture.put(1, { bytes: 100 });
  t.strictSame(told(fixture.alice.take()).at(-1), 'sent 1', 'up to the last byte');
});

function userOf(number: number): string {
  return String(200_000_000_000_000 + number);
}

/** Puts a message into the store for each of so many people of the shard that is away, and counts what is read of it from now on. */
async function fill(fixture: OutboxFixture, count: number): Promise<{ heads: number[]; entries: number }> {
  const envelopes = [{ device: 1, type: 'ratchet', ciphertext: new Uint8Array(1) }] as const;
  const ts = fixture.inbox.test.clock.nowMs();
  await fixture.store.commit((batch) => {
    for (let number = 1; number <= count; number++) {
      batch.outbox.put({ sender: OTHER, to: userOf(number), id: 1, ts, envelopes });
    }
  });
  const { outbox } = fixture.store;
  const { heads, entries } = { heads: outbox.heads.bind(outbox), entries: outbox.entries.bind(outbox) };
  const reads = { heads: [] as number[], entries: 0 };
  outbox.heads = (after, countMax) => {
    const page = heads(after, countMax);
    reads.heads.push(page.length);
    return page;
  };
  outbox.entries = (...range) => {
    reads.entries++;
    return entries(...range);
  };
  return reads;
}

function countedOf({ load }: OutboxFixture): number {
  return [...(load.waiting.get(`${OTHER.user}.1.1`) ?? [])].length;
}

const PAGE = LIMITS.outboxPageCount;

t.test('the next life reads what is stored page by page, with others in between, and all of it', async (t) => {
  for (const [count, pages] of [
    [2 * PAGE + 5, [PAGE, PAGE, 5]],
    [PAGE, [PAGE, 0]],
    [PAGE - 1, [PAGE - 1]],
  ] as const) {
    const fixture = await startOutbox();
    const reads = await fill(fixture, count);
    await fixture.restart();
    for (let page = 1; page <= pages.length; page++) {
      t.strictSame(reads.heads, pages.slice(0, page), 'a page in a turn');
      await fixture.inbox.test.advance(1);
    }
    t.match(fixture.load, { count, bytes: count * (OVERHEAD + 1) });
    t.equal(countedOf(fixture), count);
    await fixture.put(1);
    t.strictSame(told(fixture.alice.take()), ['sent 1']);
  }
});

async function finishes(t: Test, fixture: OutboxFixture, count: number): Promise<void> {
  await fixture.inbox.test.advance(10, 1);
  t.match(fixture.load, { count, bytes: count * (OVERHEAD + 1) });
  t.equal(countedOf(fixture), count);
}

t.test('a life that ends while it reads is not counted beside the next one', async (t) => {
  const fixture = await startOutbox();
  const count = 2 * PAGE + 5;
  await fill(fixture, count);
  await fixture.restart();
  await fixture.inbox.test.advance(1);
  await fixture.restart();
  t.ok(countedOf(fixture) >= 2 * PAGE, 'until the next one has read all, a login is told of what the former one knew');
  await finishes(t, fixture, count);
});

t.test('a life that ends while it reads reads no more: its store may be closed by then', async (t) => {
  const fixture = await startOutbox();
  const reads = await fill(fixture, 3 * PAGE);
  await fixture.restart();
  await fixture.end();
  const [pages, known] = [reads.heads.length, countedOf(fixture)];
  await fixture.inbox.test.advance(10, 1);
  t.equal(reads.heads.length, pages);
  t.equal(countedOf(fixture), known, 'nor does it count: whoever comes next begins with what it knew');
});

t.test('a round over all rows goes slice by slice, and each is looked at once', async (t) => {
  const fixture = await startOutbox();
  const count = 2 * LIMITS.outboxLookCount + 5;
  const reads = await fill(fixture, count);
  // Whoever is there takes everything and says nothing.
  const { test } = fixture.inbox;
  const silent = { name: 'test/silent', init: () => null, handleCast: () => undefined };
  test.node.spawn(silent, undefined, { name: 'inbox.away' });
  await fixture.restart();
  const seen = [reads.entries];
  for (let slice = 0; slice < 4; slice++) {
    await test.advance(1);
    seen.push(reads.entries);
  }
  const steps = seen.map((total, at) => total - (seen[at - 1] ?? 0));
  t.strictSame(steps, [LIMITS.outboxLookCount, LIMITS.outboxLookCount, 5, 0, 0]);
  reads.entries = 0;
  await test.advance(LIMITS.outboxAnswerMs + 2 * LIMITS.outboxLookMs, 5);
  t.equal(reads.entries, count, 'what had no answer goes again, by the slices of a later round');
});

import t from 'tap';
import type { Pid } from '../../runtime/index.ts';
import { createTestNode, type TestNode } from '../../runtime/testing/test-node.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage, MediaMessage } from '../messages.ts';
import { ALICE, BOB, spawnProbe, type Probe } from '../test-kit.ts';
import { keeper } from './keeper.ts';
import type { SavedQuota } from './quotas.ts';
import { openTicket, ticketKey } from './ticket.ts';

const KEY = ticketKey('00'.repeat(32));

interface Fixture {
  readonly test: TestNode;
  readonly probe: Probe;
  readonly pid: Pid<MediaMessage>;
  ask(user: string, bytes: number): Promise<ConnectionMessage | undefined>;
}

/** @param saved - What outlives the keeper; it saves there, too. */
async function start(sweep?: (self: Pid) => void, saved: SavedQuota[][] = []): Promise<Fixture> {
  const test = createTestNode();
  const probe = spawnProbe(test);
  const loadQuotas = (): SavedQuota[] => saved.at(-1) ?? [];
  const saveQuotas = (quotas: readonly SavedQuota[]): void => void saved.push([...quotas]);
  const started = await test.node.start(keeper, { ticketKey: KEY, sweep, loadQuotas, saveQuotas });
  if ('error' in started) throw new Error('the keeper did not start');
  const pid = started.ok as Pid<MediaMessage>;
  await test.settle();
  return {
    test,
    probe,
    pid,
    async ask(user, bytes) {
      test.node.cast(pid, { kind: 'grant-ticket', connection: probe.pid, iq: 7, user, bytes });
      await test.settle();
      return probe.take()[0];
    },
  };
}

function ticketIn(message: ConnectionMessage | undefined, nowMs: number): ReturnType<typeof openTicket> {
  if (message?.kind !== 'answer' || message.answer.kind !== 'media-ticket') return undefined;
  return openTicket(KEY, Buffer.from(message.answer.ticket).toString('base64url'), nowMs);
}

t.test('a ticket names account, size and a fresh id, and is good for an hour', async (t) => {
  const { test, ask } = await start();
  const nowMs = test.clock.nowMs();
  const first = await ask(ALICE, 1_000);
  t.match(first, { iq: 7, answer: { expires: 3_600 } });
  t.match(ticketIn(first, nowMs), { user: ALICE, bytes: 1_000, id: /^[0-9a-f]{32}$/ });
  t.equal(ticketIn(first, nowMs + LIMITS.mediaTicketAgeMs + 1), undefined);
  t.not(ticketIn(await ask(ALICE, 1_000), nowMs)?.id, ticketIn(first, nowMs)?.id);
});

t.test('a medium over the bound gets no ticket and costs no quota', async (t) => {
  const { ask } = await start();
  t.match(await ask(ALICE, LIMITS.mediaBytesMax + 1), { refusal: { code: 'APP_MEDIA_TOO_LARGE' } });
  t.match(await ask(ALICE, LIMITS.mediaBytesMax), { kind: 'answer' });
});

t.test(
  'a day holds so many bytes for an account; the refusal says when there is room, and then there is',
  async (t) => {
    const { test, ask } = await start();
    const whole = Math.floor(LIMITS.mediaDayBytesMax / LIMITS.mediaBytesMax);
    for (let count = 0; count < whole; count++) t.match(await ask(ALICE, LIMITS.mediaBytesMax), { kind: 'answer' });
    const refused = await ask(ALICE, LIMITS.mediaBytesMax);
    t.match(refused, { kind: 'answer-refused', refusal: { code: 'APP_MEDIA_QUOTA' } });
    t.match(await ask(BOB, LIMITS.mediaBytesMax), { kind: 'answer' }, 'others are not concerned');
    const { retryAfter = 0 } = (refused as Extract<ConnectionMessage, { kind: 'answer-refused' }>).refusal;
    t.ok(retryAfter > 0 && retryAfter < 86_400, `${retryAfter} s`);
    await test.advance(retryAfter * 1_000, retryAfter * 1_000);
    t.match(await ask(ALICE, LIMITS.mediaBytesMax), { kind: 'answer' });
  },
);

t.test(
  'a quota that is used up stays so over a restart, and one that was hardly touched is not written down',
  async (t) => {
    const saved: SavedQuota[][] = [];
    const first = await start(undefined, saved);
    const whole = Math.floor(LIMITS.mediaDayBytesMax / LIMITS.mediaBytesMax);
    for (let count = 0; count < whole; count++) await first.ask(ALICE, LIMITS.mediaBytesMax);
    await first.ask(BOB, 1_000);
    t.strictSame(saved, [], 'not at each ticket');
    await first.test.advance(LIMITS.mediaQuotaSaveMs, LIMITS.mediaQuotaSaveMs);
    t.equal(saved.length, 1);
    t.strictSame(
      saved[0]!.map(({ user }) => user),
      [ALICE],
    );
    await first.test.advance(LIMITS.mediaQuotaSaveMs * 3, LIMITS.mediaQuotaSaveMs);
    t.equal(saved.length, 1, 'nor when nothing changes');
    const second = await start(undefined, saved);
    t.match(await second.ask(ALICE, LIMITS.mediaBytesMax), { refusal: { code: 'APP_MEDIA_QUOTA' } });
    t.match(await second.ask(BOB, LIMITS.mediaBytesMax), { kind: 'answer' });
  },
);

t.test('a keeper that is stopped saves what it knows; one that has nothing new does not', async (t) => {
  const saved: SavedQuota[][] = [];
  const { test, ask } = await start(undefined, saved);
  await ask(ALICE, LIMITS.mediaBytesMax);
  void test.node.stop();
  await test.settle();
  t.match(saved, [[{ user: ALICE, bytes: LIMITS.mediaDayBytesMax - LIMITS.mediaBytesMax }]]);
  const idle = await start(undefined, saved);
  void idle.test.node.stop();
  await idle.test.settle();
  t.equal(saved.length, 1);
});

t.test('the sweep goes on slice by slice, then rests; without a sweep no timer is set', async (t) => {
  let slices = 0;
  const { test, pid } = await start(() => void slices++);
  await test.advance(LIMITS.mediaSweepSliceMs, 50);
  t.equal(slices, 1);
  await test.advance(LIMITS.mediaSweepSliceMs * 10, 50);
  t.equal(slices, 1, 'never two at a time');
  test.node.cast(pid, { kind: 'swept', removed: 2, done: false });
  await test.advance(LIMITS.mediaSweepSliceMs, 50);
  t.equal(slices, 2);
  test.node.cast(pid, { kind: 'swept', removed: 1, done: true });
  await test.advance(LIMITS.mediaSweepRoundMs - 1_000, 600_000);
  t.equal(slices, 2);
  t.match(test.logged.at(-1), { event: 'media_swept', fields: { removed: 3 } });
  await test.advance(2_000, 500);
  t.equal(slices, 3);
});

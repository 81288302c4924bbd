/**
 * The sending half of a conversation, decided: each event against the action it must lead to.
 */

import t from 'tap';
import { LIMITS } from './limits.ts';
import { openLane, stepLane } from './outbox.ts';
import type { Lane, LaneAction, LaneEvent } from './outbox.ts';

const FRESH = { nextId: 1, sentId: 0, deliveredId: 0, readId: 0 };

/** Steps through events; the actions of the last one count. */
function run(lane: Lane, ...events: LaneEvent[]): { lane: Lane; actions: readonly LaneAction[] } {
  let actions: readonly LaneAction[] = [];
  for (const event of events) ({ lane, actions } = stepLane(lane, event));
  return { lane, actions };
}

const ONLINE: LaneEvent = { type: 'online' };
const OFFLINE: LaneEvent = { type: 'offline' };
const queued = (lastId: number, preparedId: number = lastId): LaneEvent => ({ type: 'queued', lastId, preparedId });
const acked = (id: number): LaneEvent => ({ type: 'acked', id });
const receipt = (kind: 'delivered' | 'read', id: number): LaneEvent => ({ type: 'receipt', kind, id });
function refused(
  id: number,
  code: string,
  rest: { expectedId?: number; retryAfterMs?: number; devices?: number[] } = {},
): LaneEvent {
  const blank = { retryAfterMs: undefined, expectedId: undefined, devices: [] };
  return { type: 'refused', id, code: code as 'APP_X', ...blank, ...rest };
}
function types(actions: readonly LaneAction[]): string[] {
  return actions.map((action) => action.type);
}

/** Online, and the server has shown that it has a record of the conversation. */
const CONFIRMED: Lane = { ...run(openLane(FRESH), ONLINE).lane, confirmed: true };
/** Three messages in flight. */
const FLYING = run(CONFIRMED, queued(3)).lane;

t.test('nothing is transmitted offline, and everything in order at login', async (t) => {
  const offline = run(openLane(FRESH), queued(3));
  t.same(offline.actions, []);
  const online = run(offline.lane, ONLINE);
  t.same(online.actions, [{ type: 'transmit', firstId: 1, lastId: 1 }], 'one goes ahead');
  t.same(run(online.lane, acked(1)).actions, [
    { type: 'acknowledge', sentId: 1 },
    { type: 'transmit', firstId: 2, lastId: 3 },
  ]);
});

t.test('on each connection one message goes ahead alone, until the server acknowledges something', async (t) => {
  const ahead = run(openLane(FRESH), ONLINE, queued(1), queued(20));
  t.same(ahead.actions, [], 'a server without a record would take any of them');
  const again = run(ahead.lane, refused(1, 'APP_RATE_LIMITED'), { type: 'elapsed' });
  t.same(again.actions, [{ type: 'transmit', firstId: 1, lastId: 1 }], 'nor after a refusal');
  t.match(run(again.lane, receipt('delivered', 1)).actions[1], { type: 'transmit', firstId: 2 }, 'a receipt tells too');
  const flying = run(again.lane, acked(1)).lane;
  t.equal(flying.cursor, 2 + LIMITS.flightCountMax);
  t.match(run(flying, acked(3), OFFLINE, ONLINE).actions, [{ type: 'transmit', firstId: 4, lastId: 4 }]);
});

t.test('what goes ahead alone is the first, whatever the server names', async (t) => {
  const named = run(openLane(FRESH), ONLINE, queued(3), refused(1, 'APP_OUT_OF_ORDER', { expectedId: 3 }));
  t.match(named.actions, [{}, { type: 'transmit', firstId: 1, lastId: 1 }]);
});

t.test('what is not encrypted is prepared first, once', async (t) => {
  const step = run(CONFIRMED, queued(2, 0));
  t.same(step.actions, [{ type: 'prepare', devices: undefined }]);
  t.same(run(step.lane, queued(3, 0)).actions, [], 'a preparation is under way');
  t.same(run(step.lane, { type: 'prepared', preparedId: 2 }).actions, [{ type: 'transmit', firstId: 1, lastId: 2 }]);
});

t.test('a preparation that a lost connection has cut off is asked for again on the next one', async (t) => {
  const step = run(openLane(FRESH), ONLINE, queued(2, 0), OFFLINE, ONLINE);
  t.same(step.actions, [{ type: 'prepare', devices: undefined }]);
});

t.test('the flight is bounded, and each acknowledgement lets as many follow', async (t) => {
  const max = LIMITS.flightCountMax;
  const full = run(CONFIRMED, queued(max + 10));
  t.same(full.actions, [{ type: 'transmit', firstId: 1, lastId: max }]);
  t.same(run(full.lane, acked(4)).actions, [
    { type: 'acknowledge', sentId: 4 },
    { type: 'transmit', firstId: max + 1, lastId: max + 4 },
  ]);
});

t.test('a reconnect resends from the first unacknowledged message', async (t) => {
  t.same(run(FLYING, acked(1), OFFLINE, ONLINE).actions, [{ type: 'transmit', firstId: 2, lastId: 2 }]);
});

t.test('acknowledgements and receipts are cumulative and only move forward', async (t) => {
  t.same(run(FLYING, acked(2), acked(1)).actions, []);
  const read = run(FLYING, receipt('read', 2));
  t.same(read.actions, [
    { type: 'acknowledge', sentId: 2 },
    { type: 'announce', deliveredId: 2, readId: 2 },
  ]);
  t.same(run(read.lane, receipt('delivered', 1)).actions, [], 'older than what is known');
  t.same(run(read.lane, receipt('delivered', 2)).actions, [], 'read implies delivered');
});

t.test('a refused flight is sent again once, after its last echo', async (t) => {
  const outOfOrder = (id: number): LaneEvent => refused(id, 'APP_OUT_OF_ORDER', { expectedId: 1 });
  const first = run(FLYING, outOfOrder(1));
  t.same(types(first.actions), ['set-timer']);
  t.same(run(first.lane, outOfOrder(2)).actions, []);
  t.same(run(first.lane, outOfOrder(2), outOfOrder(3)).actions, [
    { type: 'clear-timer' },
    { type: 'transmit', firstId: 1, lastId: 3 },
  ]);
  t.same(types(run(first.lane, { type: 'elapsed' }).actions), ['clear-timer', 'transmit'], 'an echo that never comes');
});

t.test(
  'the expected id is where to go on, and acknowledges nothing: what is before it may not be flushed',
  async (t) => {
    const step = run(FLYING, refused(3, 'APP_OUT_OF_ORDER', { expectedId: 2 }));
    t.same(step.actions, [{ type: 'clear-timer' }, { type: 'transmit', firstId: 2, lastId: 3 }]);
    t.equal(step.lane.sentId, 0);
    t.same(run(step.lane, acked(3)).actions[0], { type: 'acknowledge', sentId: 3 });
  },
);

t.test('what went to an owner that is no more is sent again', async (t) => {
  // 1 and 2 went to the former owner, 3 was refused between the two, and the new one has none of them.
  const between = run(FLYING, refused(3, 'APP_OVERLOADED'), { type: 'elapsed' });
  t.same(between.lane.sentId, 0, 'no check mark for 1 and 2');
  t.same(between.actions, [{ type: 'transmit', firstId: 1, lastId: 3 }]);
  const asked = run(FLYING, refused(3, 'APP_OUT_OF_ORDER', { expectedId: 1 }));
  t.same(asked.actions, [{ type: 'clear-timer' }, { type: 'transmit', firstId: 1, lastId: 3 }]);
});

for (const code of ['APP_RATE_LIMITED', 'APP_OVERLOADED', 'APP_RESTARTING', 'APP_INBOX_FULL', 'APP_STORE_FULL']) {
  t.test(`${code} pauses the lane, at least as long as the server says`, async (t) => {
    const one = run(openLane(FRESH), ONLINE, queued(1)).lane;
    const told = run(one, refused(1, code, { retryAfterMs: 9_000 }));
    t.match(told.actions, [{ type: 'set-timer', delay: { floorMs: 9_000 } }]);
    t.same(run(told.lane, { type: 'elapsed' }).actions, [{ type: 'transmit', firstId: 1, lastId: 1 }]);
    t.match(run(one, refused(1, code)).actions, [{ type: 'set-timer', delay: { floorMs: LIMITS.pauseMsMin } }]);
  });
}

t.test('pauses grow while nothing is accepted, and start anew after an acknowledgement', async (t) => {
  let lane = run(openLane(FRESH), ONLINE, queued(1)).lane;
  const spans: number[] = [];
  for (let n = 0; n < 9; n += 1) {
    const step = run(lane, refused(1, 'APP_INBOX_FULL'));
    spans.push((step.actions[0] as LaneAction & { type: 'set-timer' }).delay.spanMs);
    lane = run(step.lane, { type: 'elapsed' }).lane;
  }
  t.same(
    spans,
    [...spans].sort((a, b) => a - b),
  );
  t.ok(spans.at(-1)! > spans[0]! * 8);
  t.ok(spans.at(-1)! <= LIMITS.pauseMsMax);
  t.equal(run(lane, acked(1)).lane.strikes, 0);
});

t.test('changed devices renew everything unacknowledged, and give up after repeated changes', async (t) => {
  let lane = run(FLYING, acked(1)).lane;
  for (let renewal = 0; renewal < LIMITS.renewalCountMax; renewal += 1) {
    const step = run(
      lane,
      refused(2, 'APP_DEVICES_CHANGED', { devices: [7] }),
      refused(3, 'APP_OUT_OF_ORDER', { expectedId: 2 }),
    );
    t.same(step.actions, [{ type: 'clear-timer' }, { type: 'prepare', devices: [7] }]);
    t.same(run(step.lane, queued(4, 1)).actions, [], 'nothing leaves while renewing');
    const sent = run(step.lane, { type: 'prepared', preparedId: 3 });
    t.same(sent.actions, [{ type: 'transmit', firstId: 2, lastId: 3 }]);
    lane = sent.lane;
  }
  const last = run(
    lane,
    refused(2, 'APP_DEVICES_CHANGED', { devices: [8] }),
    refused(3, 'APP_OUT_OF_ORDER', { expectedId: 2 }),
  );
  t.match(last.actions, [{}, { type: 'abandon', firstId: 2, code: 'CLI_DEVICES_UNSETTLED' }]);
});

t.test('a renewal that fails gives up what was refused, and nothing that the server may have', async (t) => {
  const renewing = run(FLYING, refused(3, 'APP_DEVICES_CHANGED', { devices: [7] })).lane;
  const never: LaneEvent = { type: 'unprepared', code: 'CLI_IDENTITY_REFUSED', retry: false };
  const failed = run(renewing, never);
  t.same(failed.actions, [{ type: 'abandon', firstId: 3, code: 'CLI_IDENTITY_REFUSED' }]);
  t.same(run(failed.lane, acked(2)).actions, [{ type: 'acknowledge', sentId: 2 }], 'flushed after the refusal');
  const later = run(renewing, { ...never, retry: true }, acked(2), { type: 'elapsed' }, never);
  t.same(later.actions, [{ type: 'abandon', firstId: 3, code: 'CLI_IDENTITY_REFUSED' }], 'nor at the second attempt');
  t.match(later.lane, { nextId: 3, sentId: 2, preparedId: 2, cursor: 3 });
});

t.test('a preparation that fails leaves a refused flight and a pause as they are', async (t) => {
  const half = run(CONFIRMED, queued(3), queued(4, 3), refused(2, 'APP_OVERLOADED')).lane;
  for (const retry of [true, false]) {
    const settling = run(half, { type: 'unprepared', code: 'CLI_TIMEOUT', retry });
    t.equal(settling.lane.hold.type, 'settling');
    const paused = run(settling.lane, refused(3, 'APP_OUT_OF_ORDER', { expectedId: 2 }));
    t.match(paused.lane.hold, { type: 'paused' });
    t.match(run(paused.lane, { type: 'elapsed' }).actions[0], { type: 'transmit', firstId: 1, lastId: 3 });
    const failed = run(half, refused(3, 'APP_OUT_OF_ORDER'), { type: 'unprepared', code: 'CLI_TIMEOUT', retry });
    t.match(failed.lane.hold, { type: 'paused' }, 'the server named a time');
  }
});

t.test('any other refusal is final for the message and those behind it', async (t) => {
  const step = run(FLYING, refused(2, 'APP_UNKNOWN_USER'), refused(3, 'APP_UNKNOWN_USER'));
  t.match(step.actions, [{ type: 'clear-timer' }, { type: 'abandon', firstId: 2, code: 'APP_UNKNOWN_USER' }]);
  t.match(step.lane, { nextId: 2, cursor: 2, hold: { type: 'none' } });
});

t.test('refusals of what was acknowledged or not sent on this connection change nothing', async (t) => {
  t.same(run(FLYING, acked(2), refused(2, 'APP_UNKNOWN_USER')).actions, []);
  t.same(run(FLYING, refused(9, 'APP_UNKNOWN_USER')).actions, []);
  t.same(run(FLYING, OFFLINE, refused(1, 'APP_UNKNOWN_USER')).actions, []);
});

t.test('a server that disagrees about the past breaks the lane', async (t) => {
  t.match(run(FLYING, acked(4)).actions, [{}, { type: 'abandon', firstId: 1, code: 'CLI_STORE_ROLLED_BACK' }]);
  const lost = run(FLYING, acked(2), refused(3, 'APP_OUT_OF_ORDER', { expectedId: 1 }));
  t.match(lost.actions, [{}, { type: 'abandon', firstId: 3, code: 'CLI_ORDER_LOST' }]);
  t.match(run(lost.lane, queued(3)).actions, [{ type: 'abandon', code: 'CLI_ORDER_LOST' }]);
  t.same(run(lost.lane, ONLINE).actions, []);
});

t.test('a failed preparation pauses or abandons, and never what is encrypted already', async (t) => {
  const half = run(openLane(FRESH), ONLINE, queued(3, 1));
  t.same(types(half.actions), ['transmit', 'prepare']);
  t.same(types(run(half.lane, { type: 'unprepared', code: 'CLI_TIMEOUT', retry: true }).actions), ['set-timer']);
  const failed = run(half.lane, { type: 'unprepared', code: 'CLI_BUNDLE_INVALID', retry: false });
  t.match(failed.actions, [{ type: 'abandon', firstId: 2, code: 'CLI_BUNDLE_INVALID' }]);
});

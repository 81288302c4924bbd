/**
 * The life of the connection: the machine by itself, then with driver, virtual clock and fake server.
 */

import t from 'tap';
import { backoff, drawDelayMs } from './backoff.ts';
import { judgeClose, judgeFailure } from './close-reason.ts';
import { CONNECTION_INITIAL, stepConnection } from './connection.ts';
import type { ConnectionEvent, ConnectionModel } from './connection.ts';
import { LIMITS } from './limits.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import { ALICE, BOB, World } from './testing/world.ts';

function run(model: ConnectionModel, ...events: ConnectionEvent[]): ConnectionModel {
  return events.reduce((at, event) => stepConnection(at, event).model, model);
}

const NONCE = new Uint8Array(32);
const LIVE = run(
  CONNECTION_INITIAL,
  { type: 'start' },
  { type: 'greeted', epoch: 1, nonce: NONCE },
  { type: 'admitted', epoch: 1, held: { oneTime: 100, kem: 16 }, nowMs: 0 },
  { type: 'drained', epoch: 1 },
);

t.test('close codes: what is retried, what is final, and under which code', async (t) => {
  const table: [number, string, string, string][] = [
    [1006, '', 'retry', 'CLI_UNREACHABLE'],
    [1011, 'some proxy', 'retry', 'CLI_UNREACHABLE'],
    [4400, 'WIRE_TRUNCATED', 'fatal', 'WIRE_TRUNCATED'],
    [4400, '', 'fatal', 'APP_PROTOCOL'],
    [4401, 'APP_BAD_SIGNATURE', 'fatal', 'APP_BAD_SIGNATURE'],
    [4401, 'APP_UNKNOWN_DEVICE', 'fatal', 'APP_UNKNOWN_DEVICE'],
    [4401, 'APP_NONCE_EXPIRED', 'retry', 'APP_NONCE_EXPIRED'],
    [4401, 'APP_LOGIN_TIMEOUT', 'retry', 'APP_LOGIN_TIMEOUT'],
    [4409, 'APP_REPLACED', 'fatal', 'APP_REPLACED'],
    [4410, 'APP_UNREGISTERED', 'fatal', 'APP_UNREGISTERED'],
    [4413, 'WIRE_FRAME_TOO_LARGE', 'fatal', 'WIRE_FRAME_TOO_LARGE'],
    [4415, 'APP_TEXT_FRAME', 'fatal', 'APP_TEXT_FRAME'],
    [4429, 'APP_RATE_LIMITED', 'retry', 'APP_RATE_LIMITED'],
    [4503, 'APP_DRAINING', 'retry', 'APP_DRAINING'],
    [1006, 'APP_OVERLOADED', 'retry', 'APP_OVERLOADED'],
  ];
  for (const [code, reason, type, named] of table) t.match(judgeClose({ code, reason }), { type, code: named });
  const untrusted = { code: 1006, reason: '', isUntrusted: true };
  t.match(judgeClose(untrusted), { type: 'retry', code: 'CLI_UNTRUSTED' }, 'the certificate may be renewed');
  t.match(judgeClose({ code: 4429, reason: '' }), { floorMs: LIMITS.backoffRateLimitedMsMin });
  t.match(judgeFailure('APP_OVERLOADED'), { type: 'retry', floorMs: 0 });
  t.match(judgeFailure('APP_OVERLOADED', 7_000), { type: 'retry', floorMs: 7_000 });
  t.match(judgeClose({ code: 1006, reason: '', retryAfterMs: 9_000 }), { floorMs: 9_000 });
  t.match(judgeClose({ code: 1006, reason: '', isUntrusted: true }), { type: 'retry', code: 'CLI_UNTRUSTED' });
  const never = { code: 1006, reason: '', retryAfterMs: 2 ** 40 };
  t.match(judgeClose(never), { floorMs: LIMITS.backoffFloorMsMax }, 'a server cannot keep us away for good');
  t.match(judgeFailure('APP_UNKNOWN_DEVICE'), { type: 'fatal' });
});

t.test('the backoff doubles to its bound, and draws fill the whole range', async (t) => {
  t.same(
    [0, 1, 2, 6, 7, 50].map((attempt) => backoff(attempt).spanMs),
    [500, 1_000, 2_000, 32_000, 60_000, 60_000],
  );
  const random = new SeededRandom(1);
  const draws = Array.from({ length: 2_000 }, () => drawDelayMs({ floorMs: 100, spanMs: 1_000 }, random));
  t.ok(draws.every((ms) => ms >= 100 && ms <= 1_100 && Number.isInteger(ms)));
  t.ok(Math.min(...draws) < 110 && Math.max(...draws) > 1_090);
});

t.test('a connection that held resets the backoff, one that did not raises it', async (t) => {
  const close = { code: 1006, reason: '' };
  const lostAt = (nowMs: number): ConnectionModel =>
    run({ ...LIVE, attempt: 5 }, { type: 'lost', epoch: LIVE.epoch, close, nowMs });
  t.equal(lostAt(LIMITS.backoffResetMs - 1).attempt, 6);
  t.equal(lostAt(LIMITS.backoffResetMs).attempt, 1);
});

t.test('events of an earlier socket are ignored', async (t) => {
  for (const event of [
    { type: 'lost', epoch: 0, close: { code: 4409, reason: '' }, nowMs: 0 },
    { type: 'drained', epoch: 0 },
    { type: 'refused', epoch: 0, code: 'APP_BAD_SIGNATURE', nowMs: 0 },
  ] as const) {
    t.same(stepConnection(LIVE, event), { model: LIVE, actions: [] });
  }
});

t.test('every event in every state is answered, and a closed machine stays without socket', async (t) => {
  const states = ['offline', 'connecting', 'authenticating', 'draining', 'live', 'closed'] as const;
  const events: ConnectionEvent[] = [
    { type: 'start' },
    { type: 'stop' },
    { type: 'greeted', epoch: 1, nonce: NONCE },
    { type: 'admitted', epoch: 1, held: { oneTime: 0, kem: undefined }, nowMs: 0 },
    { type: 'refused', epoch: 1, code: 'APP_BAD_SIGNATURE', nowMs: 0 },
    { type: 'drained', epoch: 1 },
    { type: 'heard', epoch: 1, nowMs: 0 },
    { type: 'lost', epoch: 1, close: { code: 4409, reason: '' }, nowMs: 0 },
    { type: 'elapsed', timer: 'redial', nowMs: 0 },
    { type: 'elapsed', timer: 'handshake', nowMs: 0 },
    { type: 'elapsed', timer: 'heartbeat', nowMs: 0 },
    { type: 'broken', code: 'CLI_PROTOCOL', fatal: true, nowMs: 0 },
  ];
  for (const state of states) {
    for (const event of events) {
      const { model, actions } = stepConnection({ ...LIVE, state, wanted: state !== 'closed' }, event);
      const hungUp = actions.some((action) => action.type === 'hang-up');
      const dialled = actions.some((action) => action.type === 'dial');
      const hadSocket = state !== 'offline' && state !== 'closed';
      const hasSocket = model.state !== 'offline' && model.state !== 'closed';
      t.equal(hungUp, hadSocket && !hasSocket, `${state} + ${event.type}: hangs up exactly when it leaves a socket`);
      t.equal(dialled, !hadSocket && hasSocket, `${state} + ${event.type}: dials exactly when it gets one`);
    }
  }
});

t.test(
  'a second greeting is answered by a login on the same connection, and all is said again behind it',
  async (t) => {
    const world = new World();
    const alice = await world.person(ALICE).join();
    const bob = await world.person(BOB).join();
    const states: string[] = [];
    alice.client.onState((state) => states.push(state));
    let lost = 0;
    world.server.onReceive = (message) => {
      if (message.kind !== 'message' || lost > 0) return 'ok';
      lost = message.id;
      // It reaches nobody: the owner of the shard is gone.
      world.server.greetAgain(alice.user);
      return 'ignore';
    };
    const sent = await Promise.all([1, 2, 3].map((number) => alice.client.send(BOB, String(number))));
    await Promise.all(sent.map(({ delivered }) => delivered));
    t.same(states, ['authenticating', 'draining', 'live']);
    t.equal(lost, 1);
    t.same(logins(world), ['auth', 'auth', 'resume'], 'by the ticket');
    t.same(await bob.texts(ALICE), ['1', '2', '3']);
  },
);

t.test('a second greeting that nobody follows up is a lost connection', async (t) => {
  const greeted = stepConnection(LIVE, { type: 'greeted', epoch: 1, nonce: NONCE });
  t.match(greeted.model, { state: 'authenticating', epoch: 1 });
  t.strictSame(
    greeted.actions.map(({ type }) => type),
    ['state-changed', 'clear-timer', 'shut', 'set-timer', 'login'],
  );
  const late = stepConnection(greeted.model, { type: 'elapsed', timer: 'handshake', nowMs: 1 });
  t.match(late.model, { state: 'offline', wanted: true });
  t.equal(late.actions.filter(({ type }) => type === 'shut').length, 0, 'once is enough');
});

t.test('a silent connection is asked after 30 s and left after 10 s more', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  await world.pass(29_000);
  t.notOk(world.server.log.some((entry) => entry.message.kind === 'ping'));
  await world.pass(2_000);
  t.equal(world.server.log.filter((entry) => entry.message.kind === 'ping').length, 1);
  t.equal(alice.client.state, 'live', 'the pong counts');
  world.server.isMute = true;
  await world.pass(38_000);
  t.equal(alice.client.state, 'live');
  await world.pass(3_000);
  t.match(alice.eventsOf('retrying'), [{ code: 'CLI_TIMEOUT' }]);
  world.server.isMute = false;
  await world.pass(60_000);
  t.equal(alice.client.state, 'live');
});

t.test('a server that is away is tried again and again, ever more slowly, and found', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  world.server.isDown = true;
  world.server.dropAll();
  await world.pass(30 * 60_000);
  const attempts = alice.eventsOf('retrying');
  t.ok(attempts.length > 20 && attempts.length < 120, `${attempts.length} attempts in half an hour`);
  t.ok(attempts.every((event) => event.delayMs <= LIMITS.backoffStepMsMax));
  t.ok(attempts.slice(-10).some((event) => event.delayMs > 10_000));
  world.server.isDown = false;
  await world.pass(60_000);
  t.equal(alice.client.state, 'live');
});

for (const [code, reason] of [
  [4409, 'APP_REPLACED'],
  [4410, 'APP_UNREGISTERED'],
  [4400, 'APP_PROTOCOL'],
] as const) {
  t.test(`after ${reason} the client stops and says so; connect() tries once more`, async (t) => {
    const world = new World();
    const alice = await world.person(ALICE).join();
    world.server.closeWith(alice.user, code, reason);
    await world.pass(600_000);
    t.equal(alice.client.state, 'closed');
    t.same(alice.eventsOf('stopped'), [{ type: 'stopped', code: reason }]);
    t.equal(world.clock.timerCount, 0);
    await alice.client.connect();
    t.equal(alice.client.state, 'live');
  });
}

t.test('an application sees each state as it comes: to live, after a cut, and at the end', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const states: string[] = [];
  alice.client.onState((state) => states.push(state));
  world.server.dropAll();
  await world.pass(5_000);
  t.equal(alice.client.state, 'live');
  t.same(states.splice(0), ['offline', 'connecting', 'authenticating', 'draining', 'live']);
  t.same(
    alice
      .eventsOf('state')
      .slice(-5)
      .map(({ state }) => state),
    ['offline', 'connecting', 'authenticating', 'draining', 'live'],
    'the same by events',
  );
  t.match(alice.eventsOf('retrying').at(-1), { delayMs: Number, code: 'CLI_UNREACHABLE' }, 'why, and when it is tried');
  await alice.client.close();
  t.same(states, ['closed']);
});

t.test('after APP_RATE_LIMITED it waits at least five seconds', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  world.server.closeWith(alice.user, 4429, 'APP_RATE_LIMITED');
  await world.pass(4_900);
  t.equal(alice.client.state, 'offline');
  await world.pass(10_000);
  t.equal(alice.client.state, 'live');
});

t.test('the second login of a device ends the first for good', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const states: string[] = [];
  alice.client.onState((state) => states.push(state));
  const second = await alice.twin();
  await second.connect();
  await world.settle();
  t.same(states, ['closed']);
  t.equal(second.state, 'live');
});

function logins(world: World): string[] {
  return world.server.logins.splice(0);
}

t.test('the first login is signed, those after it are by ticket, also after a restart', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  t.same(logins(world), ['auth']);
  world.server.dropAll();
  await world.pass(5_000);
  t.same(logins(world), ['resume']);
  t.equal(alice.client.state, 'live');
  await alice.client.close();
  await alice.start();
  await alice.client.connect();
  t.same(logins(world), ['resume'], 'it was kept on the disk');
});

t.test('a refused ticket is followed by a signature on the same connection, and is not shown again', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  world.server.forgetTickets();
  logins(world);
  world.server.dropAll();
  await world.pass(5_000);
  t.same(logins(world), ['resume', 'auth']);
  t.equal(alice.client.state, 'live');
  t.equal(alice.eventsOf('retrying').length, 1, 'the cut, and no other');
  world.server.dropAll();
  await world.pass(5_000);
  t.same(logins(world), ['resume'], 'the signature brought a new one');
});

t.test('an expired ticket is not shown, and a server without tickets is signed to', async (t) => {
  const world = new World();
  world.server.ticketSeconds = 60;
  const alice = await world.person(ALICE).join();
  await world.pass(61_000);
  world.server.ticketSeconds = 0;
  logins(world);
  for (let round = 0; round < 2; round += 1) {
    world.server.dropAll();
    await world.pass(5_000);
  }
  t.same(logins(world), ['auth', 'auth']);
  t.equal(alice.client.state, 'live');
});

t.test('a login that is put off waits for the time given, and a bit more', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  world.server.putOff = 30;
  world.server.dropAll();
  await world.pass(5_000);
  world.server.putOff = 0;
  await world.pass(24_000);
  t.equal(alice.client.state, 'offline');
  t.match(alice.eventsOf('retrying').at(-1), { code: 'APP_OVERLOADED' });
  await world.pass(12_000);
  t.equal(alice.client.state, 'live');
});

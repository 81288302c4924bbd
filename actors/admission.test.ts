import t from 'tap';
import { Admission, type AdmissionBounds, type Deferral } from './admission.ts';
import { LIMITS } from './limits.ts';

const NONE: AdmissionBounds = {
  connections: Infinity,
  addressConnections: Infinity,
  addressConnects: Infinity,
  addressRegistrations: Infinity,
};

/** A worker whose clock, load and memory the test decides. */
class World {
  nowMs = 1_000;
  busy = 0;
  isMemoryLow = false;
  readonly admission: Admission;

  constructor(bounds: Partial<AdmissionBounds> = {}) {
    this.admission = new Admission(
      {
        monotonicMs: () => this.nowMs,
        busyMs: () => this.busy,
        isMemoryLow: () => this.isMemoryLow,
        integer: (bound) => bound - 1,
      },
      { ...NONE, ...bounds },
    );
  }

  pass(ms: number, busyShare = 0): void {
    this.nowMs += ms;
    this.busy += ms * busyShare;
  }

  /** Comes `count` times. Returns the refusals. */
  enter(count: number, address = 'a'): Deferral[] {
    const deferrals: Deferral[] = [];
    for (let index = 0; index < count; index++) {
      const deferral = this.admission.enter(address);
      if (deferral !== undefined) deferrals.push(deferral);
    }
    return deferrals;
  }

  get rate(): number {
    return this.admission.statistics().loginsPerSecond;
  }
}

const QUEUE = LIMITS.loginsPerSecondStart * LIMITS.loginQueueSeconds;

t.test('what comes at once is admitted as far as it can be served soon, the rest is told when to come', async (t) => {
  const world = new World();
  t.strictSame(world.enter(QUEUE), []);
  const refused = world.enter(3 * LIMITS.loginsPerSecondStart);
  t.equal(refused.length, 3 * LIMITS.loginsPerSecondStart);
  t.same(refused[0], { code: 'APP_OVERLOADED', retryAfter: 1 });
  const perSecond = new Map<number, number>();
  for (const { retryAfter } of refused) perSecond.set(retryAfter, (perSecond.get(retryAfter) ?? 0) + 1);
  for (const [second, count] of perSecond) t.ok(count <= LIMITS.loginsPerSecondStart, `${count} in second ${second}`);
  t.match(world.admission.statistics(), {
    connections: QUEUE,
    live: 0,
    isFull: false,
    loginsPerSecond: 6_000,
    deferred: refused.length,
  });
});

t.test('nobody is told to wait for longer than a minute', async (t) => {
  const world = new World();
  const last = world.enter(QUEUE + 100 * LIMITS.loginsPerSecondStart).at(-1);
  t.equal(last?.retryAfter, LIMITS.deferSecondsMax);
});

t.test('the places of those who were told to wait are free again when their time has come', async (t) => {
  const world = new World();
  world.enter(QUEUE + 5 * LIMITS.loginsPerSecondStart);
  const next = world.enter(1)[0]!;
  t.ok(next.retryAfter > 5);
  world.pass(10_000);
  t.equal(world.enter(3 * QUEUE)[0]?.retryAfter, 1);
});

t.test('a rate that leaves the worker idle while clients wait goes up, within its bound', async (t) => {
  const world = new World();
  const before = world.rate;
  world.enter(QUEUE + 1);
  world.pass(LIMITS.admissionIntervalMs, 0.5);
  world.enter(1);
  t.ok(world.rate > before);
  for (let round = 0; round < 50; round++) {
    world.enter(200_000);
    world.pass(LIMITS.admissionIntervalMs, 0.1);
  }
  t.equal(world.rate, LIMITS.loginsPerSecondMax);
});

t.test('a rate that is more than a busy worker finishes comes down to what it does', async (t) => {
  const world = new World();
  const finish = (perSecond: number): void => {
    for (let done = 0; done < (perSecond * LIMITS.admissionIntervalMs) / 1000; done++) world.admission.finished();
  };
  for (let round = 0; round < 20; round++) {
    world.enter(QUEUE + 1);
    finish(2_000);
    world.pass(LIMITS.admissionIntervalMs, 1);
  }
  world.enter(1);
  t.ok(Math.abs(world.rate - 2_000) < 50, `${world.rate}`);
  for (let round = 0; round < 30; round++) {
    world.enter(QUEUE);
    world.pass(LIMITS.admissionIntervalMs, 1);
  }
  t.equal(world.rate, LIMITS.loginsPerSecondMin, 'busy with something else, it admits a few all the same');
});

t.test('an interval in which nobody was refused teaches nothing', async (t) => {
  const world = new World();
  const before = world.rate;
  for (const busyShare of [0, 1, 0.5]) {
    world.enter(1);
    world.pass(LIMITS.admissionIntervalMs, busyShare);
    world.enter(1);
  }
  t.equal(world.rate, before);
});

t.test('a signature costs more than a ticket, and is refused before it is checked', async (t) => {
  const world = new World();
  world.enter(QUEUE - LIMITS.signatureTokens);
  t.equal(world.admission.verify(), undefined);
  t.match(world.admission.verify(), { code: 'APP_OVERLOADED', retryAfter: 1 });
});

t.test('an address has its rate, its connections and its requests, and others have theirs', async (t) => {
  const world = new World({ addressConnects: 2, addressConnections: 30, addressRegistrations: 1 });
  t.strictSame(world.enter(20), [], 'ten seconds at once');
  t.same(world.enter(1), [{ code: 'APP_RATE_LIMITED', retryAfter: 1 }]);
  t.strictSame(world.enter(20, 'b'), [], 'another address');
  world.pass(5_000);
  t.strictSame(world.enter(10), []);
  world.pass(60_000);
  t.same(world.enter(1), [{ code: 'APP_RATE_LIMITED', retryAfter: LIMITS.addressFullRetrySeconds }], 'thirty are open');
  world.admission.left('a');
  t.strictSame(world.enter(1), []);
  for (let index = 0; index < 10; index++) t.equal(world.admission.register('a'), undefined);
  t.same(world.admission.register('a'), { code: 'APP_RATE_LIMITED', retryAfter: 60 });
  t.equal(world.admission.register('b'), undefined);
});

t.test('a flood from one address does not use up what the others come in with', async (t) => {
  const world = new World({ addressConnects: 10 });
  const flood = world.enter(100_000, 'flood');
  t.equal(flood.length, 100_000 - 100);
  t.ok(flood.every(({ code }) => code === 'APP_RATE_LIMITED'));
  for (let index = 0; index < 80; index++) t.strictSame(world.enter(100, `other ${index}`), []);
});

t.test('no room for a connection, and no memory, put everybody off for a while', async (t) => {
  const world = new World({ connections: 2 });
  world.enter(2);
  t.match(world.enter(1), [{ code: 'APP_OVERLOADED', retryAfter: LIMITS.fullRetrySeconds + 2 }]);
  world.admission.left('a');
  t.strictSame(world.enter(1), []);
  world.admission.left('a');
  world.isMemoryLow = true;
  world.pass(LIMITS.admissionIntervalMs);
  t.equal(world.enter(1).length, 1);
  world.isMemoryLow = false;
  world.pass(LIMITS.admissionIntervalMs);
  t.strictSame(world.enter(1), []);
});

t.test('addresses are remembered up to a bound; those with connections are not forgotten', async (t) => {
  const world = new World({ addressConnects: 1_000, addressConnections: 1 });
  world.enter(1, 'resident');
  for (let index = 0; index < LIMITS.visitorCountMax + 100; index++) {
    const address = `${index}`;
    if (world.admission.enter(address) === undefined) world.admission.left(address);
    if (index % 5_000 === 0) world.pass(1_000);
  }
  t.equal(world.enter(1, 'resident').length, 1, 'its one connection still counts');
});

t.test('while the node is drained nobody is let in, and each is told another time to come back', async (t) => {
  const world = new World();
  world.admission.isDraining = true;
  const refused = world.enter(100);
  t.equal(refused.length, 100);
  t.ok(refused.every(({ code, retryAfter }) => code === 'APP_DRAINING' && retryAfter >= 1));
  world.admission.isDraining = false;
  t.strictSame(world.enter(1), []);
});

t.test('other bounds hold from now on, and who is in stays in', async (t) => {
  const world = new World();
  t.strictSame(world.enter(10), []);
  const bounds = { connections: 5, addressConnections: Infinity, addressConnects: Infinity, addressRegistrations: 1 };
  world.admission.rebound(bounds);
  t.equal(world.enter(1).length, 1);
  t.match(world.admission.statistics(), { connections: 10, isFull: true });
  world.admission.rebound(Object.assign({}, bounds, { connections: 12 }));
  t.equal(world.enter(5).length, 3);
});

t.test('a connection counts as live from its login to its end', async (t) => {
  const world = new World();
  world.enter(2);
  world.admission.finished();
  t.match(world.admission.statistics(), { connections: 2, live: 1 });
  world.admission.ended();
  world.admission.left('a');
  t.match(world.admission.statistics(), { connections: 1, live: 0 });
});

import t from 'tap';
import type { Clock, Logger } from '../../runtime/index.ts';
import { ServiceManager, watchdogIntervalMs } from './service-manager.ts';

class World {
  readonly told: string[][] = [];
  readonly failures: unknown[] = [];
  isAlive = true;
  timer: { readonly delayMs: number; readonly callback: () => void } | undefined;
  readonly manager: ServiceManager;

  constructor(environment: Record<string, string>, notify?: () => Promise<void>) {
    const clock: Clock = {
      nowMs: () => 0,
      monotonicMs: () => 0,
      setTimer: (delayMs, callback) => (this.timer = { delayMs, callback }),
      clearTimer: () => (this.timer = undefined),
    };
    const quiet = (): void => undefined;
    const log: Logger = { debug: quiet, info: quiet, warn: quiet, error: (event) => void this.failures.push(event) };
    this.manager = new ServiceManager({
      environment,
      clock,
      log,
      isAlive: () => this.isAlive,
      notify: notify ?? (async (...assignments) => void this.told.push([...assignments])),
    });
  }
}

const SERVICE = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '30000000' };

t.test(
  'systemd is told of the start and the end, and the watchdog at half its time while the node turns',
  async (t) => {
    const world = new World(SERVICE);
    await world.manager.ready('listening');
    t.strictSame(world.told.splice(0), [['READY=1', 'STATUS=listening']]);
    t.equal(world.timer?.delayMs, 15_000);
    world.timer?.callback();
    t.strictSame(world.told.splice(0), [['WATCHDOG=1']]);
    world.isAlive = false;
    world.timer?.callback();
    t.strictSame(world.told.splice(0), [], 'a node that does not turn is to be started anew');
    await world.manager.stopping();
    t.match(world.told.splice(0), [['STOPPING=1']]);
    t.equal(world.timer, undefined);
  },
);

t.test('without systemd nothing is told', async (t) => {
  const world = new World({});
  await world.manager.ready('listening');
  await world.manager.stopping();
  t.strictSame(world.told, []);
  t.equal(world.timer, undefined);
  t.equal(watchdogIntervalMs({ WATCHDOG_USEC: '0' }), undefined);
});

t.test('a systemd-notify that is missing is logged, and the node goes on', async (t) => {
  const world = new World(SERVICE, () => Promise.reject(new Error('spawn systemd-notify ENOENT')));
  await world.manager.ready('listening');
  t.strictSame(world.failures, ['systemd_notify_failed']);
});

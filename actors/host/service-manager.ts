/**
 * Tells systemd how the node is: ready, alive, about to stop (`Type=notify` with a watchdog; see deploy/blindbeam.service).
 *
 * The protocol is a datagram to a Unix socket, which Node.js cannot send: it has no datagram sockets of that kind, and an add-on for
 * thirty bytes is not worth its risk. systemd ships a program for it, `systemd-notify`, and waits for what a child of the service has
 * sent as long as the unit says `NotifyAccess=all`. A start costs a few milliseconds of another process each half watchdog time.
 *
 * Without NOTIFY_SOCKET in the environment nothing happens. Source: sd_notify(3), systemd-notify(1).
 */

import { execFile } from 'node:child_process';
import type { Clock, Logger } from '../../runtime/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs `systemd-notify` with assignments such as `READY=1`. Rejects when it is missing or fails. */
export type Notify = (...assignments: readonly string[]) => Promise<void>;

export interface ServiceManagerOptions {
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether the node turns; the watchdog is only told while it does. */
  readonly isAlive: () => boolean;
  readonly notify?: Notify;
}

export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #notify: Notify | undefined;
  #timer: unknown;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
    if (options.environment['NOTIFY_SOCKET'] !== undefined) this.#notify = options.notify ?? runSystemdNotify;
  }

  /** Clients are served: units that come after this one may start, and the watchdog is fed from now on. */
  async ready(status: string): Promise<void> {
    await this.#tell('READY=1', `STATUS=${status}`);
    const intervalMs = watchdogIntervalMs(this.#options.environment);
    if (this.#notify !== undefined && intervalMs !== undefined) this.#feed(intervalMs);
  }

  /** From now on the node ends; the watchdog is not told any more, and systemd does not ask for it. */
  async stopping(): Promise<void> {
    this.#options.clock.clearTimer(this.#timer);
    await this.#tell('STOPPING=1', 'STATUS=sending clients away');
  }

  #feed(intervalMs: number): void {
    this.#timer = this.#options.clock.setTimer(intervalMs, () => {
      this.#feed(intervalMs);
      if (this.#options.isAlive()) void this.#tell('WATCHDOG=1');
    });
  }

  async #tell(...assignments: readonly string[]): Promise<void> {
    try {
      await this.#notify?.(...assignments);
    } catch (error) {
      this.#options.log.error('systemd_notify_failed', { reason: (error as Error).message });
    }
  }
}

/** Half of what the unit allows, as systemd advises; undefined without a watchdog. Pure. */
export function watchdogIntervalMs({ WATCHDOG_USEC: microseconds }: Environment): number | undefined {
  const time = Number(microseconds);
  return microseconds === undefined || !(time > 0) ? undefined : time / 2_000;
}

function runSystemdNotify(...assignments: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('systemd-notify', [...assignments], (error) => (error === null ? resolve() : reject(error)));
  });
}

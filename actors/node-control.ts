/**
 * What can be done to a running node from outside, on its main thread: take new settings, another certificate, send clients away, be
 * measured. Signals and the verbs of operators end here; the workers do their part when their agent is asked (`worker-control.ts`).
 */

import { askEach, type EachAnswer } from './admin/ask.ts';
import { AdminError } from './admin/errors.ts';
import { configOf, type NodeConfig } from './config.ts';
import type { Environment, Settings } from './config/sources.ts';
import type { DrainOrder, DrainResult } from './drain.ts';
import type { HandedOver } from './nodes/shard-questions.ts';
import { StartupError } from './errors.ts';
import { compareSettings, takenSettings, type SettingChange } from './config/live.ts';
import type { NodeLogger } from './logger.ts';
import type { NodeView, Phase } from './metrics/health.ts';
import { openConnections } from './metrics/health.ts';
import { Exposition } from './metrics/exposition.ts';
import { gauge, set } from './metrics/meter.ts';
import { noteProcess } from './metrics/process-figures.ts';
import { CertificateWatch, checkPair, type CertificateInfo } from './tls.ts';
import type { Tracer } from './tracing/tracer.ts';
import type { Workers } from './workers.ts';

export interface NodeControlOptions {
  readonly workers: Workers;
  readonly settings: Settings;
  readonly config: NodeConfig;
  readonly environment: Environment;
  /** Reads the settings again, as at the start. Throws what `readSettings` throws. */
  readonly readAgain: () => Settings;
  /** Takes another share of messages; absent without tracing. */
  readonly tracer?: Pick<Tracer, 'setSample'> | undefined;
  readonly log: NodeLogger;
}

/** What became of a departure. */
export interface DepartResult extends DrainResult {
  /** Shards that nobody took in time: they are served here still, and will be missed for some seconds when the node ends. Absent without a cluster. */
  readonly shardsLeft?: number | undefined;
}

const DRAINING = gauge('blindbeam_draining');
const STARTED = gauge('blindbeam_start_timestamp_seconds');

export class NodeControl {
  readonly #options: NodeControlOptions;
  readonly #watch: CertificateWatch | undefined;
  #settings: Settings;
  #config: NodeConfig;
  readonly #exposition: Exposition;
  #phase: Phase = 'serving';
  /** Departures and returns that were asked for: whichever came last holds. */
  #departures = 0;
  #returns = 0;
  #isEnding = false;

  /** @param certificate - What is in use; absent without TLS. */
  constructor(options: NodeControlOptions, certificate: CertificateInfo | undefined) {
    const { workers, settings, config, log } = options;
    this.#options = options;
    this.#settings = settings;
    this.#config = config;
    this.#exposition = new Exposition(workers.figures());
    const { clock } = workers.node;
    set(STARTED, clock.nowMs() / 1_000);
    if (config.tls === undefined || certificate === undefined) return;
    const take = (files: NonNullable<NodeConfig['tls']>): Promise<void> => this.#ask('certificate', files);
    this.#watch = new CertificateWatch({ files: config.tls, inUse: certificate, clock, log, take });
  }

  get phase(): Phase {
    return this.#phase;
  }

  get config(): NodeConfig {
    return this.#config;
  }

  view(): NodeView {
    const { workers } = this.#options;
    return { phase: this.#phase, nowMs: workers.node.clock.nowMs(), threads: workers.figures() };
  }

  /** Resolves to a scrape. */
  render(): Promise<string> {
    noteProcess(this.#config.data);
    return this.#exposition.render();
  }

  /**
   * Reads the settings again and takes what can be taken.
   *
   * @returns Every change, and whether it is taken.
   * @throws {StartupError} (as rejection) APP_CONFIG; then nothing has changed.
   */
  async reload(): Promise<SettingChange[]> {
    const { readAgain, environment, log } = this.#options;
    const now = readAgain();
    const changes = compareSettings(this.#settings, now);
    const taken = takenSettings(this.#settings, now);
    const config = configOf(taken, environment);
    const tls = config.tls;
    if (tls !== undefined) refuseBadPair(tls, this.#options.workers.node.clock.nowMs());
    this.#settings = taken;
    this.#config = config;
    log.setLevels({ level: config.logLevel, modules: config.logModules });
    if (config.tracing !== undefined) this.#options.tracer?.setSample(config.tracing.sample);
    await this.#ask('configure', config);
    if (tls !== undefined) await this.#watch?.look(tls);
    for (const { name, before, now: after, live } of changes) {
      log.info(live ? 'setting_taken' : 'setting_waits_for_restart', { setting: name, before, now: after });
    }
    if (changes.length === 0) log.info('settings_unchanged');
    return changes;
  }

  /** Other levels until the next reload or restart. */
  async setLevels(level: NodeConfig['logLevel'], modules: NodeConfig['logModules']): Promise<void> {
    this.#config = Object.assign({}, this.#config, { logLevel: level, logModules: modules });
    this.#options.log.setLevels({ level, modules });
    await this.#ask('configure', this.#config);
  }

  /**
   * Sends every client away and lets nobody in; the node goes on otherwise. Readiness ends first.
   *
   * @param perSecond - Connections of the node in a second.
   * @param withinMs - After so long, all that are left go at once.
   * @throws {AdminError} (as rejection) ADM_REFUSED when it was called off by `resume` or `comeBack`.
   */
  async drain(perSecond: number, withinMs: number): Promise<DrainResult> {
    const { workers, log } = this.#options;
    const returns = this.#returns;
    this.#beginDrain();
    log.info('drain_started', { connections: openConnections(workers.figures()), perSecond, withinMs });
    const order: DrainOrder = { perSecond: perSecond / workers.workerCount, withinMs };
    const each = await askEach<DrainResult>(workers, 'drain', order, withinMs + DRAIN_SLACK_MS);
    const result = { told: 0, left: 0 };
    for (const answer of each) {
      if (!('ok' in answer)) continue;
      result.told += answer.ok.told;
      result.left += answer.ok.left;
    }
    this.#throwIfCalledOff(returns);
    log.info('drain_finished', result);
    return result;
  }

  #beginDrain(): void {
    this.#departures += 1;
    this.#phase = 'draining';
    set(DRAINING, 1);
    this.#options.workers.announce('draining');
  }

  /** @param returns - When the departure began. */
  #throwIfCalledOff(returns: number): void {
    if (this.#returns === returns) return;
    this.#options.log.info('departure_called_off');
    throw new AdminError('ADM_REFUSED', 'called off: meanwhile the node was told to let clients in again');
  }

  /**
   * Hands the shards of a cluster over, then drains. In this order: who has to come again because a shard moves finds this node closed
   * and goes elsewhere, so that each client comes again once.
   *
   * @param handOverMs - So long others have to take the shards.
   * @throws {AdminError} (as rejection) ADM_REFUSED when it was called off by `comeBack` or `resume`: nothing more is undone then.
   */
  async depart(perSecond: number, withinMs: number, handOverMs: number): Promise<DepartResult> {
    const { workers, log } = this.#options;
    const returns = this.#returns;
    let shardsLeft: number | undefined = undefined;
    if (workers.head !== undefined) {
      this.#beginDrain();
      const each = await askEach<HandedOver>(
        workers,
        'hand-over',
        { timeoutMs: handOverMs },
        handOverMs + DRAIN_SLACK_MS,
      );
      this.#throwIfCalledOff(returns);
      shardsLeft = each.reduce((sum, answer) => sum + ('ok' in answer ? answer.ok.left : 0), 0);
      log.info('shards_handed_over', { left: shardsLeft });
    }
    const { told, left } = await this.drain(perSecond, withinMs);
    return { told, left, shardsLeft };
  }

  /**
   * After a departure, or in the middle of one, which it calls off: takes clients and shards again.
   *
   * @throws {AdminError} (as rejection) ADM_REFUSED when the process is about to end.
   */
  comeBack(): Promise<void> {
    return this.#return(['come-back', 'resume']);
  }

  /** Lets clients in again. Calls a departure off that is under way. @throws {AdminError} (as rejection) as `comeBack`. */
  resume(): Promise<void> {
    return this.#return(['resume']);
  }

  /** From now on nothing calls a departure off: the process ends after it. */
  resolveToEnd(): void {
    this.#isEnding = true;
  }

  async #return(questions: readonly string[]): Promise<void> {
    if (this.#isEnding)
      throw new AdminError('ADM_REFUSED', 'the node is about to end: it comes back when it is started again');
    this.#returns += 1;
    const departures = this.#departures;
    // All at once: a departure that is asked for meanwhile comes behind the whole of it.
    await Promise.all(questions.map((question) => this.#ask(question, {})));
    if (this.#departures !== departures) return;
    this.#phase = 'serving';
    set(DRAINING, 0);
    this.#options.workers.announce('up');
    this.#options.log.info('drain_ended');
  }

  /** The node is about to end. */
  stop(): void {
    this.#isEnding = true;
    this.#phase = 'stopping';
    this.#options.workers.announce('leaving');
    this.#watch?.stop();
  }

  /** Asks every worker. Rejects with the first refusal; the others have done it. */
  async #ask(question: string, parameters: object): Promise<void> {
    const answers: EachAnswer<unknown>[] = await askEach(this.#options.workers, question, parameters);
    for (const answer of answers) if ('error' in answer) throw new Error(`worker ${answer.worker}: ${answer.error}`);
  }
}

/** For the last slices, and for a worker that is busy. */
const DRAIN_SLACK_MS = 10_000;

function refuseBadPair(files: NonNullable<NodeConfig['tls']>, nowMs: number): void {
  const found = checkPair(files, nowMs);
  if ('problem' in found) throw new StartupError('APP_CONFIG', `"tls-certificate": ${found.problem}.`);
}

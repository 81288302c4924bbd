/**
 * What a worker knows about the top of its actors: passes in slices, made when somebody looks and shared by all who look.
 *
 * A view waits for a pass for a moment only. One over a million actors takes longer, and then the view has what was seen
 * so far, says how much that is, and finds the whole at its next frame.
 */

import {
  formatPid,
  Survey,
  type Ranked,
  type Ranking,
  type RankBy,
  type RuntimeNode,
  type SurveyGroup,
  type SurveyResult,
} from '../../runtime/index.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';

/** What a view asks of a worker, under `top`. */
export interface TopQuestion {
  readonly by: RankBy;
  readonly rows: number;
  readonly behavior?: string | undefined;
}

/** One actor in a view. */
export interface TopRow {
  readonly pid: string;
  readonly name: string | undefined;
  readonly behavior: string;
  readonly status: string;
  readonly queue: number;
  readonly queueMax: number;
  readonly ageMs: number;
  /** Since the pass before. */
  readonly messages: number;
  readonly timeMs: number;
  readonly bytes: number;
}

export interface WorkerTop {
  readonly actors: number;
  readonly visited: number;
  readonly windowMs: number;
  readonly queued: number;
  readonly groups: readonly SurveyGroup[];
  readonly rows: readonly TopRow[];
}

interface Pass {
  /** Keys of the rankings in it, in their order. */
  readonly keys: readonly string[];
  readonly done: Promise<void>;
  result(): SurveyResult;
  endedAtMs: number | undefined;
}

export class Surveyor {
  readonly #node: RuntimeNode;
  #survey: Survey | undefined;
  #pass: Pass | undefined;
  /** What is asked for lately, by key. */
  readonly #rankings: Map<string, { readonly ranking: Ranking; askedAtMs: number }> = new Map();

  constructor(node: RuntimeNode) {
    this.#node = node;
  }

  /** @throws {AdminError} (as rejection) ADM_BUSY if too many different rankings are looked at. */
  async top({ by, rows, behavior }: TopQuestion): Promise<WorkerTop> {
    const key = this.#note({ by, behavior, countMax: LIMITS.rowsMax });
    const pass = await this.#passWith(key);
    await Promise.race([pass.done, pause(this.#node.clock, LIMITS.passWaitMs)]);
    const { visited, windowMs, queued, groups, rankings } = pass.result();
    const ranked = rankings[pass.keys.indexOf(key)]!;
    const actors = this.#node.info().processCount;
    return { actors, visited, windowMs, queued, groups, rows: ranked.slice(0, rows).map(rowOf) };
  }

  /** Forgets what is kept between passes. */
  forget(): void {
    this.#survey = undefined;
    this.#rankings.clear();
  }

  #note(ranking: Ranking): string {
    const nowMs = this.#node.clock.monotonicMs();
    const key = `${ranking.by} ${ranking.behavior ?? ''}`;
    for (const [each, { askedAtMs }] of this.#rankings) {
      if (each !== key && nowMs - askedAtMs > LIMITS.rankingAgeMs) this.#rankings.delete(each);
    }
    if (!this.#rankings.has(key) && this.#rankings.size >= LIMITS.rankingsMax) {
      throw new AdminError('ADM_BUSY', `a worker keeps ${LIMITS.rankingsMax} rankings at a time`);
    }
    this.#rankings.set(key, { ranking, askedAtMs: nowMs });
    return key;
  }

  /** The pass that runs or ran last, if it has this ranking and is fresh; else the next one. */
  async #passWith(key: string): Promise<Pass> {
    for (;;) {
      const pass = this.#pass;
      if (pass === undefined || this.#isOld(pass)) return this.#begin();
      if (pass.keys.includes(key)) return pass;
      if (pass.endedAtMs !== undefined) return this.#begin();
      await pass.done;
    }
  }

  #isOld({ endedAtMs }: Pass): boolean {
    return endedAtMs !== undefined && this.#node.clock.monotonicMs() - endedAtMs > LIMITS.passAgeMs;
  }

  #begin(): Pass {
    this.#survey ??= new Survey(this.#node);
    const { clock } = this.#node;
    const survey = this.#survey.begin([...this.#rankings.values()].map(({ ranking }) => ranking));
    const run = async (): Promise<void> => {
      while (!survey.step(LIMITS.sliceMs)) await pause(clock, 0);
      pass.endedAtMs = clock.monotonicMs();
    };
    const pass: Pass = {
      keys: [...this.#rankings.keys()],
      result: () => survey.result(),
      endedAtMs: undefined,
      done: Promise.resolve().then(run),
    };
    this.#pass = pass;
    return pass;
  }
}

function rowOf(ranked: Ranked): TopRow {
  const { pid, name, behavior, status, messageQueueLen, messageQueueMax, messageQueueAgeMs } = ranked;
  const { messages, timeMs, bytes } = ranked;
  return {
    pid: formatPid(pid),
    name,
    behavior,
    status,
    queue: messageQueueLen,
    queueMax: messageQueueMax,
    ageMs: messageQueueAgeMs,
    messages,
    timeMs,
    bytes,
  };
}

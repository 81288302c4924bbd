/**
 * What one second of a phase was, in counts that can be added up over processes: the messages that arrived, in coarse
 * buckets of their latency, nine to an octave, so good to 8 %. For what is shown while a run goes on, and for its charts; the figures of a report come
 * from `histogram.ts`, which is finer and dearer to send.
 */

const BUCKETS_OF_OCTAVE = 9;
const BUCKET_COUNT = 256;

/** On its way to another process: buckets by number. */
export interface SecondReport {
  /** Seconds of the phase before this one, its warm-up counted. */
  readonly index: number;
  readonly buckets: Uint32Array;
}

/** Collects a second, and begins the next. */
export class SecondCounts {
  #buckets: Uint32Array = new Uint32Array(BUCKET_COUNT);

  /** @param latencyMs - Of `count` messages that have arrived. */
  record(latencyMs: number, count: number = 1): void {
    const bucket = latencyMs <= 0.001 ? 0 : Math.floor(Math.log2(latencyMs * 1000) * BUCKETS_OF_OCTAVE);
    this.#buckets[Math.min(bucket, BUCKET_COUNT - 1)]! += count;
  }

  /** What has come together; the caller owns it. */
  take(): Uint32Array {
    const taken = this.#buckets;
    this.#buckets = new Uint32Array(BUCKET_COUNT);
    return taken;
  }
}

/** One second of all generators. */
export class SecondSum {
  readonly #buckets: Uint32Array = new Uint32Array(BUCKET_COUNT);
  /** Messages that arrived. */
  arrived = 0;
  /** Generators that have reported. */
  parts = 0;

  add({ buckets }: SecondReport): void {
    this.parts += 1;
    for (let index = 0; index < BUCKET_COUNT; index += 1) {
      this.#buckets[index]! += buckets[index]!;
      this.arrived += buckets[index]!;
    }
  }

  /** The latency that `percent` do not exceed, to the upper end of its bucket; `undefined` when nothing arrived. */
  percentileMs(percent: number): number | undefined {
    if (this.arrived === 0) return undefined;
    let left = Math.ceil((this.arrived * percent) / 100);
    const bucket = this.#buckets.findIndex((count) => (left -= count) <= 0);
    return 2 ** ((bucket + 1) / BUCKETS_OF_OCTAVE) / 1000;
  }
}

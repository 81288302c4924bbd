/**
 * Counts, on this thread. Shell, never reloaded: actors of every version add to the same numbers.
 *
 * The numbers lie in memory that the main thread reads (`exposition.ts`), so that a scrape asks no worker for anything. Writing
 * is one addition to an aligned double, without atomics: each thread has its own, and a reader that sees a number one step late sees
 * the truth of a moment ago. A thread that nobody gave memory counts into its own, which nobody reads; so tests need no set-up.
 *
 * Write-only for those who serve: nothing decides by these figures.
 */

import { metricOf, type MetricName } from './catalogue.ts';
import { PLACE_COUNT, placeOf } from './layout.ts';

let values: Float64Array = new Float64Array(PLACE_COUNT);

/** Bytes of one thread's memory. */
export const METER_BYTES: number = PLACE_COUNT * Float64Array.BYTES_PER_ELEMENT;

/** From now on this thread counts there. */
export function useMeterMemory(memory: SharedArrayBuffer | ArrayBuffer): void {
  values = new Float64Array(memory);
}

/** Runs `run` as if it did not count: for what is only tried (`runtime/reload/`). */
export function countAside<Result>(run: () => Result): Result {
  const counted = values;
  values = new Float64Array(PLACE_COUNT);
  try {
    return run();
  } finally {
    values = counted;
  }
}

/** A counter or gauge with fixed labels. Made once, when a module loads. */
export type Gauge = number & { readonly gauge: never };

/** @throws {RangeError} for label values that the catalogue does not have. */
export function gauge(name: MetricName, labels?: Readonly<Record<string, string>>): Gauge {
  return placeOf(name, labels) as Gauge;
}

export function add(place: Gauge, amount: number = 1): void {
  values[place]! += amount;
}

export function set(place: Gauge, value: number): void {
  values[place] = value;
}

/** A counter by the values of its only label; what is not among them counts as `other`. */
export class CounterByLabel {
  readonly #places: ReadonlyMap<string, Gauge>;
  readonly #other: Gauge | undefined;

  constructor(name: MetricName) {
    const [label, choices] = Object.entries(metricOf(name).labels ?? {})[0]!;
    this.#places = new Map(choices.map((choice) => [choice, gauge(name, { [label]: choice })]));
    this.#other = this.#places.get('other');
  }

  add(choice: string, amount: number = 1): void {
    const place = this.#places.get(choice) ?? this.#other;
    if (place !== undefined) add(place, amount);
  }
}

/** A histogram with fixed labels. */
export class Distribution {
  readonly #place: number;
  readonly #buckets: readonly number[];

  constructor(name: MetricName, labels?: Readonly<Record<string, string>>) {
    const metric = metricOf(name);
    if (metric.kind !== 'histogram') throw new TypeError(`"${name}" expected a histogram`);
    this.#place = placeOf(name, labels);
    this.#buckets = metric.buckets;
  }

  /** Notes one value, in the unit of the name. */
  note(value: number): void {
    const buckets = this.#buckets;
    let index = 0;
    while (index < buckets.length && value > buckets[index]!) index += 1;
    values[this.#place + index]! += 1;
    values[this.#place + buckets.length + 1]! += value;
  }
}

/**
 * A bounded record of what actors of one behaviour handle, made on request: each message with the state that it met.
 *
 * While it lasts the slot holds handlers that look whether there is room for one more of the kind; when it is full, or over,
 * the slot is as it was. The record lives in memory until the check that asked for it is done.
 */

import { type AnyBehavior, type BehaviorSlot, setBehavior } from '../behavior.ts';
import type { Process } from '../process.ts';
import { RELOAD_LIMITS } from './limits.ts';
import { kindOfMessage } from './shadow.ts';
import { copyState } from './stand-in.ts';

const HANDLERS = ['handleCast', 'handleInfo', 'handleCall'] as const;

export interface Recorded {
  readonly handler: (typeof HANDLERS)[number] | 'handleTurnEnd';
  /** What the handler got before state and context. */
  readonly message: readonly unknown[];
  /** A copy, as it was before. */
  readonly state: unknown;
  /** Version of that state. */
  readonly version: number;
  readonly process: Process;
  readonly kind: string;
}

export class Recorder {
  readonly #slot: BehaviorSlot;
  readonly #behavior: AnyBehavior;
  readonly #records: Recorded[] = [];
  readonly #kinds: Map<string, number> = new Map();

  /** Begins. The slot must be at rest: no other reload, no other record. */
  constructor(slot: BehaviorSlot) {
    this.#slot = slot;
    this.#behavior = slot.current;
    setBehavior(slot, this.#wrap());
  }

  /** Ends, and gives what there is. */
  finish(): readonly Recorded[] {
    setBehavior(this.#slot, this.#behavior);
    return this.#records;
  }

  get isFull(): boolean {
    return this.#records.length >= RELOAD_LIMITS.recordCountMax;
  }

  #wrap(): AnyBehavior {
    const behavior = this.#behavior;
    const wrapped = Object.assign(Object.create(Object.getPrototypeOf(behavior) as object), behavior) as AnyBehavior;
    const handlers = wrapped as { -readonly [Name in (typeof HANDLERS)[number]]: unknown };
    for (const name of HANDLERS) {
      const handler = behavior[name] as ((...args: unknown[]) => unknown) | undefined;
      if (handler === undefined) continue;
      handlers[name] = (...args: unknown[]): unknown => {
        if (!this.isFull) this.#note(name, args);
        return handler.apply(behavior, args);
      };
    }
    return wrapped;
  }

  #note(handler: Recorded['handler'], args: readonly unknown[]): void {
    const process = args[args.length - 1] as Process;
    const kind = kindOfMessage(handler, args[0]);
    const seen = this.#kinds.get(kind) ?? 0;
    if (seen >= RELOAD_LIMITS.recordOfKindMax || process.version !== (this.#behavior.version ?? 0)) return;
    this.#kinds.set(kind, seen + 1);
    const state = copyState(process.state, () => undefined);
    this.#records.push({ handler, message: args.slice(0, -2), state, version: process.version, process, kind });
  }
}

/**
 * The receiving half of a symmetric chain: finds the seed of a message wherever it stands in the chain.
 *
 *   behind ──▶ among the skipped ones, or used        next ──▶ one step        ahead ──▶ steps, each seed kept
 *
 * Shared by the Double Ratchet's receiving chains and by sender keys, whose chains are derived alike. Pure: a chain is
 * never changed in place. Knows neither headers nor signatures: whether a counter is a stranger's claim is its callers'
 * concern, and what they have not authenticated they must not store. Read next: `double-ratchet.ts`, `sender-key.ts`.
 * Source: Double Ratchet, sections 2.6 and 3.5.
 */
import { signalError, type SignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { deriveNextChainKey, deriveSeed } from './ratchet-keys.ts';

/** The seed of a message that has not come yet. */
export interface SkippedKey {
  readonly counter: number;
  /** 32 bytes, secret. */
  readonly seed: Uint8Array;
}

export interface MessageChain {
  /** 32 bytes, secret. */
  readonly chainKey: Uint8Array;
  /** The next message's; below it, only `skipped` is readable. */
  readonly counter: number;
  /** By ascending counter, at most `LIMITS.skippedKeyCountMax`. */
  readonly skipped: readonly SkippedKey[];
}

/** A seed, and the chain after it was taken. */
export interface ChainRead {
  /** 32 bytes, secret. */
  readonly seed: Uint8Array;
  readonly chain: MessageChain;
}

/**
 * Takes the seed at `counter` out of a chain.
 *
 * @param jumpCountMax - Steps that the message may ask for.
 * @returns SIG_DUPLICATE for a seed that was taken before or forgotten; SIG_TOO_FAR.
 */
export function readChain(chain: MessageChain, counter: number, jumpCountMax: number): ChainRead | SignalError {
  if (counter < chain.counter) return takeSkipped(chain, counter);
  // A sender stops one short of the last uint32; the counter after it would have no encoding at rest.
  if (counter >= LIMITS.uint32Max || counter - chain.counter > jumpCountMax) return signalError('SIG_TOO_FAR');
  const { chainKey, skipped } = counter > chain.counter ? skipTo(chain, counter) : chain;
  const next = { chainKey: deriveNextChainKey(chainKey), counter: counter + 1, skipped };
  return { seed: deriveSeed(chainKey), chain: next };
}

function takeSkipped(chain: MessageChain, counter: number): ChainRead | SignalError {
  const index = chain.skipped.findIndex((key) => key.counter === counter);
  if (index < 0) return signalError('SIG_DUPLICATE');
  const { chainKey, skipped } = chain;
  return {
    seed: skipped[index]!.seed,
    chain: { chainKey, counter: chain.counter, skipped: skipped.toSpliced(index, 1) },
  };
}

/** Advances to `counter` and keeps the seeds passed over, the newest `LIMITS.skippedKeyCountMax` of them. */
function skipTo(chain: MessageChain, counter: number): MessageChain {
  const keptFrom = counter - LIMITS.skippedKeyCountMax;
  const passed: SkippedKey[] = [];
  let { chainKey } = chain;
  for (let position = chain.counter; position < counter; position++) {
    if (position >= keptFrom) passed.push({ counter: position, seed: deriveSeed(chainKey) });
    chainKey = deriveNextChainKey(chainKey);
  }
  const skipped = [...chain.skipped, ...passed].slice(-LIMITS.skippedKeyCountMax);
  return { chainKey, counter, skipped };
}

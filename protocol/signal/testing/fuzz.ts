/**
 * Mutation fuzzing of decoders: valid bytes, bent at random under a seed, against five claims. Test-only.
 *
 *   1. nothing throws
 *   2. a refusal has a code that the decoder may give
 *   3. what is accepted encodes to the same bytes, where there is one form of it
 *   4. neither the input nor the state behind the decoder is changed
 *   5. what is decoded holds no more than a multiple of the input
 *
 * A failure names seed, round and input, and is repeated by them.
 */
import { samePublicBytes } from '../bytes.ts';
import { toHex } from './transcripts.ts';

/** A decoder under test. */
export interface FuzzTarget {
  readonly corpus: readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => unknown;
  /** The code of a refusal; undefined where the outcome is none. */
  readonly codeOf: (outcome: unknown) => string | undefined;
  readonly codes: readonly string[];
  /** Undefined where the input has a form that is read and no longer written. */
  readonly encode?: (outcome: never, bytes: Uint8Array) => Uint8Array | undefined;
  /** The state behind the decoder, as bytes. */
  readonly state?: () => Uint8Array;
}

export interface FuzzReport {
  readonly accepted: number;
  /** How often each code was given. */
  readonly refused: Readonly<Record<string, number>>;
  readonly failure: string | undefined;
}

/** Objects count as this many bytes. */
const objectBytes = 64;
const growthMax = 40;
const growthFloorBytes = 8_192;

/** Integers below a bound from a seed (xorshift, 32 bits). */
function seeded(seed: number): (bound: number) => number {
  let state = seed | 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

type Below = (bound: number) => number;

/** Bytes that mean something somewhere: versions, tags, lengths, the ends of varints. */
const telling = [0x00, 0x01, 0x02, 0x03, 0x05, 0x0a, 0x12, 0x1a, 0x22, 0x33, 0x44, 0x7f, 0x80, 0x8f, 0xff];

function splice(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const bent = new Uint8Array(Math.max(at, bytes.length - removed) + added.length);
  bent.set(bytes.subarray(0, at));
  bent.set(added, at);
  bent.set(bytes.subarray(at + removed), at + added.length);
  return bent.subarray(0, at + added.length + Math.max(0, bytes.length - at - removed));
}

const mutations: readonly ((bytes: Uint8Array, below: Below) => Uint8Array)[] = [
  (bytes, below) => splice(bytes, below(bytes.length), 1, Uint8Array.of(telling[below(telling.length)]!)),
  (bytes, below) => splice(bytes, below(bytes.length), 1, Uint8Array.of(below(256))),
  (bytes, below) => splice(bytes, 0, 1, Uint8Array.of(below(256))),
  (bytes, below) => splice(bytes, below(bytes.length), 1 + below(4), new Uint8Array(0)),
  (bytes, below) => splice(bytes, below(bytes.length), 0, Uint8Array.of(telling[below(telling.length)]!)),
  (bytes, below) => splice(bytes, below(bytes.length), 0, bytes.slice(below(bytes.length)).subarray(0, 1 + below(60))),
  (bytes, below) => bytes.slice(0, below(bytes.length)),
  (bytes, below) => splice(bytes, bytes.length, 0, new Uint8Array(1 + below(9)).fill(below(256))),
  (bytes, below) => splice(bytes, bytes.length, 0, new Uint8Array(below(200_000))),
  (bytes) => bytes.slice(),
];

function bend(corpus: readonly Uint8Array[], below: Below): Uint8Array {
  let bytes: Uint8Array = corpus[below(corpus.length)]!.slice();
  for (let count = 1 + below(3); count > 0 && bytes.length > 0; count--) {
    bytes = mutations[below(mutations.length)]!(bytes, below);
  }
  return bytes;
}

/** Everything that a value holds on to beyond `input`, in bytes. */
export function heldBytes(value: unknown, input: Uint8Array, seen: Set<unknown> = new Set()): number {
  if (typeof value === 'string') return 2 * value.length;
  if (typeof value !== 'object' || value === null || seen.has(value)) return 0;
  seen.add(value);
  if (ArrayBuffer.isView(value)) return value.buffer === input.buffer ? 0 : value.byteLength;
  return Object.values(value).reduce((sum: number, each) => sum + heldBytes(each, input, seen), objectBytes);
}

/** Runs `rounds` bent inputs. Stops at the first broken claim. */
export async function fuzz(target: FuzzTarget, rounds: number, seed: number): Promise<FuzzReport> {
  const below = seeded(seed);
  const refused: Record<string, number> = {};
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = bend(target.corpus, below);
    const { code, broken } = await probe(target, bytes);
    if (broken !== undefined) {
      const input = bytes.length > 400 ? `${bytes.length} bytes` : toHex(bytes);
      return { accepted, refused, failure: `${broken}; seed ${seed}, round ${round}: ${input}` };
    }
    if (code === undefined) accepted++;
    else refused[code] = (refused[code] ?? 0) + 1;
  }
  return { accepted, refused, failure: undefined };
}

async function probe(
  { decode, codeOf, codes, encode, state }: FuzzTarget,
  bytes: Uint8Array,
): Promise<{ readonly code?: string | undefined; readonly broken?: string }> {
  const [copy, before] = [bytes.slice(), state?.()];
  try {
    const outcome = await decode(bytes);
    const code = codeOf(outcome);
    if (!samePublicBytes(bytes, copy)) return { broken: 'the input was changed' };
    if (before !== undefined && !samePublicBytes(state!(), before)) return { broken: 'the state was changed' };
    if (code !== undefined) return codes.includes(code) ? { code } : { broken: `refused with ${code}` };
    const held = heldBytes(outcome, bytes);
    if (held > growthMax * bytes.length + growthFloorBytes) return { broken: `holds ${held} bytes` };
    const encoded = encode?.(outcome as never, bytes);
    if (encoded !== undefined && !samePublicBytes(encoded, bytes)) return { broken: 'encodes to other bytes' };
    return { code: undefined };
  } catch (error) {
    return { broken: `threw ${(error as Error).stack}` };
  }
}

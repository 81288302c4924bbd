/**
 * Mutation fuzzing of the decoder: valid messages, bent at random under a seed, against five claims.
 *
 *   1. nothing throws: not the decoders, not the parsers, not the encoder on what was accepted
 *   2. a refusal has a code of the catalogue, its close status, and an offset inside the input
 *   3. whatever is accepted encodes to the same bytes
 *   4. a message in one piece, stanza by stanza, and cut over a stream gives the same answer
 *   5. what is decoded has no more stanzas than bytes / 2, and none deeper than the bound
 *
 * `decode.fuzz.test.ts` runs a few seconds of it in every test run, and shows that a broken decoder is caught. For longer:
 *
 *   node dist/protocol/wire/decode.fuzz.js [rounds] [seed]
 */

import { fileURLToPath } from 'node:url';
import { isWireError, WIRE_ERRORS, type WireError } from './errors.ts';
import { decodeMessage, eachStanza, FrameReader, FrameWriter } from './frame.ts';
import { LIMITS } from './limits.ts';
import { parseClientMessage, parseServerMessage } from './messages.ts';
import { childrenOf, type Stanza } from './stanza.ts';

/** The function under test; the tests put broken ones here. */
export type DecodeMessage = (bytes: Uint8Array) => Stanza[] | WireError;

/** What a run saw. */
export interface FuzzReport {
  readonly rounds: number;
  readonly accepted: number;
  /** How often each code was given. */
  readonly refused: Readonly<Record<string, number>>;
  /** The first broken claim with the input in hex, or `undefined`. */
  readonly failure: string | undefined;
}

/** Random integers from a seed (xorshift, 32 bits): a failure is repeated by its seed. */
class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed | 0) === 0 ? 1 : seed | 0;
  }

  below(bound: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % bound;
  }
}

type Mutation = (bytes: number[], random: Seeded) => void;

/** Bytes that mean something somewhere: leads, heads, counts, fillers. */
const TELLING = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x08, 0x1f, 0x7f, 0x80, 0x84, 0xbf, 0xc0, 0xe0, 0xe6, 0xe8, 0xec, 0xed, 0xee, 0xff,
];

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => (bytes[random.below(bytes.length)]! ^= 1 << random.below(8)),
  (bytes, random) => (bytes[random.below(bytes.length)] = random.below(256)),
  (bytes, random) => (bytes[random.below(bytes.length)] = TELLING[random.below(TELLING.length)]!),
  (bytes, random) => bytes.splice(random.below(bytes.length), 1 + random.below(4)),
  (bytes, random) => bytes.splice(random.below(bytes.length), 0, TELLING[random.below(TELLING.length)]!),
  (bytes, random) => {
    const from = random.below(bytes.length);
    const piece = bytes.slice(from, from + 1 + random.below(40));
    bytes.splice(random.below(bytes.length), 0, ...piece);
  },
  (bytes, random) => (bytes.length = random.below(bytes.length)),
  (bytes, random) => bytes.push(...Array.from({ length: 1 + random.below(5) }, () => random.below(256))),
];

/** Puts the true length into the first frame header, so that the bent stanza behind it is reached. */
function mendHeader(bytes: number[]): void {
  if (bytes.length < 3) return;
  const length = bytes.length - 3;
  [bytes[0], bytes[1], bytes[2]] = [length >> 16, (length >> 8) & 255, length & 255];
}

function bend(corpus: readonly Uint8Array[], random: Seeded): Uint8Array {
  const bytes = [...corpus[random.below(corpus.length)]!];
  for (let count = 1 + random.below(3); count > 0 && bytes.length > 0; count -= 1) {
    MUTATIONS[random.below(MUTATIONS.length)]!(bytes, random);
  }
  if (random.below(4) > 0) mendHeader(bytes);
  return Uint8Array.from(bytes);
}

/** One bent message under a seed of its own, for those who put it to something else than a decoder. */
export function bendMessage(corpus: readonly Uint8Array[], seed: number): Uint8Array {
  const random = new Seeded(seed);
  // The first numbers of neighbouring seeds are neighbours too.
  for (let skipped = 0; skipped < 8; skipped += 1) random.below(2);
  return bend(corpus, random);
}

/**
 * Runs the fuzzer.
 *
 * @param corpus - Valid messages to start from.
 * @param rounds - How many inputs.
 * @param seed - 32 bits; the same seed gives the same inputs.
 */
export function fuzz(
  corpus: readonly Uint8Array[],
  rounds: number,
  seed: number,
  decode: DecodeMessage = decodeMessage,
): FuzzReport {
  const random = new Seeded(seed);
  const refused: Record<string, number> = {};
  let accepted = 0;
  for (let round = 0; round < rounds; round += 1) {
    const bytes = bend(corpus, random);
    const outcome = check(bytes, decode, random);
    if (outcome.broken !== undefined) {
      const failure = `${outcome.broken}; round ${round}, seed ${seed}: ${Buffer.from(bytes).toString('hex')}`;
      return { rounds: round + 1, accepted, refused, failure };
    }
    if (outcome.code === undefined) accepted += 1;
    else refused[outcome.code] = (refused[outcome.code] ?? 0) + 1;
  }
  return { rounds, accepted, refused, failure: undefined };
}

interface Outcome {
  readonly code?: string;
  readonly broken?: string;
}

function check(bytes: Uint8Array, decode: DecodeMessage, random: Seeded): Outcome {
  try {
    const result = decode(bytes);
    const differs = differsByWay(bytes, result, random);
    if (differs !== undefined) return { broken: differs };
    return isWireError(result) ? checkRefusal(bytes, result) : checkAccepted(bytes, result);
  } catch (error) {
    return { broken: `threw ${String(error)}` };
  }
}

function checkRefusal(bytes: Uint8Array, { code, closeCode, offset }: WireError): Outcome {
  if (WIRE_ERRORS[code]?.closeCode !== closeCode) return { broken: `code ${code} with close ${closeCode}` };
  if (offset === undefined || offset < 0 || offset > bytes.length) return { broken: `${code} at ${offset}` };
  return { code };
}

function checkAccepted(bytes: Uint8Array, stanzas: readonly Stanza[]): Outcome {
  const writer = new FrameWriter();
  for (const stanza of stanzas) {
    parseClientMessage(stanza);
    parseServerMessage(stanza);
    if (!writer.append(stanza)) return { broken: 'accepted more than a message holds' };
  }
  if (Buffer.compare(writer.bytes(), bytes) !== 0) return { broken: 'accepted bytes encode differently' };
  const nodes = stanzas.reduce((sum, stanza) => sum + countNodes(stanza, 1), 0);
  return nodes * 2 > bytes.length ? { broken: `${nodes} stanzas` } : {};
}

function countNodes(stanza: Stanza, depth: number): number {
  if (depth > LIMITS.depthMax) return Infinity;
  return childrenOf(stanza).reduce((sum, child) => sum + countNodes(child, depth + 1), 1);
}

/** Compares the ways of reading a message; a stream does not know where a message ends, so cut input waits there. */
function differsByWay(bytes: Uint8Array, result: Stanza[] | WireError, random: Seeded): string | undefined {
  const code = isWireError(result) ? result.code : undefined;
  let taken = 0;
  const refusal = eachStanza(bytes, () => (taken += 1));
  if (refusal?.code !== code) return `one by one: ${refusal?.code}, at once: ${code}`;
  if (!isWireError(result) && taken !== result.length) return `one by one: ${taken}, at once: ${result.length}`;
  if (bytes.length > LIMITS.messageBytesMax) return undefined;
  const reader = new FrameReader();
  let streamed = 0;
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(40);
    reader.read(bytes.slice(at, end), () => (streamed += 1));
    at = end;
  }
  if (streamed !== taken) return `streamed: ${streamed}, one by one: ${taken}`;
  return reader.pendingBytes > 0 && code !== 'WIRE_TRUNCATED' ? `pending after ${code}` : undefined;
}

/** Frames of the published vectors: the corpus. */
export async function vectorCorpus(): Promise<Uint8Array[]> {
  const { readFile } = await import('node:fs/promises');
  const { bytesFrom } = await import('./testing/notation.ts');
  const file = new URL('../../../protocol/wire/vectors/v1.json', import.meta.url);
  const { stanzas } = JSON.parse(await readFile(file, 'utf8')) as { stanzas: { hex: string }[] };
  return stanzas.map(({ hex }) => {
    const bytes = [0, 0, 0, ...bytesFrom(hex)];
    mendHeader(bytes);
    return Uint8Array.from(bytes);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [rounds = 1_000_000, seed = 1] = process.argv.slice(2).map(Number);
  const report = fuzz(await vectorCorpus(), rounds, seed);
  console.log(report);
  process.exitCode = report.failure === undefined ? 0 : 1;
}

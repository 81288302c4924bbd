/**
 * Safety numbers: what two people compare to know that nobody stands between them.
 *
 *   party    SHA-512 over version ‖ identity key ‖ stable id ‖ identity key, then 5,199 times over hash ‖ identity key
 *   digits   30 of each party: six times five bytes modulo 100,000; the smaller half first, so both see the same 60
 *   code     protobuf: 1 version 2 · 2 ours { 1 first 32 bytes } · 3 theirs { 1 first 32 bytes }; what a QR code carries
 *
 * The digits are read to each other over a channel that is trusted (a call, a meeting); the code is scanned from the
 * other one's screen. Drawing it as a QR matrix is the application's. The stable id is what both ends call that person by:
 * a number that comes to a different device shows as other digits, and so does a swapped key. Iterations make the search
 * for a key that shares many digits with another one slower by their count.
 *
 * Knows no sessions and trusts nobody: see `identity-trust.ts`. Source: the numeric fingerprint, version 2, pinned by
 * `vectors/safety-numbers.json`.
 */
import { concat, requireBytes, samePublicBytes } from './bytes.ts';
import { LIMITS } from './limits.ts';
import { primitives } from './primitives.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';

const codeVersion = 2;
/** Within the hash the version has always been written as 0. */
const hashPrefix = new Uint8Array(2);
const iterationCount = 5_200;
const codeHashBytes = 32;
const chunkBytes = 5;
const chunksPerParty = 6;
const digitsPerLine = 20;
const codeBytesMax = 128;

/** One of the two people. */
export interface SafetyNumberParty {
  /** 33 bytes: of the device, or of the primary device where there are several. */
  readonly identityKey: Uint8Array;
  /** The same text at both ends, such as the phone number; at most `LIMITS.accountNameBytesMax` bytes of UTF-8. */
  readonly stableId: string;
}

export interface SafetyNumber {
  /** 60 digits, the same at both ends. */
  readonly digits: string;
  /** For a QR code; differs between the ends, see `compareSafetyCode`. Owned by the caller. */
  readonly code: Uint8Array;
}

/** What scanning the other one's code has shown. */
export type SafetyComparison = 'match' | 'mismatch' | 'wrong-version' | 'malformed';

/**
 * Computes the safety number of two people, in some 10 ms natively and 60 ms in plain JavaScript.
 *
 * @throws {TypeError|RangeError} a key that is not 33 bytes; a stable id that is empty or too long.
 */
export function computeSafetyNumber(local: SafetyNumberParty, remote: SafetyNumberParty): SafetyNumber {
  const [ours, theirs] = [hashOf('local', local), hashOf('remote', remote)];
  const halves = [digitsOf(ours), digitsOf(theirs)].sort();
  return { digits: halves.join(''), code: encodeCode(ours, theirs) };
}

function hashOf(field: string, { identityKey, stableId }: SafetyNumberParty): Uint8Array {
  requireBytes(`${field}.identityKey`, identityKey, LIMITS.publicKeyBytes);
  const id = new TextEncoder().encode(stableId);
  if (id.length === 0 || id.length > LIMITS.accountNameBytesMax) {
    throw new RangeError(`"${field}.stableId" expected 1 to ${LIMITS.accountNameBytesMax} bytes, got ${id.length}`);
  }
  let hash = concat(hashPrefix, identityKey, id);
  for (let round = 0; round < iterationCount; round++) hash = primitives.sha512(hash, identityKey);
  return hash;
}

function digitsOf(hash: Uint8Array): string {
  let digits = '';
  for (let chunk = 0; chunk < chunksPerParty; chunk++) {
    let value = 0;
    for (const byte of hash.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes)) value = value * 256 + byte;
    digits += String(value % 100_000).padStart(5, '0');
  }
  return digits;
}

function encodeCode(ours: Uint8Array, theirs: Uint8Array): Uint8Array {
  const half = (hash: Uint8Array): Uint8Array =>
    new ProtobufWriter(40).bytes(1, hash.subarray(0, codeHashBytes)).finish();
  return new ProtobufWriter(80).uint32(1, codeVersion).bytes(2, half(ours)).bytes(3, half(theirs)).finish();
}

/** The two halves of a code. */
interface SafetyCode {
  readonly version: number;
  readonly shower: Uint8Array;
  readonly scanner: Uint8Array;
}

function decodeCode(bytes: Uint8Array): SafetyCode | undefined {
  if (bytes.length > codeBytesMax) return undefined;
  const reader = new ProtobufReader(bytes);
  const version = reader.uint32(1);
  const shower = decodeHalf(reader.bytes(2));
  const scanner = decodeHalf(reader.bytes(3));
  return reader.complete() && version !== undefined && shower && scanner ? { version, shower, scanner } : undefined;
}

function decodeHalf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined) return undefined;
  const reader = new ProtobufReader(bytes);
  const hash = reader.bytes(1);
  return reader.complete() && hash?.length === codeHashBytes ? hash : undefined;
}

/**
 * Compares our number with the code on the other one's screen: what they call ours must be ours, and the reverse.
 *
 * @param scanned - Borrowed; anything that a camera may have read.
 * @returns `wrong-version` where one of the two clients is too old to compare; `malformed` for what is no such code.
 */
export function compareSafetyCode(own: SafetyNumber, scanned: Uint8Array): SafetyComparison {
  requireBytes('scanned', scanned);
  const ours = decodeCode(own.code);
  const theirs = decodeCode(scanned);
  if (ours === undefined) throw new RangeError('"own.code" expected a code of computeSafetyNumber');
  if (theirs === undefined) return 'malformed';
  if (theirs.version !== ours.version) return 'wrong-version';
  const agrees = samePublicBytes(ours.shower, theirs.scanner) && samePublicBytes(ours.scanner, theirs.shower);
  return agrees ? 'match' : 'mismatch';
}

/** The digits as people read them out: three lines of four groups of five. */
export function formatSafetyNumber({ digits }: SafetyNumber): string {
  const lines: string[] = [];
  for (let offset = 0; offset < digits.length; offset += digitsPerLine) {
    lines.push(
      digits
        .slice(offset, offset + digitsPerLine)
        .match(/.{5}/g)!
        .join(' '),
    );
  }
  return lines.join('\n');
}

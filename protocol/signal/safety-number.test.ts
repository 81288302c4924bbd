/** Safety numbers equal to the recorded ones at both ends, and what scanning the other one's code shows. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { compareSafetyCode, computeSafetyNumber, formatSafetyNumber, type SafetyNumberParty } from './safety-number.ts';
import { seededIntegers } from './testing/device.ts';
import { fromHex, toHex } from './testing/transcripts.ts';

interface Vector {
  readonly localId: string;
  readonly localIdentityKey: string;
  readonly remoteId: string;
  readonly remoteIdentityKey: string;
  readonly displayable: string;
  readonly scannable: string;
}

const file = new URL('../../../protocol/signal/vectors/safety-numbers.json', import.meta.url);
const vectors: readonly Vector[] = JSON.parse(readFileSync(file, 'utf8'));

const localOf = ({ localId, localIdentityKey }: Vector): SafetyNumberParty => ({
  stableId: localId,
  identityKey: fromHex(localIdentityKey),
});
const remoteOf = ({ remoteId, remoteIdentityKey }: Vector): SafetyNumberParty => ({
  stableId: remoteId,
  identityKey: fromHex(remoteIdentityKey),
});

t.test('digits and codes are the recorded ones; the other end has the same digits and the matching code', async (t) => {
  t.equal(vectors.length, 8);
  for (const [index, vector] of vectors.entries()) {
    const ours = computeSafetyNumber(localOf(vector), remoteOf(vector));
    const theirs = computeSafetyNumber(remoteOf(vector), localOf(vector));
    t.equal(ours.digits, vector.displayable, `vector ${index}`);
    t.equal(toHex(ours.code), vector.scannable, `vector ${index}`);
    t.equal(theirs.digits, ours.digits);
    t.equal(compareSafetyCode(ours, theirs.code), 'match');
    t.equal(compareSafetyCode(theirs, fromHex(vector.scannable)), 'match');
  }
});

const [first, second] = vectors as [Vector, Vector];
const own = computeSafetyNumber(localOf(first), remoteOf(first));
const genuine = computeSafetyNumber(remoteOf(first), localOf(first)).code;

t.test('a swapped key, a swapped person and our own screen are no match', async (t) => {
  const swappedKey = { ...remoteOf(first), identityKey: fromHex(second.remoteIdentityKey) };
  const swappedPerson = { ...remoteOf(first), stableId: second.remoteId };
  for (const other of [swappedKey, swappedPerson]) {
    t.equal(compareSafetyCode(own, computeSafetyNumber(other, localOf(first)).code), 'mismatch');
    t.not(computeSafetyNumber(localOf(first), other).digits, own.digits);
  }
  t.equal(compareSafetyCode(own, own.code), 'mismatch', 'scanned from our own screen');
});

t.test('a code of another version is told from a wrong one', async (t) => {
  t.equal(compareSafetyCode(own, genuine.with(1, 1)), 'wrong-version');
  t.equal(compareSafetyCode(own, genuine.with(1, 3)), 'wrong-version');
});

t.test('whatever a camera reads, the comparison answers', async (t) => {
  for (let length = 0; length < genuine.length; length++) {
    t.equal(compareSafetyCode(own, genuine.subarray(0, length)), 'malformed', `${length} bytes`);
  }
  t.equal(compareSafetyCode(own, new Uint8Array(100_000).fill(8)), 'malformed');
  const pick = seededIntegers('scans');
  const seen = new Map<string, number>();
  for (let round = 0; round < 4_000; round++) {
    const at = pick(genuine.length);
    const mutated = genuine.with(at, genuine[at]! ^ (1 << pick(8)));
    const outcome = compareSafetyCode(own, mutated);
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  t.same([...seen.keys()].sort(), ['malformed', 'mismatch', 'wrong-version'], 'one flipped bit never matches');
});

t.test('digits are shown in three lines of four groups', async (t) => {
  const lines = formatSafetyNumber(own).split('\n');
  t.equal(lines.length, 3);
  for (const line of lines) t.match(line, /^\d{5} \d{5} \d{5} \d{5}$/);
  t.equal(lines.join('').replace(/\D/g, ''), own.digits);
});

t.test('wrong calls throw', async (t) => {
  t.throws(() => computeSafetyNumber({ ...localOf(first), stableId: '' }, remoteOf(first)), RangeError);
  t.throws(() => computeSafetyNumber({ ...localOf(first), stableId: 'x'.repeat(65) }, remoteOf(first)), RangeError);
  t.throws(
    () => computeSafetyNumber({ ...localOf(first), identityKey: new Uint8Array(32) }, remoteOf(first)),
    RangeError,
  );
  t.throws(() => compareSafetyCode(own, 'scan' as never), TypeError);
  t.throws(() => compareSafetyCode({ ...own, code: new Uint8Array(3) }, genuine), RangeError);
});

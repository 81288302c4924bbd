/** Group messages and sender keys as bytes: the same bytes again, every damage refused without a throw, every bound kept. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { concat } from './bytes.ts';
import { isSignalError } from './errors.ts';
import {
  acceptDistribution,
  createSenderKey,
  decryptFromGroup,
  distributionMessage,
  encryptForGroup,
} from './group-session.ts';
import { LIMITS } from './limits.ts';
import { decodeSenderKey, decodeSenderKeyRecord, encodeSenderKey, encodeSenderKeyRecord } from './sender-key-codec.ts';
import { SenderKeyRecord, SenderKeyState, type SenderKey } from './sender-key.ts';
import {
  decodeDistribution,
  decodeGroupMessage,
  encodeDistribution,
  encodeGroupBody,
  type GroupMessage,
  type SenderKeyDistribution,
} from './sender-key-message.ts';
import { seededIntegers, seededRandom } from './testing/device.ts';
import { must } from './testing/outcome.ts';
import { recordedGroup } from './testing/sender-keys.ts';
import { fromHex, toHex } from './testing/transcripts.ts';

/** A sender with a used chain, and a receiver that knows two of its chains, one with skipped keys. */
function sample(): { key: SenderKey; record: SenderKeyRecord } {
  const random = seededRandom('sender key samples');
  const first = createSenderKey(random(16), random);
  let { record } = must(acceptDistribution(undefined, distributionMessage(first)));
  let key = first;
  for (let index = 0; index < 6; index++) {
    const sent = must(encryptForGroup(key, Uint8Array.of(index)));
    key = sent.senderKey;
    if (index === 2 || index === 5) record = must(decryptFromGroup(record, sent.ciphertext)).record;
  }
  const second = createSenderKey(key.distributionId, random);
  return { key, record: must(acceptDistribution(record, distributionMessage(second))).record };
}

const { key, record } = sample();
/** The prefixes of its encoding that are records themselves: with no chain, and with the first. */
const recordsInside: readonly number[] = [0, 1].map(
  (count) => encodeSenderKeyRecord(new SenderKeyRecord(record.states.slice(0, count))).length,
);
const messageBytes = fromHex(recordedGroup.messages[3]!.ciphertext);

/** Each kind of bytes: a sample, how it is read, how it is written. */
const kinds = {
  distribution: {
    bytes: fromHex(recordedGroup.distributionMessage),
    decode: decodeDistribution,
    encode: (value: unknown) => encodeDistribution(value as SenderKeyDistribution),
    bytesMax: LIMITS.messageBytesMax,
  },
  'group message': {
    bytes: messageBytes,
    decode: decodeGroupMessage,
    encode: (value: unknown) => {
      const { header, ciphertext, signature } = value as GroupMessage;
      return concat(encodeGroupBody(header, ciphertext), signature);
    },
    bytesMax: LIMITS.messageBytesMax,
  },
  'own sender key': {
    bytes: encodeSenderKey(key),
    decode: decodeSenderKey,
    encode: (value: unknown) => encodeSenderKey(value as SenderKey),
    bytesMax: LIMITS.senderKeyBytesMax,
  },
  'sender key record': {
    bytes: encodeSenderKeyRecord(record),
    decode: decodeSenderKeyRecord,
    encode: (value: unknown) => encodeSenderKeyRecord(value as SenderKeyRecord),
    bytesMax: LIMITS.senderKeyRecordBytesMax,
  },
} as const;

for (const [name, { bytes, decode, encode, bytesMax }] of Object.entries(kinds)) {
  const roundTrip = (input: Uint8Array): string => {
    const decoded = decode(input);
    if (isSignalError(decoded)) return decoded.code;
    return toHex(encode(decoded)) === toHex(input) ? 'same' : 'different';
  };

  t.test(`${name}: the same bytes again`, async (t) => t.equal(roundTrip(bytes), 'same'));

  t.test(`${name}: no prefix and no continuation is one`, async (t) => {
    const whole: readonly number[] = name === 'sender key record' ? recordsInside : [];
    for (let length = 0; length < bytes.length; length++) {
      const expected = whole.includes(length) ? 'same' : 'SIG_MALFORMED';
      t.equal(roundTrip(bytes.subarray(0, length)), expected, `${length} bytes`);
    }
    t.equal(roundTrip(concat(bytes, fromHex('00'))), 'SIG_MALFORMED');
  });

  t.test(`${name}: mutated bytes are refused, or are other bytes of the same kind`, async (t) => {
    const pick = seededIntegers(`mutations of ${name}`);
    const seen = new Map<string, number>();
    for (let round = 0; round < 6_000; round++) {
      const mutated = new Uint8Array(bytes);
      for (let changes = pick(4); changes >= 0; changes--) mutated[pick(mutated.length)] = pick(256);
      const outcome = roundTrip(mutated.subarray(0, pick(8) === 0 ? pick(mutated.length) : mutated.length));
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    t.notOk(seen.has('different'), 'nothing has two encodings');
    for (const outcome of ['same', 'SIG_MALFORMED', 'SIG_UNSUPPORTED_VERSION'])
      t.ok((seen.get(outcome) ?? 0) > 10, `the mutations reach ${outcome}: ${seen.get(outcome) ?? 0} times`);
  });

  t.test(`${name}: noise after a right first byte, another version, too many bytes, a wrong call`, async (t) => {
    const pick = seededIntegers(`noise for ${name}`);
    for (let round = 0; round < 1_000; round++) {
      const noise = Uint8Array.from({ length: 2 + pick(200) }, () => pick(256)).with(0, bytes[0]!);
      if (roundTrip(noise) !== 'SIG_MALFORMED') t.fail(`noise was taken for a ${name}: ${toHex(noise)}`);
    }
    t.equal(roundTrip(bytes.with(0, 0x44)), 'SIG_UNSUPPORTED_VERSION');
    t.equal(roundTrip(new Uint8Array(bytesMax + 1).fill(bytes[0]!)), 'SIG_MALFORMED');
    t.throws(() => decode('33' as never), TypeError);
  });
}

t.test('what the first release wrote still decodes, to the same bytes', async (t) => {
  const file = new URL('../../../protocol/signal/vectors/sender-key-records-v1.json', import.meta.url);
  const stored = JSON.parse(readFileSync(file, 'utf8')) as { ownKey: string; record: string };
  t.equal(toHex(encodeSenderKey(must(decodeSenderKey(fromHex(stored.ownKey))))), stored.ownKey);
  t.equal(toHex(encodeSenderKeyRecord(must(decodeSenderKeyRecord(fromHex(stored.record))))), stored.record);
  t.same([toHex(encodeSenderKey(key)), toHex(encodeSenderKeyRecord(record))], [stored.ownKey, stored.record]);
});

t.test('bounds of a record: chains, skipped keys, the whole; a chain stands in it once', async (t) => {
  const [state] = record.states;
  const roundTrip = (states: readonly SenderKeyState[]): string => {
    const decoded = decodeSenderKeyRecord(encodeSenderKeyRecord(new SenderKeyRecord(states)));
    return isSignalError(decoded) ? decoded.code : `${decoded.states.length} states`;
  };
  const skipped = (count: number) =>
    Array.from({ length: count }, (_, counter) => ({ counter, seed: new Uint8Array(32) }));
  const full = (chainId: number, count: number = LIMITS.skippedKeyCountMax): SenderKeyState =>
    new SenderKeyState({
      ...state!,
      chainId,
      chain: { chainKey: new Uint8Array(32), counter: LIMITS.uint32Max, skipped: skipped(count) },
    });
  const many = (count: number) => Array.from({ length: count }, (_, index) => full(LIMITS.uint32Max - index));
  t.equal(
    roundTrip(many(LIMITS.senderKeyStateCountMax)),
    `${LIMITS.senderKeyStateCountMax} states`,
    'every chain full',
  );
  t.equal(roundTrip(many(LIMITS.senderKeyStateCountMax + 1)), 'SIG_MALFORMED');
  t.equal(roundTrip([full(1, LIMITS.skippedKeyCountMax + 1)]), 'SIG_MALFORMED');
  t.equal(roundTrip([full(1, 3), full(1, 3)]), 'SIG_MALFORMED');
  t.equal(roundTrip([]), '0 states');
});

/** Messages as bytes: every recorded one re-encodes to itself; nothing that a stranger sends makes a decoder throw. */
import t from 'tap';
import {
  decodePreKeyMessage,
  decodeRatchetMessage,
  encodePreKeyMessage,
  encodeRatchetBody,
  type PreKeyMessage,
  type RatchetMessage,
} from './ciphertext.ts';
import { concat } from './bytes.ts';
import { isSignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { Device, seededIntegers } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { fromHex, toHex, transcripts } from './testing/transcripts.ts';

const encodeRatchet = ({ versionByte, header, ciphertext, postQuantumRatchet, mac }: RatchetMessage): Uint8Array =>
  concat(encodeRatchetBody(versionByte, header, ciphertext, postQuantumRatchet), mac);

/** Both kinds of message with their decoders and encoders. */
const kinds = {
  prekey: { decode: decodePreKeyMessage, encode: (message: unknown) => encodePreKeyMessage(message as PreKeyMessage) },
  ratchet: { decode: decodeRatchetMessage, encode: (message: unknown) => encodeRatchet(message as RatchetMessage) },
} as const;
type Kind = keyof typeof kinds;

const recorded = transcripts.flatMap(({ steps }) =>
  steps.map(({ type, ciphertext }) => ({
    kind: (type === 'prekey' ? 'prekey' : 'ratchet') as Kind,
    bytes: fromHex(ciphertext),
  })),
);
const sampleOf = (kind: Kind): Uint8Array => recorded.find((message) => message.kind === kind)!.bytes;

/** 'same' where the bytes decode and re-encode to themselves, the error's code where they do not decode. */
function roundTrip(kind: Kind, bytes: Uint8Array): string {
  const decoded = kinds[kind].decode(bytes);
  if (isSignalError(decoded)) return decoded.code;
  return toHex(kinds[kind].encode(decoded)) === toHex(bytes) ? 'same' : 'different';
}

t.test('every recorded message re-encodes to its own bytes', async (t) => {
  t.ok(recorded.length > 100);
  for (const { kind, bytes } of recorded) {
    t.equal(roundTrip(kind, bytes), 'same');
    if (kind === 'prekey') t.equal(roundTrip('ratchet', must(decodePreKeyMessage(bytes)).message), 'same', 'inner');
  }
});

t.test('fields of a recorded pre-key message', async (t) => {
  const { alice, bob } = transcripts[0]!;
  const message = must(decodePreKeyMessage(sampleOf('prekey')));
  t.equal(message.registrationId, alice.registrationId);
  t.equal(message.signedPreKeyId, bob.signedPreKeyId);
  t.equal(message.oneTimePreKeyId, bob.oneTimePreKeyId);
  t.equal(toHex(message.identityKey), alice.identityPublicKey);
  const withoutOneTime = must(decodePreKeyMessage(fromHex(transcripts[1]!.steps[0]!.ciphertext)));
  t.equal(withoutOneTime.oneTimePreKeyId, undefined);
});

for (const kind of ['prekey', 'ratchet'] as const) {
  const sample = sampleOf(kind);

  t.test(`${kind}: no prefix and no continuation is a message`, async (t) => {
    for (let length = 0; length < sample.length; length++) {
      t.equal(roundTrip(kind, sample.subarray(0, length)), 'SIG_MALFORMED', `${length} bytes`);
    }
    t.equal(roundTrip(kind, concat(sample, fromHex('00'))), 'SIG_MALFORMED');
  });

  t.test(`${kind}: a mutated message is refused or is a message of its own bytes`, async (t) => {
    const pick = seededIntegers(`mutations of ${kind}`);
    const seen = new Map<string, number>();
    for (let round = 0; round < 8_000; round++) {
      const mutated = new Uint8Array(sample);
      for (let changes = pick(4); changes >= 0; changes--) mutated[pick(mutated.length)] = pick(256);
      const outcome = roundTrip(kind, mutated.subarray(0, pick(8) === 0 ? pick(mutated.length) : mutated.length));
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    t.notOk(seen.has('different'), 'no message has two encodings');
    for (const outcome of ['same', 'SIG_MALFORMED', 'SIG_BAD_KEY', 'SIG_UNSUPPORTED_VERSION']) {
      t.ok((seen.get(outcome) ?? 0) > 10, `the mutations reach ${outcome}: ${seen.get(outcome) ?? 0} times`);
    }
  });

  t.test(`${kind}: random bytes after a right version byte`, async (t) => {
    const pick = seededIntegers(`noise for ${kind}`);
    const seen = new Set<string>();
    for (let round = 0; round < 2_000; round++) {
      const noise = Uint8Array.from({ length: 1 + pick(120) }, () => pick(256));
      seen.add(roundTrip(kind, noise.with(0, 0x34)));
    }
    t.same([...seen], ['SIG_MALFORMED']);
  });

  t.test(`${kind}: versions`, async (t) => {
    for (const [version, outcome] of [
      [0x33, 'same'],
      [0x34, 'same'],
      [0x3f, 'same'],
      [0x32, 'SIG_MALFORMED'],
      [0x24, 'SIG_UNSUPPORTED_VERSION'],
      [0x44, 'SIG_MALFORMED'],
      [0x54, 'SIG_UNSUPPORTED_VERSION'],
      [0x00, 'SIG_UNSUPPORTED_VERSION'],
    ] as const) {
      t.equal(roundTrip(kind, sample.with(0, version)), outcome, version.toString(16));
    }
  });
}

const hybridAlice = new Device('hybrid bytes/alice');
hybridAlice.initiate(new Device('hybrid bytes/bob', 1).bundle(100));
const hybridSample = hybridAlice.send('hybrid').ciphertext;

t.test('version 4: what stands in front, and what must', async (t) => {
  const message = must(decodePreKeyMessage(hybridSample));
  t.equal(hybridSample[0], 0x44);
  t.equal(message.version, 4);
  t.equal(message.kem?.ciphertext.length, LIMITS.kemCiphertextBytes);
  t.equal(roundTrip('prekey', hybridSample), 'same');
  t.equal(roundTrip('ratchet', message.message), 'same');
  t.equal(must(decodeRatchetMessage(message.message)).mac.length, LIMITS.hybridMacBytes);
  for (const [version, outcome] of [
    [0x45, 'same'],
    [0x4f, 'same'],
    [0x43, 'SIG_MALFORMED'],
    [0x34, 'SIG_MALFORMED'],
  ] as const) {
    t.equal(roundTrip('prekey', hybridSample.with(0, version)), outcome, version.toString(16));
  }
  t.equal(roundTrip('prekey', encodePreKeyMessage({ ...message, kem: undefined })), 'SIG_MALFORMED', 'without its KEM');
  for (const length of [0, 1_567, 1_569]) {
    const kem = { preKeyId: 1, ciphertext: new Uint8Array(length) };
    t.equal(roundTrip('prekey', encodePreKeyMessage({ ...message, kem })), 'SIG_MALFORMED', `${length} bytes of KEM`);
  }
  const classic = must(decodePreKeyMessage(sampleOf('prekey')));
  t.equal(
    roundTrip('prekey', encodePreKeyMessage({ ...classic, kem: message.kem })),
    'SIG_MALFORMED',
    'version 3 has none',
  );
});

t.test('version 4: no prefix, no continuation, and no second encoding', async (t) => {
  for (let length = 0; length < hybridSample.length; length++) {
    t.equal(roundTrip('prekey', hybridSample.subarray(0, length)), 'SIG_MALFORMED', `${length} bytes`);
  }
  t.equal(roundTrip('prekey', concat(hybridSample, fromHex('00'))), 'SIG_MALFORMED');
  const pick = seededIntegers('mutations of version 4');
  const seen = new Set<string>();
  for (let round = 0; round < 4_000; round++) {
    const mutated = new Uint8Array(hybridSample);
    for (let changes = pick(4); changes >= 0; changes--) mutated[pick(200)] = pick(256);
    seen.add(roundTrip('prekey', mutated));
  }
  t.notOk(seen.has('different'));
});

t.test('version 4 keeps a field for a post-quantum ratchet: read within its bound, and not in version 3', async (t) => {
  const { header, ciphertext } = must(decodeRatchetMessage(must(decodePreKeyMessage(hybridSample)).message));
  const withField = (versionByte: number, length: number): Uint8Array =>
    concat(encodeRatchetBody(versionByte, header, ciphertext, new Uint8Array(length)), new Uint8Array(16));
  const most = LIMITS.postQuantumRatchetBytesMax;
  t.equal(must(decodeRatchetMessage(withField(0x44, most))).postQuantumRatchet?.length, most);
  t.equal(roundTrip('ratchet', withField(0x44, 0)), 'same');
  t.equal(roundTrip('ratchet', withField(0x44, most + 1)), 'SIG_MALFORMED');
  t.equal(roundTrip('ratchet', withField(0x34, 8)), 'SIG_MALFORMED');
});

t.test('a ratchet message has at least one whole block', async (t) => {
  const { header, mac } = must(decodeRatchetMessage(sampleOf('ratchet')));
  const withBody = (length: number): Uint8Array => concat(encodeRatchetBody(0x34, header, new Uint8Array(length)), mac);
  t.equal(roundTrip('ratchet', withBody(16)), 'same');
  for (const length of [0, 1, 15, 17]) t.equal(roundTrip('ratchet', withBody(length)), 'SIG_MALFORMED', `${length}`);
});

t.test('size: the bound is readable, one byte more is not', async (t) => {
  const message = must(decodePreKeyMessage(sampleOf('prekey')));
  const overhead = sampleOf('prekey').length - message.message.length + 2; // the inner length takes two bytes more
  const sized = (total: number): Uint8Array =>
    encodePreKeyMessage({ ...message, message: new Uint8Array(total - overhead) });
  t.equal(sized(LIMITS.messageBytesMax).length, LIMITS.messageBytesMax);
  t.equal(roundTrip('prekey', sized(LIMITS.messageBytesMax)), 'same');
  t.equal(roundTrip('prekey', sized(LIMITS.messageBytesMax + 1)), 'SIG_MALFORMED');
});

t.test('a bad key inside is named as such', async (t) => {
  const message = must(decodePreKeyMessage(sampleOf('prekey')));
  const zero = new Uint8Array(33).with(0, 5);
  t.equal(codeOf(decodePreKeyMessage(encodePreKeyMessage({ ...message, baseKey: zero }))), 'SIG_BAD_KEY');
  t.equal(codeOf(decodePreKeyMessage(encodePreKeyMessage({ ...message, identityKey: zero }))), 'SIG_BAD_KEY');
});

t.test('a wrong call throws', async (t) => {
  t.throws(() => decodeRatchetMessage('34' as never), TypeError);
});

/**
 * Every decoder of the folder under bent input, for some seconds; `BLINDBEAM_FUZZ_ROUNDS=1000000` is the long form. And proof that
 * broken decoders are caught.
 */
import t from 'tap';
import { concat } from './bytes.ts';
import { decodePreKeyMessage, decodeRatchetMessage, encodePreKeyMessage } from './ciphertext.ts';
import { verifyDeviceList, signDeviceList } from './device-list.ts';
import { SIGNAL_ERRORS } from './errors.ts';
import { beginLedger, decodeLedger, encodeLedger } from './group-distribution.ts';
import {
  acceptDistribution,
  createSenderKey,
  decryptFromGroup,
  distributionMessage,
  encryptForGroup,
} from './group-session.ts';
import { generateKeyPair } from './keys.ts';
import { decryptMedia, MediaEncryption, MediaReader } from './media.ts';
import { decodeSessionRecord, encodeSessionRecord } from './record-codec.ts';
import { decodeStreamHeader, openStream, sealStream } from './sealed-stream.ts';
import type { SessionRecord } from './session-record.ts';
import { decodeSenderKey, decodeSenderKeyRecord, encodeSenderKey, encodeSenderKeyRecord } from './sender-key-codec.ts';
import { decodeDistribution, decodeGroupMessage, encodeDistribution } from './sender-key-message.ts';
import { createConversation, Device, seededRandom } from './testing/device.ts';
import { fuzz, heldBytes, type FuzzTarget } from './testing/fuzz.ts';
import { codeOf, must } from './testing/outcome.ts';
import { sampleRecords } from './testing/sample-records.ts';
import { collect } from './testing/streams.ts';

const longRounds = Number(process.env.BLINDBEAM_FUZZ_ROUNDS ?? 0);
if (longRounds > 0) t.setTimeout(0);

const random = seededRandom('fuzz');
const common = {
  codes: Object.keys(SIGNAL_ERRORS),
  codeOf: (outcome: unknown) => (codeOf(outcome) === 'ok' ? undefined : codeOf(outcome)),
};

const { alice, bob } = createConversation('fuzz');
const ratchetMessages = ['', 'short', 'x'.repeat(300)].map((text) => alice.send(text).ciphertext);
const newcomer = new Device('fuzz/newcomer');
const target = new Device('fuzz/target', 2);
newcomer.initiate(target.bundle(100));
const preKeyMessages = ['hello', 'again'].map((text) => newcomer.send(text).ciphertext);

const groupKey = createSenderKey(random(16), random);
const { record: groupRecord } = must(acceptDistribution(undefined, distributionMessage(groupKey)));
const { senderKey: usedGroupKey, ciphertext: groupMessage } = must(encryptForGroup(groupKey, random(50)));

const primary = { id: 1, identityKeyPair: generateKeyPair(random) };
const account = '123456789012345';
const devices = [{ id: 2, identityKey: generateKeyPair(random).publicKey }];
const deviceList = signDeviceList(primary, account, devices, undefined, random);

const streamKey = { key: random(32), label: 'fuzz' };
const stream = (await collect(sealStream(streamKey, random(16), [random(9_000)], 12))).bytes;
const media = await collect(MediaEncryption.begin(random).encrypt([random(5_000)]));
const reference = must(media.outcome);

/** Takes a stream to its end: the outcome is the refusal, or everything that was given out. */
async function whole(pieces: Parameters<typeof collect>[0]): Promise<unknown> {
  const { bytes, outcome } = await collect(pieces);
  return outcome ?? { bytes };
}

/** Earlier layouts are read, and written as the present one. */
function encodePresentRecord(record: SessionRecord, bytes: Uint8Array): Uint8Array | undefined {
  const encoded = encodeSessionRecord(record);
  return encoded[0] === bytes[0] ? encoded : undefined;
}

/** Cheap ones run more rounds than those that compute. */
const TARGETS: Readonly<Record<string, { readonly rounds: number } & Omit<FuzzTarget, 'codes' | 'codeOf'>>> = {
  'a ratchet message': { rounds: 3_000, corpus: ratchetMessages, decode: decodeRatchetMessage },
  'a pre-key message': {
    rounds: 3_000,
    corpus: preKeyMessages,
    decode: decodePreKeyMessage,
    encode: encodePreKeyMessage,
  },
  'a session record': {
    rounds: 3_000,
    corpus: Object.values(sampleRecords()).map(encodeSessionRecord),
    decode: decodeSessionRecord,
    encode: encodePresentRecord,
  },
  'a ratchet message, decrypted': {
    rounds: 400,
    corpus: ratchetMessages,
    decode: (ciphertext) => bob.tryReceive({ type: 'ratchet', ciphertext }),
    state: () => encodeSessionRecord(bob.record!),
  },
  'a pre-key message, decrypted': {
    rounds: 60,
    corpus: preKeyMessages,
    decode: (ciphertext) => target.tryReceive({ type: 'prekey', ciphertext }),
    state: () => Uint8Array.from(target.oneTimePreKeys.keys()),
  },
  'a distribution message': {
    rounds: 1_000,
    corpus: [distributionMessage(groupKey)],
    decode: decodeDistribution,
    encode: encodeDistribution,
  },
  'a group message': { rounds: 3_000, corpus: [groupMessage], decode: decodeGroupMessage },
  'a group message, decrypted': {
    rounds: 200,
    corpus: [groupMessage],
    decode: (ciphertext) => decryptFromGroup(groupRecord, ciphertext),
    state: () => encodeSenderKeyRecord(groupRecord),
  },
  'a sender key': {
    rounds: 500,
    corpus: [usedGroupKey].map(encodeSenderKey),
    decode: decodeSenderKey,
    encode: encodeSenderKey,
  },
  'a sender key record': {
    rounds: 500,
    corpus: [encodeSenderKeyRecord(groupRecord)],
    decode: decodeSenderKeyRecord,
    encode: encodeSenderKeyRecord,
  },
  'a ledger of distribution': {
    rounds: 2_000,
    corpus: [encodeLedger(beginLedger(7, new Set(['anna', 'ben']), 1_700_000_000_000))],
    decode: decodeLedger,
    encode: encodeLedger,
  },
  'a device list': {
    rounds: 200,
    corpus: [deviceList],
    decode: (bytes) => verifyDeviceList(bytes, account, primary.identityKeyPair.publicKey, undefined),
  },
  'a stream header': { rounds: 2_000, corpus: [stream.subarray(0, 50)], decode: decodeStreamHeader },
  'a sealed stream': { rounds: 600, corpus: [stream], decode: (bytes) => whole(openStream(streamKey, [bytes])) },
  'a media file': { rounds: 600, corpus: [media.bytes], decode: (bytes) => whole(decryptMedia(reference, [bytes])) },
  'a range of a media file': {
    rounds: 600,
    corpus: [media.bytes],
    async decode(bytes) {
      const reader = await MediaReader.open(reference, bytes.subarray(0, 50));
      return reader instanceof MediaReader
        ? whole(reader.read({ start: 10, end: 4_000 }, [bytes.subarray(50)]))
        : reader;
    },
  },
};

for (const [name, { rounds, ...decoder }] of Object.entries(TARGETS)) {
  t.test(`${name}, bent, breaks no claim`, async (t) => {
    const { failure, accepted, refused } = await fuzz({ ...common, ...decoder }, longRounds || rounds, 20_261);
    t.equal(failure, undefined);
    t.ok(accepted > 0 && Object.keys(refused).length > 0, `${accepted} accepted, ${JSON.stringify(refused)}`);
  });
}

t.test('bytes of another kind, bent, are refused as a message, all of them', async (t) => {
  const decoder: FuzzTarget = {
    ...common,
    corpus: [...preKeyMessages, groupMessage, deviceList, stream],
    decode: (ciphertext) => bob.tryReceive({ type: 'ratchet', ciphertext }),
    state: () => encodeSessionRecord(bob.record!),
  };
  const { failure, accepted, refused } = await fuzz(decoder, longRounds || 200, 20_261);
  t.equal(failure, undefined);
  t.equal(accepted, 0);
  t.ok(Object.keys(refused).length > 1, JSON.stringify(refused));
});

t.test('the same seed gives the same run', async (t) => {
  const decoder = { ...common, corpus: ratchetMessages, decode: decodeRatchetMessage };
  t.same(await fuzz(decoder, 300, 7), await fuzz(decoder, 300, 7));
  t.notSame(await fuzz(decoder, 300, 7), await fuzz(decoder, 300, 8));
});

t.test('positive control: broken decoders are caught', async (t) => {
  const corpus = [encodeSessionRecord(alice.record!)];
  const good: FuzzTarget = { ...common, corpus, decode: decodeSessionRecord, encode: encodeSessionRecord };
  let state = 0;
  const broken: Record<string, Partial<FuzzTarget>> = {
    'throws on input': { decode: (bytes) => must(decodeSessionRecord(bytes)) },
    'gives a code of its own': { codes: ['SIG_MALFORMED'] },
    'changes the input': { decode: (bytes) => decodeSessionRecord(bytes.fill(1, 0, 1)) },
    'changes state': { state: () => Uint8Array.of(state++) },
    'accepts what follows': { decode: (bytes) => decodeSessionRecord(bytes.subarray(0, corpus[0]!.length)) },
    'allocates what it is told': { decode: () => ({ bytes: new Uint8Array(50_000_000) }), encode: () => concat() },
  };
  for (const [name, part] of Object.entries(broken)) {
    t.type((await fuzz({ ...good, ...part }, 2_000, 1)).failure, 'string', name);
  }
});

t.test('what is held is counted: views of the input are not, copies are', async (t) => {
  const input = new Uint8Array(1_000);
  t.ok(heldBytes({ view: input.subarray(5) }, input) < 100);
  t.ok(heldBytes([{ copy: input.slice(5) }, 'x'.repeat(100)], input) > 1_100);
});

/** Records at rest: the same bytes again, every damage refused without a throw, every bound kept. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { concat } from './bytes.ts';
import { isSignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { ProtobufWriter } from './protobuf.ts';
import { decodeSessionRecord, encodeSessionRecord } from './record-codec.ts';
import { RatchetState, type ReceiverChain } from './double-ratchet.ts';
import { Session, SessionRecord, sessionsOf } from './session-record.ts';
import { createConversation, seededIntegers } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { sampleRecords } from './testing/sample-records.ts';
import { fromHex, toHex } from './testing/transcripts.ts';

function roundTrip(bytes: Uint8Array): string {
  const decoded = decodeSessionRecord(bytes);
  if (isSignalError(decoded)) return decoded.code;
  return toHex(encodeSessionRecord(decoded)) === toHex(bytes) ? 'same' : 'different';
}

const samples = sampleRecords();

for (const [name, record] of Object.entries(samples)) {
  t.equal(roundTrip(encodeSessionRecord(record)), 'same', name);
}

function recordsOfLayout(layout: number): { name: string; record: string }[] {
  const file = new URL(`../../../protocol/signal/vectors/record-v${layout}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).records;
}

t.test('records of layout 2 decode to the same bytes, and are what we write', async (t) => {
  const records = recordsOfLayout(2);
  t.equal(records.length, Object.keys(samples).length);
  for (const { name, record } of records) {
    t.equal(roundTrip(fromHex(record)), 'same', name);
    t.equal(toHex(encodeSessionRecord(samples[name]!)), record, 'and is what we write');
  }
});

t.test('records of layout 1 still decode: to sessions of version 3, and from then on to the same bytes', async (t) => {
  const records = recordsOfLayout(1);
  t.equal(records.length, 7);
  for (const { name, record } of records) {
    const decoded = must(decodeSessionRecord(fromHex(record)));
    for (const [, session] of sessionsOf(decoded)) t.same([session.version, session.remoteVersion], [3, 3], name);
    const rewritten = encodeSessionRecord(decoded);
    t.equal(rewritten.length, record.length / 2 + lengthOfVersions(decoded), 'nothing but the versions is added');
    t.equal(roundTrip(rewritten), 'same');
  }
});

/** Field 15 of each session, and where the length of the session itself then takes a byte more. */
function lengthOfVersions(record: SessionRecord): number {
  const sessions = sessionsOf(record).map(([, session]) => encodeSessionRecord(new SessionRecord(session, [])).length);
  const grown = sessions.filter((length) => length - 4 >= 128 && length - 6 < 128).length;
  return 2 * sessions.length + grown;
}

t.test('a decoded record goes on where the encoded one stopped', async (t) => {
  const { alice, bob } = createConversation('resumed');
  for (let round = 0; round < 5; round++) {
    const envelope = alice.send(`message ${round}`);
    alice.record = must(decodeSessionRecord(encodeSessionRecord(alice.record!)));
    bob.record = must(decodeSessionRecord(encodeSessionRecord(bob.record!)));
    t.equal(bob.receive(envelope), `message ${round}`);
    t.equal(alice.receive(bob.send('yes')), 'yes');
  }
});

t.test('no prefix of a record is a record', async (t) => {
  const bytes = encodeSessionRecord(samples['with skipped keys']!);
  for (let length = 0; length < bytes.length; length++) {
    // One byte is the version alone: the empty record.
    t.equal(roundTrip(bytes.subarray(0, length)), length === 1 ? 'same' : 'SIG_MALFORMED', `${length} bytes`);
  }
});

t.test('a mutated record is refused or is a record of its own bytes', async (t) => {
  const pick = seededIntegers('record mutations');
  const seen = new Map<string, number>();
  for (const record of Object.values(samples)) {
    const bytes = encodeSessionRecord(record);
    for (let round = 0; round < 1_500; round++) {
      const mutated = new Uint8Array(bytes);
      for (let changes = pick(3); changes >= 0; changes--) mutated[pick(mutated.length)] = pick(256);
      if (mutated[0] === 1) mutated[0] = 2; // layout 1 is read and not written
      const outcome = roundTrip(mutated);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
  }
  t.notOk(seen.has('different'));
  for (const outcome of ['same', 'SIG_MALFORMED', 'SIG_UNSUPPORTED_VERSION'])
    t.ok((seen.get(outcome) ?? 0) > 10, outcome);
});

t.test('bounds: archived sessions, receiving chains, skipped keys, whole size', async (t) => {
  const { alice } = createConversation('bounds');
  const session = alice.record!.current!;
  const withArchived = (count: number) => encodeSessionRecord(new SessionRecord(session, Array(count).fill(session)));
  t.equal(roundTrip(withArchived(LIMITS.archivedSessionCountMax)), 'same');
  t.equal(roundTrip(withArchived(LIMITS.archivedSessionCountMax + 1)), 'SIG_MALFORMED');

  const [chain] = session.ratchet.receiving;
  const withReceiving = (receiving: readonly ReceiverChain[]) => {
    const ratchet = new RatchetState({ ...session.ratchet, receiving });
    return encodeSessionRecord(new SessionRecord(new Session({ ...session, ratchet }), []));
  };
  const chains = (count: number) => Array<ReceiverChain>(count).fill(chain!);
  t.equal(roundTrip(withReceiving(chains(LIMITS.receiverChainCountMax))), 'same');
  t.equal(roundTrip(withReceiving(chains(LIMITS.receiverChainCountMax + 1))), 'SIG_MALFORMED');

  const withSkipped = (counters: readonly number[]) =>
    withReceiving([
      { ...chain!, counter: 5_000, skipped: counters.map((counter) => ({ counter, seed: new Uint8Array(32) })) },
    ]);
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
  t.equal(roundTrip(withSkipped(upTo(LIMITS.skippedKeyCountMax))), 'same');
  t.equal(roundTrip(withSkipped(upTo(LIMITS.skippedKeyCountMax + 1))), 'SIG_MALFORMED');
  t.equal(roundTrip(withSkipped([4_999])), 'same');
  t.equal(roundTrip(withSkipped([5_000])), 'SIG_MALFORMED', 'a skipped key that is not behind its chain');
  t.equal(roundTrip(withSkipped([7, 7])), 'SIG_MALFORMED', 'the same one twice');

  const full = withReceiving(
    chains(LIMITS.receiverChainCountMax).map((each) => ({
      ...each,
      counter: LIMITS.uint32Max,
      skipped: upTo(LIMITS.skippedKeyCountMax).map((counter) => ({ counter, seed: new Uint8Array(32) })),
    })),
  );
  t.ok(
    (LIMITS.archivedSessionCountMax + 1) * (full.length + 8) < LIMITS.recordBytesMax,
    'every session full still decodes',
  );
  t.equal(codeOf(decodeSessionRecord(new Uint8Array(LIMITS.recordBytesMax + 1).fill(2))), 'SIG_MALFORMED');
});

/** The fields of a session by number, in the order in which they are written. */
type Fields = readonly (readonly [field: number, value: number | Uint8Array])[];

function recordOf(fields: Fields): Uint8Array {
  const session = new ProtobufWriter(512);
  for (const [field, value] of fields) {
    if (typeof value === 'number') session.uint32(field, value);
    else session.bytes(field, value);
  }
  return new ProtobufWriter(512).byte(2).bytes(1, session.finish()).finish();
}

t.test('each field of a session must be there and have its form', async (t) => {
  const session = samples['offering, with a one-time pre-key']!.current!;
  const { ratchet, pending } = session;
  const fields: Fields = [
    [1, session.baseKey],
    [2, session.localIdentityKey],
    [3, session.remoteIdentityKey],
    [4, session.remoteRegistrationId],
    [5, ratchet.rootKey],
    [6, ratchet.ratchetKeyPair.publicKey],
    [7, ratchet.ratchetKeyPair.privateKey],
    [8, ratchet.sending!.chainKey],
    [9, ratchet.sending!.counter],
    [10, ratchet.previousCounter],
    [12, pending!.signedPreKeyId],
    [13, pending!.oneTimePreKeyId!],
    [14, concat(fromHex('00000384'), pending!.kem!.ciphertext)],
    [15, 0x44],
  ];
  t.equal(toHex(recordOf(fields)), toHex(encodeSessionRecord(samples['offering, with a one-time pre-key']!)));
  for (const [field, value] of fields) {
    const without = fields.filter(([other]) => other !== field);
    t.equal(roundTrip(recordOf(without)), field === 13 ? 'same' : 'SIG_MALFORMED', `without field ${field}`);
    if (typeof value === 'number') continue;
    for (const wrong of [value.subarray(1), new Uint8Array([...value, 0]), new Uint8Array(0)]) {
      const changed = fields.map((entry) => (entry[0] === field ? ([field, wrong] as const) : entry));
      t.equal(roundTrip(recordOf(changed)), 'SIG_MALFORMED', `field ${field} of ${wrong.length} bytes`);
    }
  }
  const neither = fields.filter(([field]) => field !== 8 && field !== 9);
  t.equal(roundTrip(recordOf(neither)), 'same', 'a sending chain may be absent as a whole');
  const withoutOffer = fields.filter(([field]) => field < 12 || field === 15);
  t.equal(roundTrip(recordOf(withoutOffer)), 'same', 'and so may the offer');
  const versioned = (versions: number) => fields.map((entry) => (entry[0] === 15 ? ([15, versions] as const) : entry));
  for (const versions of [0x33, 0x34, 0x43, 0x45, 0x54, 0x55, 0x00, 0x144]) {
    t.equal(roundTrip(recordOf(versioned(versions))), 'SIG_MALFORMED', `versions ${versions.toString(16)}`);
  }
  const classic = versioned(0x34).filter(([field]) => field !== 14);
  t.equal(roundTrip(recordOf(classic)), 'same', 'version 3 has no KEM part');
  t.equal(roundTrip(recordOf(classic).with(0, 1)), 'SIG_MALFORMED', 'layout 1 has no versions');
});

t.test('a later layout is told from damage', async (t) => {
  const bytes = encodeSessionRecord(samples['in conversation']!);
  t.equal(roundTrip(bytes.with(0, 3)), 'SIG_UNSUPPORTED_VERSION');
  t.equal(roundTrip(new Uint8Array(0)), 'SIG_MALFORMED');
  t.equal(roundTrip(new ProtobufWriter(4).byte(2).bytes(3, new Uint8Array(1)).finish()), 'SIG_MALFORMED');
  t.throws(() => decodeSessionRecord('01' as never), TypeError);
});

/** Public keys that are refused, private keys that are clamped, and secrets that do not print. */
import { inspect } from 'node:util';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { agree, encodePublicKey, generateKeyPair, isValidPublicKey, keyPair } from './keys.ts';
import { generateOneTimePreKeys, generateRegistrationId, generateSignedPreKey } from './pre-keys.ts';
import { LIMITS } from './limits.ts';
import { createConversation } from './testing/device.ts';
import { fromHex, toHex } from './testing/transcripts.ts';
import { xeddsaVerify } from './xeddsa.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const prime = 2n ** 255n - 19n;
const littleEndian = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0')).reverse();

/** Coordinates and whether each is a key that we use. */
const coordinates: readonly [name: string, value: bigint, valid: boolean][] = [
  ['0', 0n, false],
  ['1', 1n, false],
  ['2', 2n, true],
  ['the base point', 9n, true],
  ['order 8, first', 325606250916557431795983626356110631294008115727848805560023387167927233504n, false],
  ['order 8, second', 39382357235489614581723060781553021112529911719440698176882885853963445705823n, false],
  ['p - 2', prime - 2n, true],
  ['p - 1', prime - 1n, false],
  ['p', prime, false],
  ['p + 1', prime + 1n, false],
  ['p + 9, the base point again', prime + 9n, false],
  ['2^255 - 1', 2n ** 255n - 1n, false],
  ['the base point with the unused bit', 9n + 2n ** 255n, false],
];

for (const [name, value, valid] of coordinates) {
  t.equal(isValidPublicKey(encodePublicKey(littleEndian(value))), valid, `coordinate ${name}`);
}

t.test('every refused canonical coordinate gives an all-zero agreement, and no accepted one does', async (t) => {
  const { privateKey } = generateKeyPair(random);
  for (const [name, value, valid] of coordinates) {
    if (value >= prime) continue;
    t.equal(agree(privateKey, encodePublicKey(littleEndian(value))) !== undefined, valid, name);
  }
});

t.test('a public key has its type byte and its length', async (t) => {
  const { publicKey } = generateKeyPair(random);
  t.ok(isValidPublicKey(publicKey));
  t.notOk(isValidPublicKey(publicKey.with(0, 6)));
  t.notOk(isValidPublicKey(publicKey.subarray(0, 32)));
  t.notOk(isValidPublicKey(new Uint8Array([...publicKey, 0])));
});

t.test('a private key is clamped when it is made, and the randomness is not changed', async (t) => {
  const drawn = new Uint8Array(32).fill(0xff);
  const { privateKey } = generateKeyPair(() => drawn);
  t.equal(toHex(privateKey), `f8${'ff'.repeat(30)}7f`);
  t.equal(toHex(drawn), 'ff'.repeat(32));
  t.throws(() => generateKeyPair(() => new Uint8Array(31)), RangeError);
});

t.test('agreement is mutual', async (t) => {
  const [alice, bob] = [generateKeyPair(random), generateKeyPair(random)];
  t.same(agree(alice.privateKey, bob.publicKey), agree(bob.privateKey, alice.publicKey));
});

t.test('registration ids stay in their range at both ends of the randomness', async (t) => {
  const feed = (...values: number[][]) => {
    const queue = values.map((bytes) => Uint8Array.from(bytes));
    return () => queue.shift()!;
  };
  t.equal(generateRegistrationId(feed([0, 0], [0, 1])), 1, '0 is drawn again');
  t.equal(generateRegistrationId(feed([0xff, 0xff], [0x3f, 0xfd], [0x3f, 0xfc])), 16_380, 'above the range, too');
});

t.test('pre-keys: ids, signature, bounds', async (t) => {
  const identity = generateKeyPair(random);
  const signed = generateSignedPreKey(identity, LIMITS.preKeyIdMax, random);
  t.ok(xeddsaVerify(identity.publicKey, signed.keyPair.publicKey, signed.signature));
  t.same(
    generateOneTimePreKeys(5, 3, random).map(({ id }) => id),
    [5, 6, 7],
  );
  t.same(generateOneTimePreKeys(5, 0, random), []);
  t.equal(generateOneTimePreKeys(LIMITS.preKeyIdMax, 1, random)[0]!.id, LIMITS.preKeyIdMax);
  t.throws(() => generateOneTimePreKeys(LIMITS.preKeyIdMax, 2, random), RangeError);
  t.throws(() => generateOneTimePreKeys(1, LIMITS.oneTimePreKeyBatchCountMax + 1, random), RangeError);
  t.throws(() => generateSignedPreKey(identity, 0, random), RangeError);
  t.throws(() => generateSignedPreKey(identity, LIMITS.preKeyIdMax + 1, random), RangeError);
});

t.test('a wrong call throws and names the argument', async (t) => {
  t.throws(() => keyPair(new Uint8Array(32), new Uint8Array(32)), { message: /"publicKey" expected 33 bytes, got 32/ });
  t.throws(() => keyPair('05' as never, new Uint8Array(32)), TypeError);
});

t.test('what holds a secret does not print it', async (t) => {
  const { alice } = createConversation('redaction');
  const { identityKeyPair } = alice.local;
  const session = alice.record!.current!;
  const secrets = [identityKeyPair.privateKey, session.ratchet.rootKey, session.ratchet.ratchetKeyPair.privateKey];
  for (const holder of [identityKeyPair, alice.record!, session, session.ratchet, { nested: [alice.record] }]) {
    const printed = [
      inspect(holder, { depth: 20, showHidden: true, maxArrayLength: null }),
      JSON.stringify(holder),
      String(holder),
    ].join();
    t.match(printed, /redacted|object Object/);
    for (const secret of secrets) {
      t.notOk(printed.includes(toHex(secret)));
      t.notOk(printed.includes([...secret.subarray(0, 6)].join(', ')), 'nor as a list of numbers');
      t.notOk(printed.includes([...secret.subarray(0, 6)].join(',')));
    }
  }
});

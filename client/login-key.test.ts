/**
 * Login signatures against RFC 8032 and against the platform.
 */

import { createPublicKey, verify } from 'node:crypto';
import { inspect } from 'node:util';
import t from 'tap';
import { LoginKey, loginStatement } from './login-key.ts';
import { SeededRandom } from './testing/seeded-random.ts';

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

// RFC 8032, section 7.1: TEST 1, TEST 2 and TEST 3.
const VECTORS = [
  {
    seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
];

t.test('signatures are those of RFC 8032', async (t) => {
  for (const { seed, publicKey, message, signature } of VECTORS) {
    const key = new LoginKey(bytes(seed));
    t.same(key.publicKey, bytes(publicKey));
    t.same(key.sign(bytes(message)), bytes(signature));
  }
});

t.test('the platform accepts signatures of random keys, and no altered ones', async (t) => {
  const random = new SeededRandom(5);
  for (let n = 0; n < 20; n += 1) {
    const key = LoginKey.generate(random);
    const statement = loginStatement(random.bytes(32), '123456789012345', 1 + n);
    const signature = key.sign(statement);
    const x = Buffer.from(key.publicKey).toString('base64url');
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    t.ok(verify(null, statement, publicKey, signature));
    statement[random.integer(statement.length)]! ^= 1;
    t.notOk(verify(null, statement, publicKey, signature));
  }
});

t.test('a login statement is label, nonce, user, zero, device', async (t) => {
  const statement = loginStatement(new Uint8Array(32).fill(0xaa), '123456789012345', 7);
  const hex = Buffer.from('blindbeam login 1\0').toString('hex') + 'aa'.repeat(32);
  t.equal(Buffer.from(statement).toString('hex'), `${hex}${Buffer.from('123456789012345').toString('hex')}0007`);
});

t.test('a key does not print its secret', async (t) => {
  const key = new LoginKey(bytes(VECTORS[0]!.seed));
  for (const text of [JSON.stringify(key), inspect(key, { depth: 9, showHidden: true }), String(key)]) {
    t.notMatch(text, '9d61b1');
    t.notMatch(text, '157, 97, 177');
    t.notMatch(text, '9d 61 b1');
  }
});

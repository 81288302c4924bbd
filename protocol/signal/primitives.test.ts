/** Published vectors, and the two providers against each other on random input, with a control that breaks one. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { nativePrimitives, noblePrimitives, primitives, type Primitives, type Sha256 } from './primitives.ts';
import { fromHex, toHex } from './testing/transcripts.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const providers: readonly Primitives[] = [nativePrimitives!, noblePrimitives];
const borrowed = { edwards: noblePrimitives.edwards, kem: noblePrimitives };

interface KemVectors {
  readonly keyGeneration: readonly { readonly seed: string; readonly encapsulationKeySha512: string }[];
  readonly encapsulation: readonly {
    readonly name: string;
    readonly encapsulationKey: string;
    readonly entropy: string;
    readonly ciphertext: string;
    readonly secret: string;
  }[];
  readonly unreducedKeys: readonly string[];
}
const kemFile = new URL('../../../protocol/signal/vectors/ml-kem-1024.json', import.meta.url);
const kemVectors: KemVectors = JSON.parse(readFileSync(kemFile, 'utf8'));

t.equal(primitives, nativePrimitives, 'this platform runs the native provider, so the comparison below is one');

for (const provider of providers) {
  t.test(`${provider.name}: published vectors`, async (t) => {
    const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
    const bob = fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
    const bobPublic = provider.x25519PublicKey(bob);
    t.equal(toHex(provider.x25519PublicKey(alice)), '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    t.equal(toHex(bobPublic), 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f', 'RFC 7748, 6.1');
    const shared = provider.x25519(alice, bobPublic);
    t.equal(toHex(shared!), '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');

    t.equal(
      toHex(provider.hmacSha256(new Uint8Array(20).fill(0x0b), new TextEncoder().encode('Hi There'))),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      'RFC 4231, case 1',
    );
    t.equal(
      toHex(
        provider.hmacSha256(
          new Uint8Array(131).fill(0xaa),
          new TextEncoder().encode('Test Using Larger Than Block-Size Key - Hash Key First'),
        ),
      ),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      'RFC 4231, case 6',
    );
    t.equal(
      toHex(
        provider.hkdfSha256(
          new Uint8Array(22).fill(0x0b),
          fromHex('000102030405060708090a0b0c'),
          fromHex('f0f1f2f3f4f5f6f7f8f9'),
          42,
        ),
      ),
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
      'RFC 5869, case 1',
    );
    t.equal(
      toHex(provider.sha512(new TextEncoder().encode('a'), new TextEncoder().encode('bc'))).slice(0, 32),
      'ddaf35a193617abacc417349ae204131',
      'FIPS 180-4, "abc"',
    );
    const key = fromHex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4');
    const iv = fromHex('000102030405060708090a0b0c0d0e0f');
    const block = fromHex('6bc1bee22e409f96e93d7e117393172a');
    const encrypted = provider.aesCbcEncrypt(key, iv, block);
    t.equal(toHex(encrypted.subarray(0, 16)), 'f58c4c04d6e5f1ba779eabfb5f7bfbd6', 'SP 800-38A, F.2.5');
    t.equal(encrypted.length, 32, 'a whole block of padding after a whole block');
    t.equal(
      toHex(provider.aesGcmEncrypt(new Uint8Array(32), new Uint8Array(12), new Uint8Array(16))),
      'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
      'GCM, AES-256, test case 14',
    );
    const hash = provider.createSha256();
    hash.update(new TextEncoder().encode('ab'));
    hash.digest();
    hash.update(new TextEncoder().encode('c'));
    t.equal(
      toHex(hash.digest()),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      'FIPS 180-4, "abc", with a look in between',
    );
    const cost = { costLog2: 10, blockSize: 8, parallelism: 16 };
    const [password, salt] = [new TextEncoder().encode('password'), new TextEncoder().encode('NaCl')];
    t.equal(
      toHex(await provider.scrypt(password, salt, cost, 64)),
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
      'RFC 7914, section 12',
    );
    const seed = fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    const signature = fromHex(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
    t.ok(provider.verifyEd25519(seed, new Uint8Array(0), signature), 'RFC 8032, 7.1, test 1');
    const secret = fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
    t.equal(toHex(provider.ed25519PublicKey(secret)), toHex(seed), 'RFC 8032, 7.1, test 1, the key');
    t.equal(toHex(provider.signEd25519(secret, new Uint8Array(0))), toHex(signature), 'and its signature');
  });

  t.test(`${provider.name}: ML-KEM-1024`, async (t) => {
    t.equal(kemVectors.keyGeneration.length + kemVectors.encapsulation.length + kemVectors.unreducedKeys.length, 10);
    for (const { seed, encapsulationKeySha512 } of kemVectors.keyGeneration) {
      const key = provider.kemPublicKey(fromHex(seed));
      t.equal(toHex(provider.sha512(key)), encapsulationKeySha512);
      const { ciphertext, secret } = provider.kemEncapsulate(key, random(32))!;
      t.same(provider.kemDecapsulate(fromHex(seed), ciphertext), secret, 'what goes in comes out');
      const damaged = ciphertext.with(9, ciphertext[9]! ^ 1);
      const rejected = provider.kemDecapsulate(fromHex(seed), damaged);
      t.notSame(rejected, secret, 'and something else where a bit was changed');
      t.same(rejected, noblePrimitives.kemDecapsulate(fromHex(seed), damaged), 'the same something everywhere');
    }
    for (const { name, encapsulationKey, entropy, ciphertext, secret } of kemVectors.encapsulation) {
      const made = provider.kemEncapsulate(fromHex(encapsulationKey), fromHex(entropy))!;
      t.equal(toHex(made.ciphertext), ciphertext, name);
      t.equal(toHex(made.secret), secret, name);
    }
    for (const key of kemVectors.unreducedKeys) t.equal(provider.kemEncapsulate(fromHex(key), random(32)), undefined);
    t.throws(() => provider.kemEncapsulate(random(1_567), random(32)), 'a key of the wrong length is our bug');
    t.throws(() => provider.kemPublicKey(random(63)));
    t.throws(() => provider.kemDecapsulate(random(64), random(1_567)));
  });

  t.test(`${provider.name}: refusals`, async (t) => {
    const [key, iv] = [random(32), random(16)];
    t.equal(provider.aesCbcDecrypt(key, iv, random(15)), undefined, 'a partial block');
    t.equal(provider.aesCbcDecrypt(key, iv, new Uint8Array(0)), undefined, 'nothing');
    const unpadded = provider.aesCbcEncrypt(key, iv, new Uint8Array(16)).subarray(0, 16);
    t.equal(provider.aesCbcDecrypt(key, iv, unpadded), undefined, 'padding of 0');
    t.equal(provider.x25519(random(32), new Uint8Array(32)), undefined, 'an all-zero result');
    t.throws(() => provider.x25519(random(31), random(32)), 'a key of the wrong length is our bug');
    t.throws(() => provider.x25519(random(32), random(31)));
    t.throws(() => provider.aesCbcDecrypt(random(31), iv, random(16)));
    const sealed = provider.aesGcmEncrypt(key, iv.subarray(4), random(20));
    t.equal(provider.aesGcmDecrypt(key, iv.subarray(4), sealed.subarray(0, 15)), undefined, 'less than a tag');
    t.equal(provider.aesGcmDecrypt(key, iv.subarray(4), sealed.with(35, sealed[35]! ^ 1)), undefined, 'a wrong tag');
    t.throws(() => provider.aesGcmDecrypt(random(31), iv.subarray(4), sealed));
    t.notOk(provider.equal(random(8), random(9)));
    t.ok(provider.equal(new Uint8Array(0), new Uint8Array(0)));
    const largest = new Uint8Array(64).fill(0xff);
    t.notOk(provider.verifyEd25519(random(32), iv, largest), 's above the group order');
  });
}

/** One random input to each primitive of both providers; the names of those that disagree. */
async function differences(left: Primitives, right: Primitives): Promise<Set<string>> {
  const different = new Set<string>();
  type Answer = Uint8Array | boolean | undefined;
  const compare = async (name: string, run: (provider: Primitives) => Answer | Promise<Answer>): Promise<void> => {
    const [first, second] = [await run(left), await run(right)];
    const same =
      first instanceof Uint8Array && second instanceof Uint8Array ? toHex(first) === toHex(second) : first === second;
    if (!same) different.add(name);
  };
  const [privateKey, key, iv] = [random(32), random(32), random(16)];
  const peer = noblePrimitives.x25519PublicKey(random(32));
  const data = random(Math.floor(random(2)[0]! * 6));
  const ciphertext = noblePrimitives.aesCbcEncrypt(key, iv, data);
  await compare('x25519PublicKey', (provider) => provider.x25519PublicKey(privateKey));
  await compare('x25519', (provider) => provider.x25519(privateKey, peer));
  await compare('x25519', (provider) => provider.x25519(privateKey, random(32).fill(0)));
  await compare('hmacSha256', (provider) => provider.hmacSha256(random(0), data, peer));
  await compare('hmacSha256', (provider) => provider.hmacSha256(data.subarray(0, 200), data));
  await compare('hkdfSha256', (provider) => provider.hkdfSha256(data, key, iv, 1 + (data.length % 100)));
  await compare('hkdfSha256', (provider) => provider.hkdfSha256(key, new Uint8Array(0), iv, 80));
  await compare('sha512', (provider) => provider.sha512(data, key));
  await compare('aesCbcEncrypt', (provider) => provider.aesCbcEncrypt(key, iv, data));
  await compare('aesCbcDecrypt', (provider) => provider.aesCbcDecrypt(key, iv, ciphertext));
  await compare('aesCbcDecrypt', (provider) =>
    provider.aesCbcDecrypt(key, peer.subarray(0, 16), ciphertext.subarray(0, 16)),
  );
  const nonce12 = iv.subarray(0, 12);
  const sealed = noblePrimitives.aesGcmEncrypt(key, nonce12, data);
  await compare('aesGcmEncrypt', (provider) => provider.aesGcmEncrypt(key, nonce12, data));
  await compare('aesGcmDecrypt', (provider) => provider.aesGcmDecrypt(key, nonce12, sealed));
  await compare('aesGcmDecrypt', (provider) => provider.aesGcmDecrypt(key, iv.subarray(4), sealed));
  await compare('createSha256', (provider) => {
    const hash = provider.createSha256();
    hash.update(data);
    hash.update(key);
    return hash.digest();
  });
  const cost = { costLog2: 1 + (iv[0]! % 5), blockSize: 1 + (iv[1]! % 8), parallelism: 1 + (iv[2]! % 3) };
  await compare('scrypt', (provider) => provider.scrypt(data, iv, cost, 1 + (iv[3]! % 64)));
  await compare('equal', (provider) => provider.equal(key, new Uint8Array(key)));
  const { edwards } = noblePrimitives;
  const point = edwards.multiplyBase(key);
  const nonce = edwards.multiplyBase(peer);
  const challenge = noblePrimitives.sha512(nonce, point, data);
  const signature = new Uint8Array([...nonce, ...edwards.multiplyAdd(challenge, key, peer)]);
  await compare('verifyEd25519', (provider) => provider.verifyEd25519(point, data, signature));
  await compare('verifyEd25519', (provider) => provider.verifyEd25519(point, key, signature));
  await compare('verifyEd25519', (provider) => provider.verifyEd25519(random(32).fill(2), data, signature));
  await compare('ed25519PublicKey', (provider) => provider.ed25519PublicKey(key));
  await compare('signEd25519', (provider) => provider.signEd25519(key, data));
  return different;
}

/** The same for ML-KEM, which costs a hundred times more. */
function kemDifferences(left: Primitives, right: Primitives): Set<string> {
  const different = new Set<string>();
  const compare = (name: string, run: (provider: Primitives) => Uint8Array): void => {
    if (toHex(run(left)) !== toHex(run(right))) different.add(name);
  };
  const [seed, entropy] = [random(64), random(32)];
  const key = noblePrimitives.kemPublicKey(seed);
  const { ciphertext } = noblePrimitives.kemEncapsulate(key, entropy)!;
  compare('kemPublicKey', (provider) => provider.kemPublicKey(seed));
  compare('kemEncapsulate', (provider) => {
    const made = provider.kemEncapsulate(key, entropy)!;
    return new Uint8Array([...made.ciphertext, ...made.secret]);
  });
  compare('kemDecapsulate', (provider) => provider.kemDecapsulate(seed, ciphertext));
  compare('kemDecapsulate', (provider) =>
    provider.kemDecapsulate(seed, ciphertext.with(1_500, ciphertext[1_500]! ^ 64)),
  );
  return different;
}

t.test('the providers agree on random input', async (t) => {
  for (let round = 0; round < 60; round++) t.same([...(await differences(nativePrimitives!, noblePrimitives))], []);
  for (let round = 0; round < 12; round++) t.same([...kemDifferences(nativePrimitives!, noblePrimitives)], []);
});

t.test('ML-KEM is native where this Node has it, and said to be so', async (t) => {
  const hasKem = 'decapsulate' in process.getBuiltinModule('node:crypto');
  t.equal(nativePrimitives!.kemName, hasKem ? 'native' : 'noble');
  t.equal(nativePrimitives!.kemDecapsulate === noblePrimitives.kemDecapsulate, !hasKem);
});

function isHash(outcome: unknown): outcome is Sha256 {
  return typeof outcome === 'object' && outcome !== null && 'digest' in outcome;
}

t.test('positive control: a provider that is wrong in one bit is caught, in each primitive', async (t) => {
  const names = Object.entries(noblePrimitives).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  t.equal(names.length, 18);
  for (const name of names) {
    const compare = name.startsWith('kem') ? kemDifferences : differences;
    t.same([...(await compare(broken(nativePrimitives!, name), noblePrimitives))], [name], `native ${name}`);
    t.same([...(await compare(nativePrimitives!, broken(noblePrimitives, name)))], [name], `noble ${name}`);
  }
});

/** A provider one of whose functions gives one wrong bit. */
function broken(provider: Primitives, name: string): Primitives {
  const original = provider[name as 'equal'] as (...inputs: unknown[]) => unknown;
  return { ...provider, [name]: (...inputs: unknown[]) => spoil(original(...inputs)) };
}

function spoil(outcome: unknown): unknown {
  if (outcome === undefined) return outcome;
  if (outcome instanceof Uint8Array && outcome.length === 0) return Uint8Array.of(1);
  if (outcome instanceof Uint8Array) return outcome.map((byte, at) => (at === outcome.length >> 1 ? byte ^ 1 : byte));
  if (typeof outcome === 'boolean') return !outcome;
  if (outcome instanceof Promise) return outcome.then(spoil);
  if (isHash(outcome)) return { ...outcome, digest: () => spoil(outcome.digest()) };
  const { ciphertext, secret } = outcome as { ciphertext: Uint8Array; secret: Uint8Array };
  return { ciphertext, secret: spoil(secret) };
}

t.test('torsion does not divide the providers', async (t) => {
  // R or A with a small-order component, as only the key's owner can make: cofactored and cofactorless checks differ.
  const { edwards } = noblePrimitives;
  const [scalar, nonceScalar, message] = [random(32), random(32), random(20)];
  const smallOrder = fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'); // order 8
  const { ed25519 } = await import('@noble/curves/ed25519.js');
  const torsion = ed25519.Point.fromBytes(smallOrder);
  const point = edwards.multiplyBase(scalar);
  const nonce = ed25519.Point.fromBytes(edwards.multiplyBase(nonceScalar)).add(torsion).toBytes();
  const challenge = noblePrimitives.sha512(nonce, point, message);
  const signature = new Uint8Array([...nonce, ...edwards.multiplyAdd(challenge, scalar, nonceScalar)]);
  t.ok(ed25519.verify(signature, message, point, { zip215: false }), 'the cofactored check accepts it');
  for (const provider of providers) t.notOk(provider.verifyEd25519(point, message, signature), provider.name);
});

t.test('the native provider is used only where it is right', async (t) => {
  const genuine = process.getBuiltinModule('node:crypto');
  const flip = (bytes: Uint8Array): Uint8Array => bytes.with(0, bytes[0]! ^ 1);
  const imitations: Record<string, object | undefined> = {
    'no module': undefined,
    'an agreement that is wrong': { ...genuine, diffieHellman: () => flip(random(32)) },
    'a private key that is not imported as it is': {
      ...genuine,
      createPrivateKey: () => genuine.generateKeyPairSync('x25519').privateKey,
    },
    'a public part that is believed instead of computed': {
      ...genuine,
      createPrivateKey: (options: { key: { x: string } }) =>
        Object.create(genuine.createPrivateKey(options as never), { export: { value: () => ({ x: options.key.x }) } }),
      diffieHellman: () => fromHex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'),
    },
    'no one-shot hash': { ...genuine, hash: undefined },
  };
  const { createNativePrimitives } = await import('./native-primitives.ts');
  for (const [name, imitation] of Object.entries(imitations)) {
    t.intercept(process, 'getBuiltinModule', { value: () => imitation, configurable: true });
    t.equal(createNativePrimitives(borrowed), undefined, name);
  }
  t.intercept(process, 'getBuiltinModule', { value: () => ({ ...genuine }), configurable: true });
  t.equal(createNativePrimitives(borrowed)?.name, 'native', 'and with the genuine functions it is');
  const wrongKem = { ...genuine, decapsulate: () => random(32) };
  t.intercept(process, 'getBuiltinModule', { value: () => wrongKem, configurable: true });
  t.equal(createNativePrimitives(borrowed)?.kemName, 'noble', 'an ML-KEM that is wrong is left aside, and only that');
});

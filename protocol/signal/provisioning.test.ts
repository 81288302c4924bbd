/** Provisioning envelopes: who opens them, and a vector made by Node's own cryptography. */

import { createCipheriv, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from 'node:crypto';
import t from 'tap';
import { keyPair } from './keys.ts';
import { generateProvisioningKeyPair, openProvisioning, sealProvisioning } from './provisioning.ts';

let counter = 0;
const random = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => (counter += 7) + index);
const context = Uint8Array.of(1, 2, 3);
const text = new TextEncoder().encode('what a new device must know');

t.test('it opens with the pair of the code and the context of the linking, and with nothing else', async (t) => {
  const pair = generateProvisioningKeyPair(random);
  const envelope = sealProvisioning(pair.publicKey, context, text, random) as Uint8Array;
  t.same(openProvisioning(pair, context, envelope), text);
  t.match(openProvisioning(generateProvisioningKeyPair(random), context, envelope), { code: 'SIG_BAD_MAC' });
  t.match(openProvisioning(pair, Uint8Array.of(1, 2, 4), envelope), { code: 'SIG_BAD_MAC' });
  for (let index = 34; index < envelope.length; index++) {
    const bent = envelope.slice();
    bent[index]! ^= 1;
    t.match(openProvisioning(pair, context, bent), { code: 'SIG_BAD_MAC' }, `byte ${index}`);
  }
});

t.test('what is none is refused', async (t) => {
  const pair = generateProvisioningKeyPair(random);
  const envelope = sealProvisioning(pair.publicKey, context, text, random) as Uint8Array;
  t.match(openProvisioning(pair, context, envelope.subarray(0, 33)), { code: 'SIG_MALFORMED' });
  t.match(openProvisioning(pair, context, envelope.subarray(0, 40)), { code: 'SIG_BAD_MAC' });
  t.match(openProvisioning(pair, context, envelope.with(0, 2)), { code: 'SIG_UNSUPPORTED_VERSION' });
  t.match(openProvisioning(pair, context, envelope.with(1, 6)), { code: 'SIG_BAD_KEY' });
  t.match(sealProvisioning(new Uint8Array(33).fill(5, 0, 1), context, text, random), { code: 'SIG_BAD_KEY' });
});

t.test('the bytes are those that the description gives, made with other means', async (t) => {
  const sender = generateProvisioningKeyPair(random);
  const pair = generateProvisioningKeyPair(random);
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), sender.privateKey]);
  const spki = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), pair.publicKey.subarray(1)]);
  const secret = diffieHellman({
    privateKey: createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }),
    publicKey: createPublicKey({ key: spki, format: 'der', type: 'spki' }),
  });
  const info = Buffer.concat([
    Buffer.from('Blindbeam provisioning v1\0'),
    sender.publicKey,
    pair.publicKey,
    Buffer.from(context),
  ]);
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), info, 32));
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
  const sealed = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  const envelope = new Uint8Array(Buffer.concat([Buffer.of(1), sender.publicKey, sealed]));
  t.same(openProvisioning(keyPair(pair.publicKey, pair.privateKey), context, envelope), text);
});

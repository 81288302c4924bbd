/** A provisioning envelope made by Node's own cryptography from the description in FORMAT.md. */

import { createCipheriv, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from 'node:crypto';
import t from 'tap';
import { keyPair } from './keys.ts';
import { generateProvisioningKeyPair, openProvisioning } from './provisioning.ts';

let counter = 0;
const random = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => (counter += 7) + index);
const context = Uint8Array.of(1, 2, 3);
const text = new TextEncoder().encode('what a new device must know');

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

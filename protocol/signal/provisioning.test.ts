/** Provisioning envelopes: who opens them, and what is none. */

import t from 'tap';
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

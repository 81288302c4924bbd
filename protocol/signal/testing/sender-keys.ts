/**
 * Replays the recorded group with whichever provider is in use. Test-only.
 *
 * Two test files run it: one as the platform is, one after Node's crypto has been hidden, which is what a browser sees.
 */
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { SenderKeyRecord } from '../sender-key.ts';
import { codeOf, must } from './outcome.ts';
import { fromHex, toHex } from './transcripts.ts';

interface GroupRecording {
  readonly distributionId: string;
  readonly distributionMessage: string;
  readonly messages: readonly {
    readonly iteration: number;
    readonly plaintextUtf8: string;
    readonly ciphertext: string;
  }[];
  readonly deliveryOrderToTry: readonly (readonly number[])[];
  readonly lateJoiner: {
    readonly distributionMessage: string;
    readonly messages: readonly { readonly plaintextUtf8: string; readonly ciphertext: string }[];
    readonly mustFailToDecrypt: readonly string[];
  };
}

const file = new URL('../../../../protocol/signal/vectors/sender-keys.json', import.meta.url);
export const recordedGroup: GroupRecording = JSON.parse(readFileSync(file, 'utf8'));

const signatureHexLength = 128;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Every step starts from the bytes at rest, so that the codec is part of what is replayed. */
export async function replaySenderKeys(t: Test, provider: 'native' | 'noble'): Promise<void> {
  const signal = await import('../index.ts');
  const { primitives } = await import('../primitives.ts');
  const { decodeDistribution } = await import('../sender-key-message.ts');
  const { SenderKey } = await import('../sender-key.ts');
  const { generateSigningKeyPair } = await import('../signing-key.ts');
  const { seededRandom } = await import('./device.ts');
  t.equal(primitives.name, provider, `runs on the ${provider} provider`);
  const { messages, distributionMessage, lateJoiner } = recordedGroup;

  const stored = (record: SenderKeyRecord): SenderKeyRecord =>
    must(signal.decodeSenderKeyRecord(signal.encodeSenderKeyRecord(record)));
  const join = (distribution: string): SenderKeyRecord =>
    must(signal.acceptDistribution(undefined, fromHex(distribution))).record;

  for (const [index, order] of recordedGroup.deliveryOrderToTry.entries()) {
    await t.test(`delivery order ${index}`, async (t) => {
      let record = join(distributionMessage);
      for (const position of order) {
        const { ciphertext, plaintextUtf8 } = messages[position]!;
        const read = must(signal.decryptFromGroup(record, fromHex(ciphertext)));
        t.equal(new TextDecoder().decode(read.plaintext), plaintextUtf8, `message ${position}`);
        record = stored(read.record);
        t.equal(codeOf(signal.decryptFromGroup(record, fromHex(ciphertext))), 'SIG_DUPLICATE', 'and once only');
      }
    });
  }

  await t.test('a late joiner reads the later messages and no earlier one', async (t) => {
    let record = join(lateJoiner.distributionMessage);
    for (const ciphertext of lateJoiner.mustFailToDecrypt) {
      t.equal(codeOf(signal.decryptFromGroup(record, fromHex(ciphertext))), 'SIG_DUPLICATE');
    }
    for (const { ciphertext, plaintextUtf8 } of lateJoiner.messages) {
      const read = must(signal.decryptFromGroup(record, fromHex(ciphertext)));
      t.equal(new TextDecoder().decode(read.plaintext), plaintextUtf8);
      record = stored(read.record);
    }
  });

  await t.test(
    'with the recorded chain key we write the recorded bytes, up to the signature, which verifies',
    async (t) => {
      const recorded = must(decodeDistribution(fromHex(distributionMessage)));
      const signingKeyPair = generateSigningKeyPair(seededRandom('recorded group'));
      let own = new SenderKey({ ...recorded, signingKeyPair });
      const handedOut = must(decodeDistribution(signal.distributionMessage(own)));
      let record = must(signal.acceptDistribution(undefined, signal.distributionMessage(own))).record;
      t.same({ ...handedOut, signingKey: recorded.signingKey }, recorded, 'the distribution, all but our own key');
      for (const { ciphertext, plaintextUtf8 } of messages) {
        const sent = must(signal.encryptForGroup(own, utf8(plaintextUtf8)));
        own = must(signal.decodeSenderKey(signal.encodeSenderKey(sent.senderKey)));
        t.equal(toHex(sent.ciphertext).slice(0, -signatureHexLength), ciphertext.slice(0, -signatureHexLength));
        const read = must(signal.decryptFromGroup(record, sent.ciphertext));
        t.equal(new TextDecoder().decode(read.plaintext), plaintextUtf8);
        record = read.record;
      }
      t.equal(
        toHex(signal.distributionMessage(own)).slice(0, 114),
        lateJoiner.distributionMessage.slice(0, 114),
        'and who joins now gets what the recorded late joiner got',
      );
    },
  );
}

/**
 * Replays the recorded conversations with whichever provider is in use. Test-only.
 *
 * Two test files run it: one as the platform is, one after Node's crypto has been hidden, which is what a browser sees.
 */
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { LocalIdentity } from '../pre-keys.ts';
import type { SessionRecord } from '../session-record.ts';
import { must } from './outcome.ts';

interface Step {
  readonly bob: 'encrypt' | 'decrypt';
  readonly type?: 'prekey' | 'message';
  readonly ciphertext: string;
  readonly plaintextUtf8: string;
  readonly newRatchetPrivateKey?: string;
  readonly newRatchetPublicKey?: string;
}

export interface Transcript {
  readonly name: string;
  readonly alice: { readonly identityPublicKey: string; readonly registrationId: number };
  readonly bob: {
    readonly identityPrivateKey: string;
    readonly identityPublicKey: string;
    readonly registrationId: number;
    readonly signedPreKeyId: number;
    readonly signedPreKeyPrivate: string;
    readonly signedPreKeyPublic: string;
    readonly signedPreKeySignature: string;
    readonly oneTimePreKeyId: number | null;
    readonly oneTimePreKeyPrivate: string | null;
    readonly oneTimePreKeyPublic: string | null;
  };
  readonly steps: readonly Step[];
}

const file = new URL('../../../../protocol/signal/vectors/session-transcripts.json', import.meta.url);
export const transcripts: readonly Transcript[] = JSON.parse(readFileSync(file, 'utf8')).transcripts;

export const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Gives out `privateKey` once; asking without one, or twice, fails the test. */
function recordedRandom(privateKey: string | undefined): {
  random: (length: number) => Uint8Array;
  drawn: () => number;
} {
  let draws = 0;
  return {
    random(length) {
      draws++;
      if (privateKey === undefined || length !== 32 || draws > 1) throw new Error('unexpected draw of randomness');
      return fromHex(privateKey);
    },
    drawn: () => draws,
  };
}

/** Every step starts from the record's bytes at rest, so that the codec is part of what is replayed. */
export async function replayTranscripts(t: Test, provider: 'native' | 'noble'): Promise<void> {
  const signal = await import('../index.ts');
  const { primitives } = await import('../primitives.ts');
  t.equal(primitives.name, provider, `runs on the ${provider} provider`);

  for (const transcript of transcripts) {
    await t.test(transcript.name, async (t) => {
      const { bob } = transcript;
      const pair = (publicKey: string, privateKey: string) => signal.keyPair(fromHex(publicKey), fromHex(privateKey));
      const local: LocalIdentity = {
        identityKeyPair: pair(bob.identityPublicKey, bob.identityPrivateKey),
        registrationId: bob.registrationId,
      };
      const keys = {
        signedPreKey: (id: number) =>
          id === bob.signedPreKeyId ? pair(bob.signedPreKeyPublic, bob.signedPreKeyPrivate) : undefined,
        oneTimePreKey: (id: number) =>
          id === bob.oneTimePreKeyId ? pair(bob.oneTimePreKeyPublic!, bob.oneTimePreKeyPrivate!) : undefined,
      };

      let record: SessionRecord | undefined;
      let opened = false;
      for (const [index, step] of transcript.steps.entries()) {
        const claim = `step ${index}: ${step.bob} ${step.plaintextUtf8.slice(0, 20)}`;
        const { random, drawn } = recordedRandom(step.newRatchetPrivateKey);
        if (step.bob === 'encrypt') {
          const sent = must(signal.encrypt(record!, local, new TextEncoder().encode(step.plaintextUtf8)));
          t.equal(toHex(sent.ciphertext), step.ciphertext, claim);
          t.equal(sent.type, 'ratchet');
          record = sent.record;
          continue;
        }
        const ciphertext = fromHex(step.ciphertext);
        const received = must(
          step.type === 'prekey'
            ? signal.decryptPreKeyMessage(record, local, keys, ciphertext, random)
            : signal.decryptRatchetMessage(record!, local, ciphertext, random),
        );
        t.equal(new TextDecoder().decode(received.plaintext), step.plaintextUtf8, claim);
        t.equal(toHex(received.remoteIdentityKey), transcript.alice.identityPublicKey);
        t.equal(drawn(), step.newRatchetPrivateKey === undefined ? 0 : 1, 'randomness drawn where it was recorded');
        if (!opened) {
          t.equal(
            (received as { consumedOneTimePreKeyId?: number }).consumedOneTimePreKeyId,
            bob.oneTimePreKeyId ?? undefined,
          );
          opened = true;
        }
        record = must(signal.decodeSessionRecord(signal.encodeSessionRecord(received.record)));
      }
      t.equal(signal.remoteRegistrationId(record!), transcript.alice.registrationId);
    });
  }
}

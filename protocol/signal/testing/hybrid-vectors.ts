/**
 * The vectors of session version 4, made anew: every private key, every byte that travels. Test-only.
 *
 * `vectors/pqxdh-v4.json` holds what this gave when version 4 was made. Randomness is the list of `draws`, each used once and
 * in order, so that another implementation needs this file's output and not its generator.
 */
import { must } from './outcome.ts';
import { Device, seededRandom } from './device.ts';
import { toHex } from './transcripts.ts';

export interface HybridVectors {
  readonly bob: Readonly<Record<string, string | number>>;
  readonly alice: Readonly<Record<string, string | number>>;
  readonly steps: readonly HybridStep[];
}

interface HybridStep {
  readonly from: 'alice' | 'bob';
  readonly type: string;
  readonly plaintextUtf8: string;
  readonly ciphertext: string;
  /** Random bytes that the sender used since its previous step, in order: for a session, for a turn of the ratchet. */
  readonly draws: readonly string[];
}

/** A device that notes what it draws. */
class NotingDevice extends Device {
  draws: string[] = [];

  constructor(seed: string, oneTimePreKeyCount: number, kemPreKeyCount: number) {
    super(seed, oneTimePreKeyCount, { kemPreKeyCount });
    const draw = seededRandom(`${seed}/conversation`);
    Object.defineProperty(this, 'random', {
      value: (length: number) => {
        const bytes = draw(length);
        this.draws.push(toHex(bytes));
        return bytes;
      },
    });
  }

  takeDraws(): string[] {
    return this.draws.splice(0);
  }
}

/** One offer with all four pre-keys, a second message under it, an answer, and an answer to that. */
export function hybridVectors(): HybridVectors {
  const alice = new NotingDevice('vectors v4/alice', 0, 0);
  const bob = new NotingDevice('vectors v4/bob', 1, 1);
  alice.initiate(bob.bundle(100, 500));
  const described = { bob: describeBob(bob), alice: describeIdentity(alice) };
  const steps: HybridStep[] = [];
  const say = (from: 'alice' | 'bob', text: string): void => {
    const [sender, receiver] = from === 'alice' ? [alice, bob] : [bob, alice];
    const { type, ciphertext } = sender.send(text);
    steps.push({ from, type, plaintextUtf8: text, ciphertext: toHex(ciphertext), draws: sender.takeDraws() });
    must(receiver.receive({ type, ciphertext }));
  };
  say('alice', 'Meet me at the harbour');
  say('alice', 'at nine');
  say('bob', 'I shall be there');
  say('alice', 'good');
  return { ...described, steps };
}

function describeIdentity({ local }: Device): Record<string, string | number> {
  const { identityKeyPair, registrationId } = local;
  return {
    registrationId,
    identityPrivateKey: toHex(identityKeyPair.privateKey),
    identityPublicKey: toHex(identityKeyPair.publicKey),
  };
}

function describeBob(bob: Device): Record<string, string | number> {
  const oneTime = bob.oneTimePreKeys.get(100)!;
  const kem = bob.kemPreKeys.get(500)!;
  return {
    ...describeIdentity(bob),
    signedPreKeyId: bob.signedPreKey.id,
    signedPreKeyPrivate: toHex(bob.signedPreKey.keyPair.privateKey),
    signedPreKeySignature: toHex(bob.signedPreKey.signature),
    oneTimePreKeyId: oneTime.id,
    oneTimePreKeyPrivate: toHex(oneTime.keyPair.privateKey),
    kemPreKeyId: kem.id,
    kemPreKeySeed: toHex(kem.keyPair.seed),
    kemPreKeyPublic: toHex(kem.keyPair.publicKey),
    kemPreKeySignature: toHex(kem.signature),
  };
}

/**
 * Sender keys as pure steps: one chain that its owner sends with, the same chain as others receive with.
 *
 *   owner      chain ──▶ seed, next ──▶ …            and signs each message with the chain's own signing key
 *   others     chain, from where it was handed out, and the public half; what came before is out of reach
 *
 * Unlike a session a chain never heals: whoever learns its key reads everything until the next rotation. That is why
 * `group-distribution.ts` bounds its life. Objects are immutable and share what has not changed.
 *
 * Knows neither members nor groups. Source: the recordings in `vectors/sender-keys.json`. Read next: `group-session.ts`.
 */
import { copyOf, samePublicBytes } from './bytes.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { readChain, type MessageChain } from './message-chain.ts';
import type { RandomBytes } from './primitives.ts';
import { deriveNextChainKey, deriveSeed } from './ratchet-keys.ts';
import { Redacted } from './redacted.ts';
import type { GroupHeader, SenderKeyDistribution } from './sender-key-message.ts';
import { generateSigningKeyPair, type SigningKeyPair } from './signing-key.ts';

const chainIdMask = 0x7fff_ffff;

export interface SenderKeyFields {
  /** 16 bytes. */
  readonly distributionId: Uint8Array;
  readonly chainId: number;
  /** The next message's; so many have been sent. */
  readonly iteration: number;
  /** 32 bytes, secret. */
  readonly chainKey: Uint8Array;
  readonly signingKeyPair: SigningKeyPair;
}

/** A device's own chain in one group: what it sends with. */
export class SenderKey extends Redacted implements SenderKeyFields {
  readonly distributionId: Uint8Array;
  readonly chainId: number;
  readonly iteration: number;
  readonly chainKey: Uint8Array;
  readonly signingKeyPair: SigningKeyPair;

  constructor({ distributionId, chainId, iteration, chainKey, signingKeyPair }: SenderKeyFields) {
    super();
    this.distributionId = distributionId;
    this.chainId = chainId;
    this.iteration = iteration;
    this.chainKey = chainKey;
    this.signingKeyPair = signingKeyPair;
  }
}

export interface SenderKeyStateFields {
  readonly distributionId: Uint8Array;
  readonly chainId: number;
  /** 33 bytes. */
  readonly signingKey: Uint8Array;
  readonly chain: MessageChain;
}

/** Another device's chain, as we receive with it. */
export class SenderKeyState extends Redacted implements SenderKeyStateFields {
  readonly distributionId: Uint8Array;
  readonly chainId: number;
  readonly signingKey: Uint8Array;
  readonly chain: MessageChain;

  constructor({ distributionId, chainId, signingKey, chain }: SenderKeyStateFields) {
    super();
    this.distributionId = distributionId;
    this.chainId = chainId;
    this.signingKey = signingKey;
    this.chain = chain;
  }
}

/** What a device remembers of another one's sender keys in one group: the latest chains. Opaque and immutable. */
export class SenderKeyRecord extends Redacted {
  /** Newest first, at most `LIMITS.senderKeyStateCountMax`, each chain once. @internal */
  readonly states: readonly SenderKeyState[];

  constructor(states: readonly SenderKeyState[]) {
    super();
    this.states = states;
  }
}

/** Begins a chain. Asks `random` for 4 bytes (the chain's id), 32 (its key), and for the signing key. */
export function beginChain(distributionId: Uint8Array, random: RandomBytes): SenderKey {
  const id = random(4);
  return new SenderKey({
    distributionId: copyOf(distributionId),
    chainId: new DataView(id.buffer, id.byteOffset, 4).getUint32(0) & chainIdMask,
    iteration: 0,
    chainKey: copyOf(random(32)),
    signingKeyPair: generateSigningKeyPair(random),
  });
}

/** The seed of the next message, and the chain after it; SIG_CHAIN_EXHAUSTED. */
export function takeSendingSeed(
  senderKey: SenderKey,
): { readonly senderKey: SenderKey; readonly seed: Uint8Array } | SignalError {
  const { iteration, chainKey } = senderKey;
  if (iteration >= LIMITS.uint32Max) return signalError('SIG_CHAIN_EXHAUSTED');
  const next = new SenderKey({ ...senderKey, iteration: iteration + 1, chainKey: deriveNextChainKey(chainKey) });
  return { senderKey: next, seed: deriveSeed(chainKey) };
}

/** What `senderKey` looks like to those who get it now. */
export function distributionOf(senderKey: SenderKey): SenderKeyDistribution {
  const { distributionId, chainId, iteration, chainKey, signingKeyPair } = senderKey;
  return { distributionId, chainId, iteration, chainKey, signingKey: signingKeyPair.publicKey };
}

/**
 * Adds a chain that was handed to us, as the newest; the oldest drops out.
 *
 * A chain that is known already stays where it has come to: a distribution message that is repeated, or sent again to
 * somebody who had not lost anything, must not make used keys usable again. The same chain id under another signing key
 * is another chain, and takes the place of the former one, so that a header never means two.
 */
export function addState(record: SenderKeyRecord | undefined, distribution: SenderKeyDistribution): SenderKeyRecord {
  const states = record?.states ?? [];
  const known = findState(states, distribution);
  if (record && known && samePublicBytes(known.signingKey, distribution.signingKey)) return record;
  const added = new SenderKeyState({
    distributionId: copyOf(distribution.distributionId),
    chainId: distribution.chainId,
    signingKey: copyOf(distribution.signingKey),
    chain: { chainKey: copyOf(distribution.chainKey), counter: distribution.iteration, skipped: [] },
  });
  const others = states.filter((state) => state !== known);
  return new SenderKeyRecord([added, ...others].slice(0, LIMITS.senderKeyStateCountMax));
}

/** The state that a header names. */
export function findState(states: readonly SenderKeyState[], header: GroupHeader): SenderKeyState | undefined {
  return states.find(
    (state) => state.chainId === header.chainId && samePublicBytes(state.distributionId, header.distributionId),
  );
}

/** Takes the seed at `iteration` out of `state`, and gives the record after it. SIG_DUPLICATE, SIG_TOO_FAR. */
export function takeReceivingSeed(
  record: SenderKeyRecord,
  state: SenderKeyState,
  iteration: number,
): { readonly record: SenderKeyRecord; readonly seed: Uint8Array } | SignalError {
  const read = readChain(state.chain, iteration, LIMITS.forwardJumpCountMax);
  if (isSignalError(read)) return read;
  const next = new SenderKeyState({ ...state, chain: read.chain });
  const states = record.states.map((each) => (each === state ? next : each));
  return { record: new SenderKeyRecord(states), seed: read.seed };
}

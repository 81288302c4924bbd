/**
 * The Double Ratchet as pure steps over an immutable state.
 *
 *                     we send                          they send under a ratchet key that is new to us: a turn
 *   sending chain ──▶ seed, next ──▶ …                 root ─DH(ours, theirs)─▶ receiving chain
 *                                                           ─DH(fresh, theirs)─▶ sending chain
 *
 * Receiving is two steps, because a header is a claim until the MAC has been checked: `prepareReceive` finds the seed
 * and what the state would become, touching nothing and using no randomness; `completeReceive` makes it so.
 *
 * Old receiving chains are kept, at most five with their chain keys, in place of the specification's eager derivation
 * up to the previous chain's length: late messages decrypt either way, and the previous counter is only informative, as
 * in other implementations of session version 3. States share structure: a step copies what it changes.
 *
 * Knows keys and counters; not identities, MACs or sessions. Source: "The Double Ratchet Algorithm", revision 1,
 * section 3. Read next: `session.ts`.
 */
import { copyOf, samePublicBytes } from './bytes.ts';
import type { RatchetHeader } from './ciphertext.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import { agree, generateKeyPair, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { readChain, type MessageChain } from './message-chain.ts';
import type { RandomBytes } from './primitives.ts';
import { deriveNextChainKey, deriveSeed, deriveTurn } from './ratchet-keys.ts';
import { Redacted } from './redacted.ts';

export interface SendingChain {
  /** 32 bytes, secret. */
  readonly chainKey: Uint8Array;
  /** The next message's. */
  readonly counter: number;
}

export interface ReceiverChain extends MessageChain {
  /** 33 bytes: the peer's ratchet key, which names the chain. */
  readonly ratchetKey: Uint8Array;
}

export interface RatchetFields {
  /** 32 bytes, secret. */
  readonly rootKey: Uint8Array;
  /** Ours: its public half is in what we send, its private half answers the peer's next turn. */
  readonly ratchetKeyPair: KeyPair;
  /** Absent before a responder's first message and after `withoutSending`: nothing is sent until the next turn. */
  readonly sending: SendingChain | undefined;
  /** The last counter of our previous sending chain, 0 where there was none. */
  readonly previousCounter: number;
  /** Oldest first, at most `LIMITS.receiverChainCountMax`. */
  readonly receiving: readonly ReceiverChain[];
}

export class RatchetState extends Redacted implements RatchetFields {
  readonly rootKey: Uint8Array;
  readonly ratchetKeyPair: KeyPair;
  readonly sending: SendingChain | undefined;
  readonly previousCounter: number;
  readonly receiving: readonly ReceiverChain[];

  constructor({ rootKey, ratchetKeyPair, sending, previousCounter, receiving }: RatchetFields) {
    super();
    this.rootKey = rootKey;
    this.ratchetKeyPair = ratchetKeyPair;
    this.sending = sending;
    this.previousCounter = previousCounter;
    this.receiving = receiving;
  }
}

/** What a message would do to the state, if it is genuine. */
export interface Reception {
  /** 32 bytes, secret: this message's. */
  readonly seed: Uint8Array;
  /** The chain after the message. */
  readonly chain: ReceiverChain;
  /** Where `chain` stands among the receiving ones; undefined where the message turns the ratchet. */
  readonly chainIndex: number | undefined;
  /** The root key after the receiving half of a turn, or the present one. */
  readonly rootKey: Uint8Array;
}

/** The initiator's state: it turns the ratchet against the responder's signed pre-key and can send at once. */
export function createInitiatorState(
  rootKey: Uint8Array,
  responderRatchetKey: Uint8Array,
  random: RandomBytes,
): RatchetState | SignalError {
  const turn = turnSending(rootKey, responderRatchetKey, random);
  return isSignalError(turn) ? turn : new RatchetState({ ...turn, previousCounter: 0, receiving: [] });
}

/** The responder's state: its signed pre-key serves as first ratchet key; it sends after it has received. */
export function createResponderState(rootKey: Uint8Array, signedPreKey: KeyPair): RatchetState {
  return new RatchetState({
    rootKey,
    ratchetKeyPair: signedPreKey,
    sending: undefined,
    previousCounter: 0,
    receiving: [],
  });
}

/** A message's place and seed, and the state after it. SIG_NO_SESSION without a sending chain; SIG_CHAIN_EXHAUSTED. */
export function prepareSend(
  state: RatchetState,
): { state: RatchetState; header: RatchetHeader; seed: Uint8Array } | SignalError {
  const { sending, ratchetKeyPair, previousCounter } = state;
  if (sending === undefined) return signalError('SIG_NO_SESSION');
  const { chainKey, counter } = sending;
  if (counter >= LIMITS.uint32Max) return signalError('SIG_CHAIN_EXHAUSTED');
  const next = { chainKey: deriveNextChainKey(chainKey), counter: counter + 1 };
  return {
    state: new RatchetState({ ...state, sending: next }),
    header: { ratchetKey: ratchetKeyPair.publicKey, counter, previousCounter },
    seed: deriveSeed(chainKey),
  };
}

/** Whether `ratchetKey` names a chain of this state, so that no other session can be meant. */
export function knowsChain(state: RatchetState, ratchetKey: Uint8Array): boolean {
  return findChain(state, ratchetKey) >= 0;
}

/** Newest first: messages come in order more often than not. */
function findChain({ receiving }: RatchetState, ratchetKey: Uint8Array): number {
  return receiving.findLastIndex((chain) => samePublicBytes(chain.ratchetKey, ratchetKey));
}

/**
 * Finds the seed for a header that nobody has vouched for yet.
 *
 * @param jumpCountMax - Steps that the header may ask for in its chain.
 * @returns SIG_DUPLICATE, SIG_TOO_FAR, or SIG_BAD_KEY where the agreement with the peer's new key fails.
 */
export function prepareReceive(
  state: RatchetState,
  header: RatchetHeader,
  jumpCountMax: number,
): Reception | SignalError {
  const chainIndex = findChain(state, header.ratchetKey);
  if (chainIndex >= 0) {
    const known = state.receiving[chainIndex]!;
    const read = readChain(known, header.counter, jumpCountMax);
    if (isSignalError(read)) return read;
    return { seed: read.seed, chain: { ...known, ...read.chain }, chainIndex, rootKey: state.rootKey };
  }
  if (header.counter > jumpCountMax) return signalError('SIG_TOO_FAR'); // before the agreement, which costs more
  const shared = agree(state.ratchetKeyPair.privateKey, header.ratchetKey);
  if (shared === undefined) return signalError('SIG_BAD_KEY');
  const { rootKey, chainKey } = deriveTurn(state.rootKey, shared);
  const read = readChain({ chainKey, counter: 0, skipped: [] }, header.counter, jumpCountMax);
  if (isSignalError(read)) return read;
  const chain = { ratchetKey: copyOf(header.ratchetKey), ...read.chain };
  return { seed: read.seed, chain, chainIndex: undefined, rootKey };
}

/** The state after a genuine message. Draws a fresh ratchet key (32 bytes of `random`) if and only if it was a turn. */
export function completeReceive(
  state: RatchetState,
  { chain, chainIndex, rootKey }: Reception,
  random: RandomBytes,
): RatchetState | SignalError {
  if (chainIndex !== undefined) {
    return new RatchetState({ ...state, receiving: state.receiving.with(chainIndex, chain) });
  }
  const turn = turnSending(rootKey, chain.ratchetKey, random);
  if (isSignalError(turn)) return turn;
  const receiving = [...state.receiving, chain].slice(-LIMITS.receiverChainCountMax);
  return new RatchetState({ ...turn, receiving, previousCounter: Math.max(0, (state.sending?.counter ?? 0) - 1) });
}

/**
 * The same state without its sending chain: it encrypts nothing until the peer's next turn gives it a fresh one. For
 * states that may be older than what was sent from them: a key used twice tells about both plaintexts.
 */
export function withoutSending(state: RatchetState): RatchetState {
  return new RatchetState({ ...state, sending: undefined });
}

/** The sending half of a turn: a fresh key of ours against the peer's. */
function turnSending(
  rootKey: Uint8Array,
  peerRatchetKey: Uint8Array,
  random: RandomBytes,
): Pick<RatchetFields, 'rootKey' | 'ratchetKeyPair' | 'sending'> | SignalError {
  const ratchetKeyPair = generateKeyPair(random);
  const shared = agree(ratchetKeyPair.privateKey, peerRatchetKey);
  if (shared === undefined) return signalError('SIG_BAD_KEY');
  const turn = deriveTurn(rootKey, shared);
  return { rootKey: turn.rootKey, ratchetKeyPair, sending: { chainKey: turn.chainKey, counter: 0 } };
}

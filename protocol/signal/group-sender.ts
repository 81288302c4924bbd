/**
 * Sending to a group: carries the plan of `group-distribution.ts` out.
 *
 *   plan ─▶ [new chain] ─▶ one ciphertext for all ─▶ the chain, as it was before, to each device that lacks it, pairwise
 *
 * Whoever gets the chain with this message can read this message. What is returned is to be stored, together with what
 * the pairwise cipher has changed, in one transaction, **before** anything of it is sent; if that fails, drop it all.
 *
 * Knows no sessions: the caller brings the cipher that reaches a device. Read next: `group-session.ts`.
 */
import { requireBytes } from './bytes.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import {
  beginLedger,
  noteHandOut,
  planGroupMessage,
  type DistributionLedger,
  type GroupPolicy,
  type RotationReason,
} from './group-distribution.ts';
import { createSenderKey, distributionMessage, encryptForGroup } from './group-session.ts';
import { LIMITS } from './limits.ts';
import type { RandomBytes } from './primitives.ts';
import type { SenderKey } from './sender-key.ts';

/** What a device keeps to send to one group; absent before its first message, and again after a backup was restored. */
export interface GroupSending {
  readonly senderKey: SenderKey;
  readonly ledger: DistributionLedger;
}

/** How devices are reached one by one. */
export interface PairwiseCipher<Sealed> {
  /**
   * Encrypts a distribution message for a device, marked as one and with the group that it is for.
   *
   * @param distribution - Borrowed, secret.
   * @returns undefined where there is no session: the device is then named in `unreached`.
   */
  sealDistribution(device: string, distribution: Uint8Array): Promise<Sealed | undefined>;
  /** Encrypts the message itself, in groups whose policy is pairwise. */
  sealMessage(device: string, plaintext: Uint8Array): Promise<Sealed | undefined>;
}

/** One message to one group. */
export interface GroupTask<Sealed> {
  readonly policy: GroupPolicy;
  readonly sending: GroupSending | undefined;
  /** Every device that is to read it: our own others included, the sending one not. */
  readonly roster: ReadonlySet<string>;
  readonly nowMs: number;
  readonly random: RandomBytes;
  readonly pairwise: PairwiseCipher<Sealed>;
}

/** What is to be stored, and then sent. */
export interface GroupDispatch<Sealed> {
  /** The next state; undefined in a pairwise group, where a former one is to be deleted. */
  readonly sending: GroupSending | undefined;
  /** Why a new chain was begun, if one was. */
  readonly rotation: RotationReason | undefined;
  /** One ciphertext for all, owned by the caller; undefined in a pairwise group. */
  readonly ciphertext: Uint8Array | undefined;
  /** For single devices: hand-outs of the chain, or the message itself in a pairwise group. Send these first. */
  readonly envelopes: readonly { readonly device: string; readonly sealed: Sealed }[];
  /** Devices that could not be reached and will not read this message. A chain goes to them with a later one. */
  readonly unreached: readonly string[];
}

/**
 * Encrypts one message for a group.
 *
 * Begin sessions with the devices that `planGroupMessage` names beforehand: who is unreached misses this message.
 *
 * @param plaintext - At most `LIMITS.plaintextBytesMax`, borrowed.
 * @returns SIG_TOO_LARGE, SIG_CHAIN_EXHAUSTED; the pairwise cipher has then not been used.
 * @throws what the pairwise cipher throws; {RangeError} as `planGroupMessage`, and for a ledger of another chain.
 */
export async function dispatchToGroup<Sealed>(
  task: GroupTask<Sealed>,
  plaintext: Uint8Array,
): Promise<GroupDispatch<Sealed> | SignalError> {
  requireBytes('plaintext', plaintext);
  const { policy, sending, roster, nowMs, pairwise } = task;
  if (plaintext.length > LIMITS.plaintextBytesMax) return signalError('SIG_TOO_LARGE');
  if (sending !== undefined && sending.ledger.chainId !== sending.senderKey.chainId) {
    throw new RangeError('"sending.ledger" expected the ledger of the chain in "sending.senderKey"');
  }
  const messageCount = sending?.senderKey.iteration ?? 0;
  const plan = planGroupMessage({ policy, ledger: sending?.ledger, messageCount, roster, nowMs });
  if (plan.kind === 'pairwise') {
    const sealed = await sealEach(plan.devices, (device) => pairwise.sealMessage(device, plaintext));
    return { sending: undefined, rotation: undefined, ciphertext: undefined, ...sealed };
  }
  const current = plan.kind === 'rotate' ? beginSending(task) : sending!;
  const encrypted = encryptForGroup(current.senderKey, plaintext);
  if (isSignalError(encrypted)) return encrypted;
  const distribution = distributionMessage(current.senderKey);
  const sealed = await sealEach(plan.distributeTo, (device) => pairwise.sealDistribution(device, distribution));
  const handed = sealed.envelopes.map(({ device }) => device);
  const ledger = noteHandOut(current.ledger, roster, handed);
  const rotation = plan.kind === 'rotate' ? plan.reason : undefined;
  const next = { senderKey: encrypted.senderKey, ledger };
  return { sending: next, rotation, ciphertext: encrypted.ciphertext, ...sealed };
}

function beginSending<Sealed>({ sending, roster, nowMs, random }: GroupTask<Sealed>): GroupSending {
  const distributionId = sending?.senderKey.distributionId ?? random(LIMITS.distributionIdBytes);
  const senderKey = createSenderKey(distributionId, random);
  return { senderKey, ledger: beginLedger(senderKey.chainId, roster, nowMs) };
}

async function sealEach<Sealed>(
  devices: readonly string[],
  seal: (device: string) => Promise<Sealed | undefined>,
): Promise<Pick<GroupDispatch<Sealed>, 'envelopes' | 'unreached'>> {
  const envelopes: { device: string; sealed: Sealed }[] = [];
  const unreached: string[] = [];
  for (const device of devices) {
    const sealed = await seal(device);
    if (sealed === undefined) unreached.push(device);
    else envelopes.push({ device, sealed });
  }
  return { envelopes, unreached };
}

/**
 * When a sender key is replaced, and to whom it is handed out: decisions over who is a member now and who has the key.
 *
 *   nobody has one yet            ─▶ rotate: first
 *   somebody has it and is gone   ─▶ rotate: left         they must not read what follows
 *   somebody is new               ─▶ rotate: joined       or, as a policy of the group, distribute to them alone
 *   many messages, or much time   ─▶ rotate               a chain does not heal by itself
 *   somebody has not got it yet   ─▶ distribute           a lost hand-out, a device without a session until now
 *
 * A device is an opaque name of the caller's, in printable ASCII. It must change when the device is registered anew, so that a new
 * installation counts as one device that left and another that joined; user, device id and creation make such a name.
 * Pure: the clock is a parameter, the roster comes from whoever knows the group. Read next: `group-sender.ts`.
 */
import { requireBytes, requireInteger } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';

/** How a group's messages are encrypted; the same for all members, and part of what they agree on. */
export interface GroupPolicy {
  /** One ciphertext for all, or one for each device: dearer by the size of the group, and it heals at every message. */
  readonly mode: 'sender-key' | 'pairwise';
  /** Whether a newcomer makes everybody's chain rotate, or is handed the present ones from their next message on. */
  readonly joining: 'rotate' | 'distribute';
  /** 1 to `LIMITS.senderKeyMessageCountMax`. */
  readonly messageCountMax: number;
  /** 1 to `LIMITS.senderKeyAgeMsMax`. */
  readonly ageMsMax: number;
}

export const defaultGroupPolicy: GroupPolicy = Object.freeze({
  mode: 'sender-key',
  joining: 'rotate',
  messageCountMax: LIMITS.senderKeyMessageCountMax,
  ageMsMax: LIMITS.senderKeyAgeMsMax,
});

/** Where one chain of ours has gone. Not secret. */
export interface DistributionLedger {
  readonly chainId: number;
  /** Wall time in milliseconds. */
  readonly begunAtMs: number;
  /** Devices to which the chain was ever handed out, whether or not it arrived: once they leave, the chain is burnt. */
  readonly holders: ReadonlySet<string>;
  /** Devices that are to get it with the next message: they have not, or have asked again. */
  readonly awaiting: ReadonlySet<string>;
}

export type RotationReason = 'first' | 'left' | 'joined' | 'messages' | 'age';

/** What is to be done for the next message. */
export type GroupPlan =
  | { readonly kind: 'pairwise'; readonly devices: readonly string[] }
  | { readonly kind: 'rotate'; readonly reason: RotationReason; readonly distributeTo: readonly string[] }
  | { readonly kind: 'keep'; readonly distributeTo: readonly string[] };

/** What a decision rests on. */
export interface GroupSituation {
  readonly policy: GroupPolicy;
  /** Of the chain that we send with, and how many messages it has carried; undefined where there is none. */
  readonly ledger: DistributionLedger | undefined;
  readonly messageCount: number;
  /** Every device that is to read the next message: our own others included, the sending one not. */
  readonly roster: ReadonlySet<string>;
  /** Wall time in milliseconds. A clock that has gone back behind the chain's begin counts as its old age. */
  readonly nowMs: number;
}

/**
 * Decides what the next message to a group needs. Call it before sending, too, to see which devices need a session.
 *
 * @throws {RangeError} a policy out of its bounds, a roster over `LIMITS.groupDeviceCountMax`, a name that is too long.
 */
export function planGroupMessage(situation: GroupSituation): GroupPlan {
  const { policy, ledger, roster } = situation;
  requireSituation(situation);
  if (policy.mode === 'pairwise') return { kind: 'pairwise', devices: [...roster] };
  const reason = rotationReason(situation);
  if (reason !== undefined) return { kind: 'rotate', reason, distributeTo: [...roster] };
  return { kind: 'keep', distributeTo: [...roster].filter((device) => isLacking(ledger!, device)) };
}

function isLacking({ holders, awaiting }: DistributionLedger, device: string): boolean {
  return awaiting.has(device) || !holders.has(device);
}

function rotationReason({ policy, ledger, messageCount, roster, nowMs }: GroupSituation): RotationReason | undefined {
  if (ledger === undefined) return 'first';
  const { holders, awaiting, begunAtMs } = ledger;
  // Only who has the key must be locked out by another one; who still waited for it just waits no more.
  if ([...holders].some((device) => !roster.has(device))) return 'left';
  const isNew = (device: string): boolean => !holders.has(device) && !awaiting.has(device);
  if (policy.joining === 'rotate' && [...roster].some(isNew)) return 'joined';
  if (messageCount >= policy.messageCountMax) return 'messages';
  return nowMs - begunAtMs >= policy.ageMsMax || nowMs < begunAtMs ? 'age' : undefined;
}

function requireSituation({ policy, roster }: GroupSituation): void {
  requireInteger('policy.messageCountMax', policy.messageCountMax, 1, LIMITS.senderKeyMessageCountMax);
  requireInteger('policy.ageMsMax', policy.ageMsMax, 1, LIMITS.senderKeyAgeMsMax);
  requireInteger('roster.size', roster.size, 0, LIMITS.groupDeviceCountMax);
  for (const device of roster) {
    if (!isDeviceName(device)) throw new RangeError('"roster" expected names of 1 to 64 printable ASCII characters');
  }
}

const deviceNamePattern = /^[\x21-\x7e]+$/;

function isDeviceName(name: string): boolean {
  return name.length <= LIMITS.deviceNameBytesMax && deviceNamePattern.test(name);
}

/** The ledger of a chain that has just begun: everybody waits for it. */
export function beginLedger(chainId: number, roster: ReadonlySet<string>, nowMs: number): DistributionLedger {
  return { chainId, begunAtMs: nowMs, holders: new Set(), awaiting: roster };
}

/** The ledger after the chain was handed out to `handed`; the rest of `roster` goes on waiting, who left is forgotten. */
export function noteHandOut(
  ledger: DistributionLedger,
  roster: ReadonlySet<string>,
  handed: readonly string[],
): DistributionLedger {
  const reached = new Set(handed);
  const lacking = [...roster].filter((device) => isLacking(ledger, device) && !reached.has(device));
  return { ...ledger, holders: new Set([...ledger.holders, ...handed]), awaiting: new Set(lacking) };
}

/**
 * Notes that a device asked for the chain again: the next message brings it along. The device stays a holder, for it may
 * have the chain all the same, and must not keep it unnoticed when it leaves.
 */
export function noteLoss(ledger: DistributionLedger, device: string): DistributionLedger {
  if (!ledger.holders.has(device) || ledger.awaiting.has(device)) return ledger;
  return { ...ledger, awaiting: new Set([...ledger.awaiting, device]) };
}

const layoutVersion = 1;
const timeBytes = 8;
const utf8 = new TextEncoder();

/**
 * Encodes a ledger for storage, owned by the caller:
 *
 *   version byte 01 ‖ 1 chain id · 2 begun at, milliseconds, 8 bytes big endian · 3 holder … · 4 awaiting …
 *
 * Names are printable ASCII, and ascend.
 */
export function encodeLedger({ chainId, begunAtMs, holders, awaiting }: DistributionLedger): Uint8Array {
  const time = new Uint8Array(timeBytes);
  new DataView(time.buffer).setBigUint64(0, BigInt(begunAtMs));
  const writer = new ProtobufWriter(64 + 32 * (holders.size + awaiting.size));
  writer.byte(layoutVersion).uint32(1, chainId).bytes(2, time);
  for (const name of [...holders].sort()) writer.bytes(3, utf8.encode(name));
  for (const name of [...awaiting].sort()) writer.bytes(4, utf8.encode(name));
  return writer.finish();
}

/** Decodes what `encodeLedger` wrote. @returns SIG_UNSUPPORTED_VERSION, SIG_MALFORMED. */
export function decodeLedger(bytes: Uint8Array): DistributionLedger | SignalError {
  requireBytes('bytes', bytes);
  if (bytes.length === 0 || bytes.length > LIMITS.distributionLedgerBytesMax) return signalError('SIG_MALFORMED');
  if (bytes[0] !== layoutVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  const reader = new ProtobufReader(bytes, 1);
  const chainId = reader.uint32(1);
  const begunAtMs = decodeTime(reader.bytes(2));
  const holders = decodeNames(reader.repeatedBytes(3, LIMITS.groupDeviceCountMax));
  const awaiting = decodeNames(reader.repeatedBytes(4, LIMITS.groupDeviceCountMax));
  const whole = reader.complete() && holders && awaiting && chainId !== undefined && begunAtMs !== undefined;
  if (!whole) return signalError('SIG_MALFORMED');
  return { chainId, begunAtMs, holders, awaiting };
}

function decodeTime(bytes: Uint8Array | undefined): number | undefined {
  if (bytes?.length !== timeBytes) return undefined;
  const time = new DataView(bytes.buffer, bytes.byteOffset, timeBytes).getBigUint64(0);
  return time <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(time) : undefined;
}

function decodeNames(parts: readonly Uint8Array[] | undefined): Set<string> | undefined {
  const names = new Set<string>();
  let previous = '';
  for (const part of parts ?? []) {
    const name = part.length <= LIMITS.deviceNameBytesMax ? String.fromCharCode(...part) : '';
    if (!isDeviceName(name) || name <= previous) return undefined;
    names.add((previous = name));
  }
  return parts && names;
}

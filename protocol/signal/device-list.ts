/**
 * The devices of an account, signed by its primary device: so that the server cannot add a silent one.
 *
 *   list       version byte 01 ‖ 1 epoch · [2 hash of the list before, 32 B] · 3 device, the primary one first …
 *              ‖ signature, 64 B
 *   device     1 device id · 2 identity key, 33 B
 *   signed     "Blindbeam device list" ‖ 00 ‖ length of the account's name, 1 B ‖ the name ‖ list without signature
 *   hash       the first 32 bytes of SHA-512 over what is signed
 *
 * Epochs count from 1 and never go back. A correspondent keeps the newest list that it has accepted, as bytes, and
 * refuses an older one and one that contradicts it: of the same epoch with other contents, or of the next epoch after
 * another list. A jump over several epochs cannot be checked against what lies between, and is accepted: the signature
 * still says that the primary device made it. The account is bound by what is signed and not repeated in the bytes.
 *
 * Whether the primary key is the right one is for safety numbers and `identity-trust.ts`. A listed device does not
 * countersign: a primary can claim somebody else's device as its own, and would gain messages that it cannot read.
 */
import { concat, copyOf, requireBytes, requireInteger, samePublicBytes } from './bytes.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import { isValidPublicKey, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes } from './primitives.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf.ts';
import { xeddsaSign, xeddsaVerify } from './xeddsa.ts';

const listVersion = 1;
const hashBytes = 32;
const deviceIdMax = 127;
const encoder = new TextEncoder();
/** No other statement of an identity key begins so: signed pre-keys begin with the type byte 05. */
const label = encoder.encode('Blindbeam device list\0');

export interface ListedDevice {
  /** 1 to 127. */
  readonly id: number;
  /** 33 bytes. */
  readonly identityKey: Uint8Array;
}

export interface DeviceList {
  /** From 1, one more with each change. */
  readonly epoch: number;
  /** Of the list of the epoch before; absent in the first. */
  readonly formerHash: Uint8Array | undefined;
  /** 1 to `LIMITS.accountDeviceCountMax`: the primary device, then the others by ascending id. Ids and keys differ. */
  readonly devices: readonly ListedDevice[];
}

/** A list that holds, and what it changes. */
export interface AcceptedDeviceList {
  readonly list: DeviceList;
  /** False where it says what was known before. */
  readonly isNew: boolean;
  /** Against the list known before: a device that changed its key is in both. */
  readonly added: readonly ListedDevice[];
  readonly removed: readonly ListedDevice[];
}

/**
 * Makes the next list.
 *
 * @param primary - The primary device's identity key pair.
 * @param account - What correspondents know the account by; bound to the list.
 * @param linked - The other devices, in any order.
 * @param former - The list before, as bytes, or undefined for the first one.
 * @returns The list with its signature, owned by the caller: store it before it is published.
 * @throws {RangeError} too many devices, ids out of range or used twice, a key that is weak or used twice, a former list
 *   that is none or at the last epoch.
 */
export function signDeviceList(
  primary: { readonly id: number; readonly identityKeyPair: KeyPair },
  account: string,
  linked: readonly ListedDevice[],
  former: Uint8Array | undefined,
  random: RandomBytes,
): Uint8Array {
  const { publicKey, privateKey } = primary.identityKeyPair;
  const others = [...linked].sort((left, right) => left.id - right.id);
  const devices = [{ id: primary.id, identityKey: publicKey }, ...others];
  for (const { id, identityKey } of devices) {
    requireInteger('device.id', id, 1, deviceIdMax);
    requireBytes('device.identityKey', identityKey, LIMITS.publicKeyBytes);
  }
  if (!areDistinct(devices)) throw new RangeError('"linked" expected distinct devices with valid keys, not too many');
  const list = { ...successorOf(former, account), devices };
  const body = encodeBody(list);
  return concat(body, xeddsaSign(privateKey, statementOf(account, body), random));
}

function successorOf(former: Uint8Array | undefined, account: string): Pick<DeviceList, 'epoch' | 'formerHash'> {
  if (former === undefined) return { epoch: 1, formerHash: undefined };
  const decoded = decodeList(former);
  if (isSignalError(decoded)) throw new RangeError('"former" expected the bytes of a device list');
  requireInteger('former.epoch', decoded.list.epoch, 1, LIMITS.uint32Max - 1);
  return { epoch: decoded.list.epoch + 1, formerHash: hashOf(account, decoded.body) };
}

/**
 * Checks a list that the server hands out.
 *
 * @param bytes - Borrowed; what is returned is copied. Keep the bytes themselves where `isNew`.
 * @param account - Whose devices were asked for.
 * @param primaryKey - The identity key that is trusted for that account, 33 bytes. Where it has changed, and the change
 *   is accepted, epochs begin anew: pass no `known`.
 * @param known - The newest list accepted before, as bytes.
 * @returns SIG_MALFORMED, SIG_UNSUPPORTED_VERSION, SIG_BAD_KEY; SIG_BAD_SIGNATURE, also for the list of another account;
 *   SIG_LIST_ROLLED_BACK, SIG_LIST_FORKED.
 */
export function verifyDeviceList(
  bytes: Uint8Array,
  account: string,
  primaryKey: Uint8Array,
  known: Uint8Array | undefined,
): AcceptedDeviceList | SignalError {
  const decoded = decodeList(bytes);
  if (isSignalError(decoded)) return decoded;
  const { list, body, signature } = decoded;
  const signed =
    samePublicBytes(list.devices[0]!.identityKey, primaryKey) &&
    xeddsaVerify(primaryKey, statementOf(account, body), signature);
  if (!signed) return signalError('SIG_BAD_SIGNATURE');
  if (known === undefined) return { list, isNew: true, added: list.devices, removed: [] };
  const before = decodeList(known);
  if (isSignalError(before)) throw new RangeError('"known" expected the bytes of a list that was accepted');
  return contradiction(account, before, decoded) ?? changeBetween(before, decoded);
}

/** Reads a list that was accepted before, without checking it again; undefined where the bytes are none. */
export function readDeviceList(bytes: Uint8Array): DeviceList | undefined {
  const decoded = decodeList(bytes);
  return isSignalError(decoded) ? undefined : decoded.list;
}

function contradiction(account: string, before: Decoded, after: Decoded): SignalError | undefined {
  const steps = after.list.epoch - before.list.epoch;
  if (steps < 0) return signalError('SIG_LIST_ROLLED_BACK');
  if (steps === 0) return samePublicBytes(before.body, after.body) ? undefined : signalError('SIG_LIST_FORKED');
  if (steps > 1) return undefined;
  const follows = samePublicBytes(hashOf(account, before.body), after.list.formerHash!);
  return follows ? undefined : signalError('SIG_LIST_FORKED');
}

function changeBetween(before: Decoded, after: Decoded): AcceptedDeviceList {
  const without = (devices: readonly ListedDevice[], others: readonly ListedDevice[]): ListedDevice[] =>
    devices.filter(
      ({ id, identityKey }) =>
        !others.some((other) => other.id === id && samePublicBytes(other.identityKey, identityKey)),
    );
  return {
    list: after.list,
    isNew: after.list.epoch !== before.list.epoch,
    added: without(after.list.devices, before.list.devices),
    removed: without(before.list.devices, after.list.devices),
  };
}

function statementOf(account: string, body: Uint8Array): Uint8Array {
  const name = encoder.encode(account);
  requireInteger('account bytes', name.length, 1, LIMITS.accountNameBytesMax);
  return concat(label, Uint8Array.of(name.length), name, body);
}

function hashOf(account: string, body: Uint8Array): Uint8Array {
  return primitives.sha512(statementOf(account, body)).slice(0, hashBytes);
}

function encodeBody({ epoch, formerHash, devices }: DeviceList): Uint8Array {
  const writer = new ProtobufWriter(320).byte(listVersion).uint32(1, epoch).bytes(2, formerHash);
  for (const { id, identityKey } of devices) {
    writer.bytes(3, new ProtobufWriter(40).uint32(1, id).bytes(2, identityKey).finish());
  }
  return writer.finish();
}

interface Decoded {
  readonly list: DeviceList;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

function decodeList(bytes: Uint8Array): Decoded | SignalError {
  requireBytes('bytes', bytes);
  const bodyLength = bytes.length - LIMITS.signatureBytes;
  if (bodyLength < 1 || bytes.length > LIMITS.deviceListBytesMax) return signalError('SIG_MALFORMED');
  if (bytes[0] !== listVersion) return signalError('SIG_UNSUPPORTED_VERSION');
  const body = bytes.subarray(0, bodyLength);
  const reader = new ProtobufReader(body, 1);
  const epoch = reader.uint32(1);
  const formerHash = reader.bytes(2);
  const parts = reader.repeatedBytes(3, LIMITS.accountDeviceCountMax);
  if (!reader.complete() || !epoch || !parts || parts.length === 0) return signalError('SIG_MALFORMED');
  const isLinked = epoch === 1 ? formerHash === undefined : formerHash?.length === hashBytes;
  const devices = parts.map(decodeDevice);
  if (!isLinked || !devices.every((device) => device !== undefined)) return signalError('SIG_MALFORMED');
  if (!devices.every(({ identityKey }) => isValidPublicKey(identityKey))) return signalError('SIG_BAD_KEY');
  if (!areDistinct(devices)) return signalError('SIG_MALFORMED');
  const list = { epoch, formerHash: formerHash && copyOf(formerHash), devices };
  return { list, body, signature: bytes.subarray(bodyLength) };
}

function decodeDevice(bytes: Uint8Array): ListedDevice | undefined {
  const reader = new ProtobufReader(bytes);
  const id = reader.uint32(1);
  const identityKey = reader.bytes(2);
  if (!reader.complete() || id === undefined || identityKey === undefined) return undefined;
  return id >= 1 && id <= deviceIdMax ? { id, identityKey: copyOf(identityKey) } : undefined;
}

/** Whether there are not too many, ids ascend behind the primary's, and no id and no key stands there twice. */
function areDistinct(devices: readonly ListedDevice[]): boolean {
  if (devices.length > LIMITS.accountDeviceCountMax) return false;
  return devices.every(
    ({ id, identityKey }, index) =>
      isValidPublicKey(identityKey) &&
      (index < 2 || id > devices[index - 1]!.id) &&
      devices.slice(0, index).every((other) => other.id !== id && !samePublicBytes(other.identityKey, identityKey)),
  );
}

/**
 * Which devices belong to whom: lists that primary devices have signed, checked and remembered.
 *
 * A server could add a device to somebody's account and read along. So what it names is believed only where the account's
 * primary device has signed it (`protocol/signal/device-list.ts`): the newest list is kept for each user, an older one or one that
 * contradicts it is refused, and a device that the list does not name gets nothing. The server refuses a message whose
 * envelopes do not fit the devices that it knows, so such a message then waits, and the application is told
 * (`devices-refused`): silence towards an honest friend is mended by them, a message to a silent listener by nobody.
 *
 * Accounts of clients that know no lists have none, and one device: it is believed as before, on first use.
 *
 *   key              record
 *   devices/<user>   the newest list accepted of that user, as bytes; our own account's, too
 *   signed-list      the newest list that this device has signed as a primary, published or about to be
 *
 * Works inside a transaction of the caller's, who holds the user's lock. Knows no network. Read next: `identities.ts`.
 */

import { isSignalError, readDeviceList, verifyDeviceList } from '../protocol/signal/index.ts';
import type { AcceptedDeviceList, ListedDevice, SignalError } from '../protocol/signal/index.ts';
import type { ErrorCode } from './errors.ts';
import type { RecordSource, Transaction } from './journal.ts';
import { isSameKey } from './public-keys.ts';
import { KEYS } from './layout.ts';

/** A device as the server names it, with its key. */
export interface NamedDevice {
  readonly id: number;
  /** 33 bytes. */
  readonly identity: Uint8Array;
}

/** Why devices are not believed. The message waits. */
export interface DevicesRefusal {
  readonly code: ErrorCode;
  /** The device that the list does not name, where it is that. */
  readonly device: number | undefined;
}

/** What came of a look at the server's word. */
export type DevicesVerdict = { readonly list: readonly ListedDevice[] | undefined } | DevicesRefusal;

/** Codes for which sending waits instead of giving up: another list from the server mends them. */
const WAITING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CLI_DEVICE_UNLISTED',
  'CLI_DEVICES_UNSIGNED',
  'SIG_LIST_ROLLED_BACK',
  'SIG_LIST_FORKED',
  'SIG_BAD_SIGNATURE',
]);

/** Whether a message that failed with `code` is kept and tried again. */
export function isAwaitingDevices(code: ErrorCode): boolean {
  return WAITING.has(code);
}

/**
 * Judges the devices that the server names, and remembers the list where it is new.
 *
 * @param bytes - The list that came with them, if any; borrowed.
 * @param mayBeAnew - Whether another primary may have signed it, as after the number was registered anew: not so for one's own account.
 * @returns CLI_DEVICE_UNLISTED; CLI_DEVICES_UNSIGNED; SIG_BAD_SIGNATURE, SIG_LIST_ROLLED_BACK, SIG_LIST_FORKED and the other codes of
 *   `verifyDeviceList`.
 */
export async function judgeDevices(
  transaction: Transaction,
  user: string,
  named: readonly NamedDevice[],
  bytes: Uint8Array | undefined,
  mayBeAnew = true,
): Promise<DevicesVerdict> {
  const known = await transaction.get(KEYS.devices(user));
  if (bytes === undefined) return judgeUnsigned(named, known);
  const accepted = verify(bytes, user, named, known, mayBeAnew);
  if (isSignalError(accepted)) return { code: accepted.code, device: undefined };
  const { devices } = accepted.list;
  const stranger = named.find(({ id, identity }) => !isVouchedFor(devices, id, identity));
  if (stranger !== undefined) return { code: 'CLI_DEVICE_UNLISTED', device: stranger.id };
  if (accepted.isNew) transaction.put(KEYS.devices(user), bytes.slice());
  return { list: devices };
}

/** Without a list: what is known holds; a single new device is a number registered anew, which `identities.ts` judges. */
function judgeUnsigned(named: readonly NamedDevice[], known: Uint8Array | undefined): DevicesVerdict {
  const devices = known && deviceListOf(known);
  const stranger = devices && named.find(({ id, identity }) => !isVouchedFor(devices, id, identity));
  if (devices !== undefined && stranger === undefined) return { list: devices };
  if (named.length > 1) return { code: 'CLI_DEVICES_UNSIGNED', device: stranger?.id };
  // The list that is known stays: forgotten, an older one would pass for the first.
  return { list: undefined };
}

/**
 * Under the primary key that is known; where the number was registered anew, under one of those that are shown; and on the first
 * look under the key that the list itself names, which `identities.ts` then holds against what is trusted.
 */
function verify(
  bytes: Uint8Array,
  user: string,
  named: readonly NamedDevice[],
  known: Uint8Array | undefined,
  mayBeAnew: boolean,
): AcceptedDeviceList | SignalError {
  const former = (known && deviceListOf(known)) ?? [];
  const primary = former[0];
  const claimed = deviceListOf(bytes)?.[0]?.identityKey;
  if (primary !== undefined) {
    const accepted = verifyDeviceList(bytes, user, primary.identityKey, known);
    const isSame = claimed !== undefined && isSameKey(claimed, primary.identityKey);
    const isAnew = !isSame && named.some(({ identity }) => claimed !== undefined && isSameKey(identity, claimed));
    if (!isAnew || !mayBeAnew) return accepted;
    // A new primary cannot have the keys of the former devices: a list that names one makes others believe that it does.
    const claims = (deviceListOf(bytes) ?? []).some((device) =>
      former.some((each) => isSameKey(each.identityKey, device.identityKey)),
    );
    if (claims) return { code: 'SIG_LIST_FORKED', message: 'a list of another primary names devices of this one' };
  }
  return claimed === undefined
    ? { code: 'SIG_MALFORMED', message: 'no device list' }
    : verifyDeviceList(bytes, user, claimed, undefined);
}

/** The devices of a user as last accepted, the primary one first; undefined where there is no list. */
export async function readDevices(source: RecordSource, user: string): Promise<readonly ListedDevice[] | undefined> {
  const bytes = await source.get(KEYS.devices(user));
  return bytes && deviceListOf(bytes);
}

/**
 * Whether a list names that device with that key. An id alone says nothing: a server may give out the id of a listed device, or one
 * that will be listed later, and after 126 others each comes again.
 *
 * @param key - 33 bytes.
 */
export function isVouchedFor(devices: readonly ListedDevice[] | undefined, device: number, key: Uint8Array): boolean {
  return devices?.some(({ id, identityKey }) => id === device && isSameKey(identityKey, key)) === true;
}

/**
 * Whether a list names the device that has told something. What an earlier release has stored does not say under which key it came:
 * that counts by its id, as it did then.
 */
export function isTellerListed(
  devices: readonly ListedDevice[] | undefined,
  { device, identityKey }: { readonly device: number; readonly identityKey: Uint8Array | undefined },
): boolean {
  if (identityKey !== undefined) return isVouchedFor(devices, device, identityKey);
  return devices?.some(({ id }) => id === device) === true;
}

/**
 * Whether `devices` are those of the list that is known of a user: no other, for they get nothing unlisted, and none less, since then the
 * list is older than what the server said, and still vouches for a device that is gone.
 *
 * @param own - Our own device, where the account is ours: it is listed, and gets nothing from itself.
 */
export async function areListed(
  source: RecordSource,
  user: string,
  devices: readonly number[],
  own?: number,
): Promise<boolean> {
  const list = await readDevices(source, user);
  if (list === undefined) return devices.length <= 1;
  const others = list.filter(({ id }) => id !== own);
  return others.length === devices.length && others.every(({ id }) => devices.includes(id));
}

/** The devices of a list that was accepted before; damaged, it is as good as none. */
function deviceListOf(bytes: Uint8Array): readonly ListedDevice[] | undefined {
  return readDeviceList(bytes)?.devices;
}

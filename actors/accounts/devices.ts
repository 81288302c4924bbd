/**
 * What an account becomes when a device is linked, removed or registered. Pure: decides, and writes nothing.
 *
 * The primary device is the one that registered the number; it alone signs device lists, and so it alone changes the set.
 * The server keeps the list as bytes beside the account and does not look into it: a list that does not name the devices
 * which the server hands out is noticed by those who read it. `../accounts.ts` carries the decisions out.
 */

import type { AppCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { AccountRecord } from '../store/inbox-store.ts';

/** Device ids are 1 to 127. */
const DEVICE_ID_MAX = 127;

/** The account after the change, or why there is none. */
export type AccountDecision = { readonly account: AccountRecord } | { readonly code: AppCode };

/** The device whose signature counts. An account of an earlier release has one device, which is it. */
function primaryOf(account: AccountRecord): number | undefined {
  return account.primary ?? account.devices[0];
}

/**
 * The id that the next device gets: one after the other, so that an id is not used again before 126 others were; one that is
 * in use is passed over.
 */
export function nextDeviceId({ devices, creations }: AccountRecord): number {
  let id = (creations % DEVICE_ID_MAX) + 1;
  while (devices.includes(id)) id = (id % DEVICE_ID_MAX) + 1;
  return id;
}

/** A registration: the new device is the only one. The former list is kept, for a restored primary to go on from. */
export function decideRegistration(previous: AccountRecord): AccountRecord {
  // Not one of those that go: their inboxes are being removed under their ids.
  const device = nextDeviceId(previous);
  const formerList = previous.list ?? previous.formerList;
  return {
    ...previous,
    devices: [device],
    creations: previous.creations + 1,
    primary: device,
    list: undefined,
    formerList,
  };
}

/** Whether `by` may offer a place to another device. */
export function refuseOffer(account: AccountRecord, by: number): AppCode | undefined {
  if (primaryOf(account) !== by) return 'APP_NOT_PRIMARY';
  return account.devices.length >= LIMITS.accountDevicesMax ? 'APP_TOO_MANY_DEVICES' : undefined;
}

/** @param device - What was offered; another device may have taken it meanwhile. */
export function decideLink(account: AccountRecord, by: number, device: number, list: Uint8Array): AccountDecision {
  const code = refuseOffer(account, by);
  if (code !== undefined) return { code };
  if (device !== nextDeviceId(account)) return { code: 'APP_DEVICES_CHANGED' };
  const devices = [...account.devices, device].sort((left, right) => left - right);
  return { account: { ...account, devices, creations: account.creations + 1, primary: by, list } };
}

/** The primary device cannot be removed: another takes its place by registering. */
export function decideUnlink(account: AccountRecord, by: number, device: number, list: Uint8Array): AccountDecision {
  if (primaryOf(account) !== by) return { code: 'APP_NOT_PRIMARY' };
  if (device === by || !account.devices.includes(device)) return { code: 'APP_UNKNOWN_LINK' };
  const devices = account.devices.filter((id) => id !== device);
  return { account: { ...account, devices, primary: by, list } };
}

/** The list of an account whose devices stay. */
export function decideList(account: AccountRecord, by: number, list: Uint8Array): AccountDecision {
  return primaryOf(account) === by ? { account: { ...account, primary: by, list } } : { code: 'APP_NOT_PRIMARY' };
}

/** What `asker` sees of the list: its own account's former one where there is none yet, so that epochs go on. */
export function listFor(account: AccountRecord, asker: string): Uint8Array | undefined {
  return account.list ?? (asker === account.user ? account.formerList : undefined);
}

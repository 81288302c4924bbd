/**
 * Addresses: phone number, user id, device, and how a device is written in one string.
 *
 * The wire carries user and device as two attributes; the joined form `123456789012345:2` is for logs, keys and maps.
 * Where a user is connected is not part of an address. Read next: `fields.ts`, which checks stanzas with these.
 */

import { LIMITS } from './limits.ts';

/** One device of one user. */
export interface DeviceAddress {
  /** 15 digits. */
  readonly user: string;
  /** 1 to 127. */
  readonly device: number;
}

const USER_ID_LENGTH = 15;

/** Whether a value is a user id: exactly 15 digits, leading zeros counted. */
export function isUserId(value: unknown): value is string {
  return typeof value === 'string' && value.length === USER_ID_LENGTH && isDecimal(value, 0);
}

/** Whether a value is a device id: an integer from 1 to 127. */
export function isDeviceId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= LIMITS.deviceIdMax;
}

/**
 * Whether a value is a phone number: `+` and 7 to 15 digits, the first not 0.
 *
 * Source: ITU-T E.164. Differs: a number shorter than 7 digits is refused, and no country code is checked.
 */
export function isPhone(value: unknown): value is string {
  if (typeof value !== 'string' || value.length < 8 || value.length > 16) return false;
  return value[0] === '+' && value[1] !== '0' && isDecimal(value, 1);
}

function isDecimal(text: string, from: number): boolean {
  for (let index = from; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x30 || code > 0x39) return false;
  }
  return true;
}

/** Writes an address as `user:device`. The parts are valid; see `isUserId` and `isDeviceId`. */
export function formatAddress(address: DeviceAddress): string {
  return `${address.user}:${address.device}`;
}

/** Reads `user:device`, or returns `undefined` for anything that `formatAddress` does not write. */
export function parseAddress(text: string): DeviceAddress | undefined {
  const user = text.slice(0, USER_ID_LENGTH);
  const device = Number(text.slice(USER_ID_LENGTH + 1));
  const address = { user, device };
  const isWhole = isUserId(user) && isDeviceId(device) && formatAddress(address) === text;
  return isWhole ? address : undefined;
}

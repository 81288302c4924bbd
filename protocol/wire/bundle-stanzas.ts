/**
 * Pre-keys on their way: a device uploads them and asks how many are left, and whoever writes first gets a bundle of each device.
 *
 * Part of the requests and answers of `requests.ts`. One key by itself: `key-material.ts`.
 */

import { isDeviceId, isUserId } from './address.ts';
import * as devices from './device-stanzas.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isCount, isRegistrationId } from './fields.ts';
import * as keys from './key-material.ts';
import type { BundleKemKey, KemKey, OneTimeKey, SignedKey } from './key-material.ts';
import { LIMITS } from './limits.ts';
import { attribute, childrenOf, type Stanza } from './stanza.ts';

/** The key bundles of all devices of a user, one one-time pre-key of each kind of each device being used up. */
export interface BundleRequest {
  readonly kind: 'bundle';
  readonly user: string;
  /** Also the signed device list, which an earlier client would not expect in the answer. */
  readonly withList?: boolean;
}

/** How many one-time pre-keys does the server hold for this device? */
export interface PreKeyCountRequest {
  readonly kind: 'prekey-count';
}

/** New pre-keys, at least one of any kind. All of them take effect, or none. */
export interface PreKeyUploadRequest {
  readonly kind: 'prekey-upload';
  /** Takes the former one's place. */
  readonly signed?: SignedKey | undefined;
  /** Takes the former one's place. */
  readonly lastResort?: KemKey | undefined;
  /** At most 100, ids distinct. */
  readonly oneTime: readonly OneTimeKey[];
  /** At most 8, ids distinct. */
  readonly kem?: readonly KemKey[] | undefined;
}

/** The public keys of one device. */
export interface DeviceBundle {
  readonly id: number;
  readonly registration: number;
  readonly identity: Uint8Array;
  readonly signed: SignedKey;
  /** Missing when the device has run out of them. */
  readonly oneTime: OneTimeKey | undefined;
  /** Missing when the device never uploaded any. */
  readonly kem?: BundleKemKey | undefined;
}

/** The keys of all devices of a user, 1 to 8, ids distinct. */
export interface BundleAnswer {
  readonly kind: 'bundle';
  readonly user: string;
  readonly devices: readonly DeviceBundle[];
  /** What the primary device has signed; missing where it was not asked for, or there is none. */
  readonly list?: Uint8Array | undefined;
}

/** How many one-time pre-keys the server holds for the device. */
export interface PreKeysAnswer {
  readonly kind: 'prekeys';
  readonly count: number;
  /** The same of KEM pre-keys, the last-resort one not counted. */
  readonly kem?: number | undefined;
}

/** The keys of an upload, in the order in which they are read. */
export function uploadStanzas({ signed, lastResort, oneTime, kem = [] }: PreKeyUploadRequest): Stanza[] {
  const replaced: Stanza[] = [];
  if (signed !== undefined) replaced.push(keys.signedStanza(signed));
  if (lastResort !== undefined) replaced.push(keys.lastResortStanza(lastResort));
  return [...replaced, ...oneTime.map(keys.oneTimeStanza), ...kem.map(keys.kemStanza)];
}

/** `<bundle user><device id registration>…</device>… [<list>]</bundle>` */
export function bundleStanza({ user, devices: bundles, list }: BundleAnswer): Stanza {
  const children = bundles.map(deviceStanza);
  if (list !== undefined) children.push(keys.bytesStanza('list', list));
  return { tag: 'bundle', attrs: ['user', user], content: children };
}

function deviceStanza(device: DeviceBundle): Stanza {
  const children = [keys.bytesStanza('identity', device.identity), keys.signedStanza(device.signed)];
  if (device.oneTime !== undefined) children.push(keys.oneTimeStanza(device.oneTime));
  const { kem } = device;
  if (kem !== undefined) children.push(kem.lastResort ? keys.lastResortStanza(kem) : keys.kemStanza(kem));
  return { tag: 'device', attrs: ['id', device.id, 'registration', device.registration], content: children };
}

/** Reads `<prekeys>` of a set. Keys are borrowed from the stanza. */
export function parsePreKeyUpload(stanza: Stanza): PreKeyUploadRequest | WireError {
  const rest = [...childrenOf(stanza)];
  if (rest.length === 0) return badStanza('prekeys', 'at least one key');
  const signed = rest[0]?.tag === 'signed' ? keys.parseSigned(rest.shift()) : undefined;
  if (isWireError(signed)) return signed;
  const lastResort = takeLastResort(rest);
  if (isWireError(lastResort)) return lastResort;
  const firstKem = rest.findIndex((child) => child.tag === 'kem');
  const kemFrom = firstKem < 0 ? rest.length : firstKem;
  const oneTime = keys.parseOneTimeList(rest.slice(0, kemFrom));
  if (isWireError(oneTime)) return oneTime;
  const kem = keys.parseKemList(rest.slice(kemFrom));
  if (isWireError(kem)) return kem;
  return { kind: 'prekey-upload', signed, lastResort, oneTime, kem };
}

/** Takes `<last-resort>` off the front, if that is what stands there. */
function takeLastResort(children: Stanza[]): KemKey | WireError | undefined {
  return children[0]?.tag === 'last-resort' ? keys.parseLastResort(children.shift()!) : undefined;
}

/** Reads `<prekeys>` of an answer. */
export function parsePreKeysAnswer(stanza: Stanza): PreKeysAnswer | WireError {
  const count = attribute(stanza, 'count');
  if (!isCount(count)) return badField('prekeys', 'count', 'count');
  const kem = attribute(stanza, 'kem');
  return kem === undefined || isCount(kem) ? { kind: 'prekeys', count, kem } : badField('prekeys', 'kem', 'count');
}

/** Reads `<bundle>`. Keys are borrowed from the stanza. */
export function parseBundle(stanza: Stanza): BundleAnswer | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('bundle', 'user', 'user');
  const children = [...childrenOf(stanza)];
  const last = children.at(-1)?.tag === 'list' ? children.pop() : undefined;
  const list = devices.listIn(last);
  if (last !== undefined && list === undefined) return badField('bundle', 'list', 'deviceList');
  if (children.length === 0 || children.length > LIMITS.bundleDevicesMax) return badStanza('bundle', '1 to 8 <device>');
  const bundles: DeviceBundle[] = [];
  const ids = new Set<number>();
  for (const child of children) {
    const device = parseDevice(child);
    if (isWireError(device)) return device;
    if (ids.has(device.id)) return badStanza('bundle', 'each device once');
    ids.add(device.id);
    bundles.push(device);
  }
  const bundle = { kind: 'bundle', user, devices: bundles } as const;
  return list === undefined ? bundle : { ...bundle, list };
}

function parseDevice(stanza: Stanza): DeviceBundle | WireError {
  if (stanza.tag !== 'device') return badStanza('bundle', '<device> only');
  const id = attribute(stanza, 'id');
  if (!isDeviceId(id)) return badField('device', 'id', 'device');
  const registration = attribute(stanza, 'registration');
  if (!isRegistrationId(registration)) return badField('device', 'registration', 'registration');
  const children = childrenOf(stanza);
  const identity = keys.publicKeyIn(children[0], 'identity');
  if (identity === undefined) return badField('device', 'identity', 'publicKey');
  const signed = keys.parseSigned(children[1]);
  if (isWireError(signed)) return signed;
  const rest = children.slice(2);
  const oneTime = rest[0]?.tag === 'onetime' ? keys.parseOneTime(rest.shift()!) : undefined;
  if (isWireError(oneTime)) return oneTime;
  const kem = rest.length === 0 ? undefined : keys.parseBundleKem(rest.shift()!);
  if (isWireError(kem)) return kem;
  if (rest.length > 0) return badStanza('device', 'at most one <onetime> and one KEM key');
  return { id, registration, identity, signed, oneTime, kem };
}

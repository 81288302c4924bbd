/**
 * The stanzas of an account with several devices: public keys of a new device, linking, signed device lists.
 *
 *   <link-begin registration> keys </link-begin>                       the new device, before login
 *   <link id expires/>                                                 its answer
 *   <link id/>                                                         the primary asks what it would approve
 *   <link id device registration> <identity/> </link>                  its answer
 *   <link-approve id device> <list/> <envelope/> </link-approve>       the primary approves
 *   <linked user device> envelope </linked>                            to the new device
 *   <unlink device> <list/> </unlink>                                  the primary removes one
 *   <devices user/>, <devices> <list/> </devices>                      the list is asked for, or published
 *   <devices user> <device id/> … <list/>? </devices>                  the answer to either, and to approve and unlink
 *
 * A list and an envelope are opaque here and to the server: what is in them, and who has signed it, is the Signal half's.
 * Who may ask for what is the server's business. The vocabulary is docs/protocol.md. Read next: `requests.ts`.
 */

import { isDeviceId, isUserId } from './address.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isCounter, isLinkId, isRegistrationId, LOGIN_KEY_BYTES } from './fields.ts';
import * as keys from './key-material.ts';
import type { KemKey, OneTimeKey, SignedKey } from './key-material.ts';
import { LIMITS } from './limits.ts';
import { attribute, bytesOf, childrenOf, NO_ATTRIBUTES, type Stanza } from './stanza.ts';

/** The public keys of a new device. */
export interface DeviceKeys {
  /** Signal registration id, 1 to 16380. */
  readonly registration: number;
  /** Ed25519 public key, 32 bytes. */
  readonly login: Uint8Array;
  /** Signal identity key, 33 bytes. */
  readonly identity: Uint8Array;
  readonly signed: SignedKey;
  /** Missing from a client without the hybrid handshake. One-time KEM pre-keys follow by upload. */
  readonly lastResort?: KemKey | undefined;
  /** 0 to 100, ids distinct. */
  readonly oneTime: readonly OneTimeKey[];
}

/** A new device wants to be linked to an account that it does not know yet. */
export interface LinkBeginRequest extends DeviceKeys {
  readonly kind: 'link-begin';
}

/** What would be linked under this id? */
export interface LinkRequest {
  readonly kind: 'link';
  /** 20 digits. */
  readonly id: string;
}

/** Link that device to this account. */
export interface LinkApproveRequest {
  readonly kind: 'link-approve';
  readonly id: string;
  /** As the answer to `LinkRequest` has it. */
  readonly device: number;
  /** The device list from now on, signed by the primary device. */
  readonly list: Uint8Array;
  /** What the new device must know, sealed for it. */
  readonly envelope: Uint8Array;
}

/** Remove a linked device. */
export interface UnlinkRequest {
  readonly kind: 'unlink';
  readonly device: number;
  /** The device list from now on. */
  readonly list: Uint8Array;
}

/** The devices of a user, without their keys. */
export interface DevicesRequest {
  readonly kind: 'devices';
  readonly user: string;
}

/** Publish the list of an account whose devices do not change by it. */
export interface PublishListRequest {
  readonly kind: 'publish-list';
  readonly list: Uint8Array;
}

/** The link that was begun waits for approval under this id. */
export interface LinkBegunAnswer {
  readonly kind: 'link-begun';
  readonly id: string;
  /** Seconds. */
  readonly expires: number;
}

/** The device that waits under a link id. */
export interface LinkAnswer {
  readonly kind: 'link';
  readonly id: string;
  /** The device id that it would get. */
  readonly device: number;
  readonly registration: number;
  /** 33 bytes. */
  readonly identity: Uint8Array;
}

/** The devices of a user as the server has them, and what their primary device has signed, if anything. */
export interface DevicesAnswer {
  readonly kind: 'devices';
  readonly user: string;
  /** 1 to 127, distinct. */
  readonly devices: readonly number[];
  readonly list?: Uint8Array | undefined;
}

/** To a device that waits to be linked: it is. */
export interface LinkedMessage {
  readonly kind: 'linked';
  readonly user: string;
  readonly device: number;
  readonly envelope: Uint8Array;
}

function element(tag: string, attrs: readonly (string | number)[], content?: readonly Stanza[]): Stanza {
  return { tag, attrs, content };
}

/** The children that carry a new device's keys. */
export function deviceKeyStanzas(device: DeviceKeys): Stanza[] {
  return [
    keys.bytesStanza('login', device.login),
    keys.bytesStanza('identity', device.identity),
    keys.signedStanza(device.signed),
    ...(device.lastResort === undefined ? [] : [keys.lastResortStanza(device.lastResort)]),
    ...device.oneTime.map(keys.oneTimeStanza),
  ];
}

/** Reads `registration` and the children of a stanza that brings a new device's keys. Borrowed from the stanza. */
export function parseDeviceKeys(stanza: Stanza): DeviceKeys | WireError {
  const { tag } = stanza;
  const registration = attribute(stanza, 'registration');
  if (!isRegistrationId(registration)) return badField(tag, 'registration', 'registration');
  const children = childrenOf(stanza);
  const login = keys.bytesIn(children[0], 'login', LOGIN_KEY_BYTES);
  if (login === undefined) return badField(tag, 'login', 'login');
  const identity = keys.publicKeyIn(children[1], 'identity');
  if (identity === undefined) return badField(tag, 'identity', 'publicKey');
  const signed = keys.parseSigned(children[2]);
  if (isWireError(signed)) return signed;
  const rest = children.slice(3);
  const lastResort = rest[0]?.tag === 'last-resort' ? keys.parseLastResort(rest.shift()!) : undefined;
  if (isWireError(lastResort)) return lastResort;
  const oneTime = keys.parseOneTimeList(rest);
  if (isWireError(oneTime)) return oneTime;
  return { registration, login, identity, signed, lastResort, oneTime };
}

/** `<link-begin registration> keys </link-begin>` */
export function linkBeginStanza(request: LinkBeginRequest): Stanza {
  return element('link-begin', ['registration', request.registration], deviceKeyStanzas(request));
}

export function parseLinkBegin(stanza: Stanza): LinkBeginRequest | WireError {
  const device = parseDeviceKeys(stanza);
  return isWireError(device) ? device : { kind: 'link-begin', ...device };
}

/** `<link id/>` */
export function linkRequestStanza({ id }: LinkRequest): Stanza {
  return element('link', ['id', id]);
}

export function parseLinkRequest(stanza: Stanza): LinkRequest | WireError {
  const id = attribute(stanza, 'id');
  return isLinkId(id) ? { kind: 'link', id } : badField('link', 'id', 'linkId');
}

/** `<link-approve id device> <list/> <envelope/> </link-approve>` */
export function linkApproveStanza({ id, device, list, envelope }: LinkApproveRequest): Stanza {
  const children = [keys.bytesStanza('list', list), keys.bytesStanza('envelope', envelope)];
  return element('link-approve', ['id', id, 'device', device], children);
}

export function parseLinkApprove(stanza: Stanza): LinkApproveRequest | WireError {
  const id = attribute(stanza, 'id');
  if (!isLinkId(id)) return badField('link-approve', 'id', 'linkId');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('link-approve', 'device', 'device');
  const children = childrenOf(stanza);
  const list = listIn(children[0]);
  if (list === undefined) return badField('link-approve', 'list', 'deviceList');
  const envelope = children[1]?.tag === 'envelope' ? bytesOf(children[1]) : undefined;
  if (envelope === undefined || envelope.length === 0) return badField('link-approve', 'envelope', 'ciphertext');
  if (children.length > 2) return badStanza('link-approve', '<list> and <envelope>');
  return { kind: 'link-approve', id, device, list, envelope };
}

/** `<unlink device> <list/> </unlink>` */
export function unlinkStanza({ device, list }: UnlinkRequest): Stanza {
  return element('unlink', ['device', device], [keys.bytesStanza('list', list)]);
}

export function parseUnlink(stanza: Stanza): UnlinkRequest | WireError {
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('unlink', 'device', 'device');
  const list = onlyListOf(stanza);
  return list === undefined ? badField('unlink', 'list', 'deviceList') : { kind: 'unlink', device, list };
}

/** `<devices user/>` */
export function devicesRequestStanza({ user }: DevicesRequest): Stanza {
  return element('devices', ['user', user]);
}

export function parseDevicesRequest(stanza: Stanza): DevicesRequest | WireError {
  const user = attribute(stanza, 'user');
  return isUserId(user) ? { kind: 'devices', user } : badField('devices', 'user', 'user');
}

/** `<devices> <list/> </devices>` */
export function publishListStanza({ list }: PublishListRequest): Stanza {
  return element('devices', NO_ATTRIBUTES, [keys.bytesStanza('list', list)]);
}

export function parsePublishList(stanza: Stanza): PublishListRequest | WireError {
  const list = onlyListOf(stanza);
  return list === undefined ? badField('devices', 'list', 'deviceList') : { kind: 'publish-list', list };
}

/** `<link id expires/>` */
export function linkBegunStanza({ id, expires }: LinkBegunAnswer): Stanza {
  return element('link', ['id', id, 'expires', expires]);
}

/** `<link id device registration> <identity/> </link>` */
export function linkAnswerStanza({ id, device, registration, identity }: LinkAnswer): Stanza {
  const attrs = ['id', id, 'device', device, 'registration', registration];
  return element('link', attrs, [keys.bytesStanza('identity', identity)]);
}

/** Reads either answer that is a `<link>`. */
export function parseLinkAnswer(stanza: Stanza): LinkBegunAnswer | LinkAnswer | WireError {
  const id = attribute(stanza, 'id');
  if (!isLinkId(id)) return badField('link', 'id', 'linkId');
  if (stanza.content === undefined) {
    const expires = attribute(stanza, 'expires');
    return isCounter(expires) ? { kind: 'link-begun', id, expires } : badField('link', 'expires', 'counter');
  }
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('link', 'device', 'device');
  const registration = attribute(stanza, 'registration');
  if (!isRegistrationId(registration)) return badField('link', 'registration', 'registration');
  const children = childrenOf(stanza);
  const identity = children.length === 1 ? keys.publicKeyIn(children[0], 'identity') : undefined;
  if (identity === undefined) return badField('link', 'identity', 'publicKey');
  return { kind: 'link', id, device, registration, identity };
}

/** `<devices user> <device id/> … <list/>? </devices>` */
export function devicesAnswerStanza({ user, devices, list }: DevicesAnswer): Stanza {
  const children = devices.map((id) => element('device', ['id', id]));
  if (list !== undefined) children.push(keys.bytesStanza('list', list));
  return element('devices', ['user', user], children);
}

export function parseDevicesAnswer(stanza: Stanza): DevicesAnswer | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('devices', 'user', 'user');
  const children = [...childrenOf(stanza)];
  const last = children.at(-1)?.tag === 'list' ? children.pop() : undefined;
  const list = listIn(last);
  if (last !== undefined && list === undefined) return badField('devices', 'list', 'deviceList');
  if (children.length === 0 || children.length > LIMITS.devicesMax) return badStanza('devices', '1 to 127 <device>');
  const devices: number[] = [];
  for (const child of children) {
    const id = attribute(child, 'id');
    if (child.tag !== 'device' || child.content !== undefined)
      return badStanza('devices', 'empty <device>, then <list>');
    if (!isDeviceId(id)) return badField('device', 'id', 'device');
    if (devices.includes(id)) return badStanza('devices', 'each device once');
    devices.push(id);
  }
  return { kind: 'devices', user, devices, list };
}

/** `<linked user device> envelope </linked>` */
export function linkedStanza({ user, device, envelope }: Omit<LinkedMessage, 'kind'>): Stanza {
  return { tag: 'linked', attrs: ['user', user, 'device', device], content: envelope };
}

export function parseLinked(stanza: Stanza): LinkedMessage | WireError {
  const user = attribute(stanza, 'user');
  if (!isUserId(user)) return badField('linked', 'user', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('linked', 'device', 'device');
  const envelope = bytesOf(stanza);
  if (envelope === undefined || envelope.length === 0) return badField('linked', 'content', 'ciphertext');
  return { kind: 'linked', user, device, envelope };
}

/** The bytes of a `<list>`: 1 to `deviceListBytesMax`, borrowed from the stanza; undefined for anything else. */
export function listIn(stanza: Stanza | undefined): Uint8Array | undefined {
  const bytes = stanza?.tag === 'list' ? bytesOf(stanza) : undefined;
  const fits = bytes !== undefined && bytes.length >= 1 && bytes.length <= LIMITS.deviceListBytesMax;
  return fits ? bytes : undefined;
}

function onlyListOf(stanza: Stanza): Uint8Array | undefined {
  const children = childrenOf(stanza);
  return children.length === 1 ? listIn(children[0]) : undefined;
}

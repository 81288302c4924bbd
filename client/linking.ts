/**
 * Linking a new device to an account: the code on its screen, what the primary device does with it, and what both keep.
 *
 *   new device                                     primary device
 *   keys, link-begin ──▶ link id
 *   code: link id, key for this linking,    ════▶  asks the server who waits; the same identity as in the code?
 *   hash of its identity key                       signs the next list, seals the account for the code's key
 *   linked ◀── list and envelope in one commit ──  link-approve
 *   opens it, checks that the list names it,
 *   stores its account
 *
 * What the envelope carries, as in `record.ts`: version 1 · phone, text · user, text · device, 1 byte · primary device, 1 byte ·
 * device list, bytes · count, uint · that many contacts: user, text · phone, text · verified, 1 byte. A reader ignores what follows.
 * It refuses to know keys of the primary: a linked device has an identity of its own, and the list says whose it is.
 */

import {
  generateProvisioningKeyPair,
  identityHash,
  isSignalError,
  openProvisioning,
  readDeviceList,
  sealProvisioning,
  verifyDeviceList,
} from '../protocol/signal/index.ts';
import type { KeyPair } from '../protocol/signal/index.ts';
import type { LinkedMessage, ServerMessage } from '../protocol/wire/index.ts';
import { deviceKeys, makeKeys } from './account.ts';
import type { FreshKeys } from './account.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import type { PeerRecord } from './layout.ts';
import { LIMITS } from './limits.ts';
import { encodeLinkCode } from './linking-code.ts';
import { isSameKey } from './public-keys.ts';
import { RecordReader, RecordWriter } from './record.ts';
import { converseBeforeLogin } from './registration.ts';
import { refusalOf, requestStanza } from './requests.ts';
import type { Transport } from './transport.ts';

/** A contact that a new device starts with. */
export interface KnownContact extends PeerRecord {
  readonly user: string;
}

/** What a primary device tells a new one. */
export interface Provision {
  readonly phone: string;
  readonly user: string;
  readonly device: number;
  readonly primary: number;
  /** The device list, as bytes. */
  readonly list: Uint8Array;
  readonly contacts: readonly KnownContact[];
}

/** A linking under way on the new device. */
export interface PendingLink {
  /** For a QR code, or to be typed: see `linking-code.ts`. */
  readonly code: string;
  /** Seconds for which it may be approved. */
  readonly expires: number;
  /** What came; rejects with CLI_LINK_EXPIRED, CLI_LINK_REFUSED, or why the connection ended. */
  readonly provisioned: Promise<{ readonly provision: Provision; readonly keys: FreshKeys }>;
  cancel(): void;
}

const VERSION = 1;

/** What both ends of a linking agree on beside keys. @param identityKey - Of the new device. */
export function linkContext(id: string, identityKey: Uint8Array): Uint8Array {
  return Uint8Array.of(...new TextEncoder().encode(id), ...identityKey);
}

/** Seals for the new device. @throws {ClientError} The Signal half's code where its key is none. */
export function sealProvision(
  provision: Provision,
  recipientKey: Uint8Array,
  context: Uint8Array,
  random: Random,
): Uint8Array {
  const writer = new RecordWriter().byte(VERSION).text(provision.phone).text(provision.user).byte(provision.device);
  writer.byte(provision.primary).bytes(provision.list);
  const contacts = fitting(provision.contacts);
  writer.uint(contacts.length);
  for (const { user, phone, verified } of contacts)
    writer
      .text(user)
      .text(phone)
      .byte(verified ? 1 : 0);
  const sealed = sealProvisioning(recipientKey, context, writer.finish(), (length) => random.bytes(length));
  if (isSignalError(sealed)) throw new ClientError(sealed.code);
  return sealed;
}

/** As many as fit into one stanza; the others are looked up again when they are needed. */
function fitting(contacts: readonly KnownContact[]): readonly KnownContact[] {
  return contacts.slice(0, LIMITS.linkContactCountMax);
}

/** Opens and checks what came: it is for this linking, for this device, and the primary has listed this identity. */
export function openProvision(
  { user, device, envelope }: Pick<LinkedMessage, 'user' | 'device' | 'envelope'>,
  pair: KeyPair,
  context: Uint8Array,
  identityKey: Uint8Array,
): Provision | undefined {
  const text = openProvisioning(pair, context, envelope);
  const provision = isSignalError(text) ? undefined : readProvision(text);
  if (provision === undefined || provision.user !== user || provision.device !== device) return undefined;
  // The envelope is the primary's word: under which key the list is to be checked, it says itself.
  const primaryKey = readDeviceList(provision.list)?.devices[0]?.identityKey;
  const accepted = primaryKey && verifyDeviceList(provision.list, user, primaryKey, undefined);
  if (accepted === undefined || isSignalError(accepted)) return undefined;
  const isListed = accepted.list.devices.some(
    ({ id, identityKey: key }) => id === device && isSameKey(key, identityKey),
  );
  return isListed && accepted.list.devices[0]!.id === provision.primary ? provision : undefined;
}

function readProvision(bytes: Uint8Array): Provision | undefined {
  const reader = new RecordReader(bytes);
  const version = reader.byte();
  const [phone, user] = [reader.text(), reader.text()];
  const [device, primary, list] = [reader.byte(), reader.byte(), reader.bytes()];
  const contacts: KnownContact[] = [];
  for (let left = reader.uint(); left > 0 && !reader.failed; left -= 1) {
    contacts.push({ user: reader.text(), phone: reader.text(), verified: reader.byte() === 1 });
  }
  const isWhole = version === VERSION && !reader.failed && contacts.length <= LIMITS.linkContactCountMax;
  return isWhole ? { phone, user, device, primary, list, contacts } : undefined;
}

/** Begins on a connection of its own, as registration does. @param name - What the person who approves is shown. */
export async function beginLink(
  options: { readonly url: string; readonly transport: Transport; readonly clock: Clock; readonly random: Random },
  name: string,
): Promise<PendingLink> {
  const { clock, random } = options;
  const keys = makeKeys(random, clock.nowMs());
  const pair = generateProvisioningKeyPair((length) => random.bytes(length));
  const identityKey = keys.local.identityKeyPair.publicKey;
  const begun = deferred<{ readonly id: string; readonly expires: number }>();
  const provisioned = deferred<{ readonly provision: Provision; readonly keys: FreshKeys }>();
  let id = '';
  const conversation = converseBeforeLogin(options, { receive, fail });

  function receive(message: ServerMessage): void {
    if (message.kind === 'stream') conversation.say(requestStanza(1, { kind: 'link-begin', ...deviceKeys(keys) }));
    else if (message.kind === 'iq-error') fail(refusalOf(message));
    else if (message.kind === 'iq-result' && message.answer.kind === 'link-begun') {
      id = message.answer.id;
      begun.resolve(message.answer);
    } else if (message.kind === 'linked') {
      const provision = openProvision(message, pair, linkContext(id, identityKey), identityKey);
      conversation.close();
      if (provision === undefined) fail(new ClientError('CLI_LINK_REFUSED'));
      else provisioned.resolve({ provision, keys });
    }
  }

  function fail(error: ClientError): void {
    conversation.close();
    begun.reject(error);
    provisioned.reject(error);
  }

  const timer = clock.setTimer(LIMITS.handshakeTimeoutMs, () => fail(new ClientError('CLI_TIMEOUT')));
  const { expires } = await begun.promise.finally(() => clock.clearTimer(timer));
  const expiry = clock.setTimer(expires * 1_000, () => fail(new ClientError('CLI_LINK_EXPIRED')));
  const hash = identityHash(identityKey);
  return {
    code: encodeLinkCode({ id, provisioningKey: pair.publicKey, identityHash: hash, name }),
    expires,
    provisioned: provisioned.promise.finally(() => clock.clearTimer(expiry)),
    cancel: () => fail(new ClientError('CLI_LINK_EXPIRED')),
  };
}

interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: ClientError) => void;
}

function deferred<Value>(): Deferred<Value> {
  let resolve!: (value: Value) => void;
  let reject!: (error: ClientError) => void;
  const promise = new Promise<Value>((whenDone, whenFailed) => {
    resolve = whenDone;
    reject = whenFailed;
  });
  // Whoever waits is told; nobody need wait.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

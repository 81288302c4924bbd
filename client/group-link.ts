/**
 * What opens a group: invitation links, and the name that only members can read.
 *
 *   link     blindbeam:join/ ‖ base64url of: version 02 ‖ group, 7 B ‖ secret, 32 B ‖ user ids of admins, 7 B each, the maker first
 *            version 01 ‖ group ‖ user id of the maker ‖ secret: an earlier release's, still read
 *   gate     first 32 bytes of SHA-512("Blindbeam link gate" 00 ‖ secret)
 *   key      X25519 key pair whose private key is the first 32 bytes of SHA-512("Blindbeam link key" 00 ‖ secret)
 *   info     sealed stream (`protocol/signal/sealed-stream.ts`) under the group's info key: version 01 ‖ name, text
 *
 * Of the secret the roster has the hash of the gate and the public key: the server can check that somebody has it, and does not
 * learn it. Who follows a link shows it to those admins, in encrypted messages that wait for each of them, and is added by whoever comes first, like
 * anybody else.
 */

import { generateIdentityKeyPair, isSignalError, openStream, sealStream } from '../protocol/signal/index.ts';
import { hashOfGate, isUserId } from '../protocol/wire/index.ts';
import type { GroupLink } from '../protocol/wire/index.ts';
import { byteLength } from './record.ts';
import type { Random } from './environment.ts';
import { ClientError } from './errors.ts';
import { sha512 } from './group-verifier.ts';
import { LIMITS } from './limits.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** Bytes of a link's secret, and of an info key. */
export const GROUP_SECRET_BYTES: 32 = 32;

/** What a link says. */
export interface GroupInvitationLink {
  readonly group: string;
  /** Who lets people in: who let it out, and other admins of that time. */
  readonly admins: readonly string[];
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

const SCHEME = 'blindbeam:join/';
const VERSION = 1;
const LINK_VERSION = 2;
const ONE_ADMIN_LINK_VERSION = 1;
const ID_BYTES = 7;
const INFO_LABEL = 'blindbeam group info 1';
const SALT_BYTES = 16;
const utf8 = new TextEncoder();
const GATE_LABEL = utf8.encode('Blindbeam link gate\0');
const KEY_LABEL = utf8.encode('Blindbeam link key\0');

/** Writes a link. */
export function formatLink({ group, admins, secret }: GroupInvitationLink): string {
  const bytes = Uint8Array.of(LINK_VERSION, ...idBytes(group), ...secret, ...admins.flatMap(idBytes));
  const base64 = btoa(String.fromCharCode(...bytes));
  return SCHEME + base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Reads a link. @throws {ClientError} CLI_GROUP_LINK. */
export function parseLink(text: string): GroupInvitationLink {
  const bytes = decodeLink(text.trim());
  const link = bytes && readLink(bytes);
  const isWhole = link !== undefined && [link.group, ...link.admins].every((id) => isUserId(id));
  if (!isWhole) throw new ClientError('CLI_GROUP_LINK');
  return link;
}

function readLink(bytes: Uint8Array): GroupInvitationLink | undefined {
  const head = 1 + ID_BYTES + GROUP_SECRET_BYTES;
  const adminsBytes = bytes.length - head;
  const count = adminsBytes / ID_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.groupLinkAdminCountMax) return undefined;
  const group = idIn(bytes, 1);
  if (bytes[0] === ONE_ADMIN_LINK_VERSION && count === 1) {
    return { group, admins: [idIn(bytes, 1 + ID_BYTES)], secret: bytes.slice(1 + 2 * ID_BYTES) };
  }
  if (bytes[0] !== LINK_VERSION) return undefined;
  const admins = Array.from({ length: count }, (_, index) => idIn(bytes, head + index * ID_BYTES));
  return { group, admins, secret: bytes.slice(1 + ID_BYTES, head) };
}

function decodeLink(text: string): Uint8Array | undefined {
  if (!text.startsWith(SCHEME)) return undefined;
  try {
    const base64 = text.slice(SCHEME.length).replaceAll('-', '+').replaceAll('_', '/');
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function idBytes(id: string): number[] {
  let rest = Number(id);
  const bytes: number[] = [];
  for (; bytes.length < ID_BYTES; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return bytes;
}

function idIn(bytes: Uint8Array, offset: number): string {
  const value = bytes.subarray(offset, offset + ID_BYTES).reduce((sum, byte) => sum * 256 + byte, 0);
  return String(value).padStart(15, '0');
}

/** What the roster has of a link's secret. */
export function publicHalfOf(secret: Uint8Array): GroupLink {
  const gate = derive(GATE_LABEL, secret);
  const { publicKey } = generateIdentityKeyPair(() => derive(KEY_LABEL, secret));
  return { gateHash: hashOfGate(gate, sha512), key: publicKey };
}

function derive(label: Uint8Array, secret: Uint8Array): Uint8Array {
  return sha512(Uint8Array.of(...label, ...secret)).slice(0, GROUP_SECRET_BYTES);
}

/** Seals a group's name for its members. @throws {ClientError} CLI_TEXT_TOO_LONG. */
export async function sealInfo(name: string, key: Uint8Array, random: Random): Promise<Uint8Array> {
  if (byteLength(name) > LIMITS.groupNameBytesMax) throw new ClientError('CLI_TEXT_TOO_LONG');
  const plaintext = new RecordWriter().byte(VERSION).text(name).finish();
  const pieces: Uint8Array[] = [];
  for await (const piece of sealStream({ key, label: INFO_LABEL }, random.bytes(SALT_BYTES), [plaintext]))
    pieces.push(piece);
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

/** Opens a group's name; empty where there is none, or none that this key opens. */
export async function openInfo(info: Uint8Array, key: Uint8Array): Promise<string> {
  const bytes: number[] = [];
  const stream = openStream({ key, label: INFO_LABEL }, [info]);
  let step = await stream.next();
  for (; step.done !== true; step = await stream.next()) bytes.push(...step.value);
  const reader = new RecordReader(Uint8Array.from(bytes));
  const [version, name] = [reader.byte(), reader.text()];
  return isSignalError(step.value) || version !== VERSION || reader.failed ? '' : name;
}

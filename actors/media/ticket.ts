/**
 * Upload tickets: what a logged-in connection shows to the HTTP side. Pure.
 *
 *   offset  bytes  field
 *   0       1      version, 01
 *   1       7      expires, milliseconds since 1970, big endian
 *   8       8      user id as an integer
 *   16      8      size of the upload in bytes
 *   24      16     id of the upload, drawn for this ticket
 *   40      24     HMAC-SHA-256 over the first 40 bytes, cut to 24
 *
 * No record is kept of a ticket: the MAC, under a key of the installation, is all that a worker needs, so any worker takes a
 * ticket that another gave out. Since the id stands in it, a ticket begins one upload however often it is shown.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';

const TICKET_BYTES = 64;
const VERSION = 1;
const MAC_AT = 40;

export interface Ticket {
  readonly expiresAtMs: number;
  /** User id, 15 digits. */
  readonly user: string;
  readonly bytes: number;
  /** 32 lower-case hexadecimal digits. */
  readonly id: string;
}

/** The key of the tickets, from the installation's secret (hex). The label keeps it apart from its other uses. */
export function ticketKey(secret: string): Uint8Array {
  return createHmac('sha256', Buffer.from(secret, 'hex')).update('blindbeam media ticket 1').digest();
}

/** @returns 64 bytes, owned. */
export function sealTicket(key: Uint8Array, ticket: Ticket): Uint8Array {
  const bytes = Buffer.alloc(TICKET_BYTES);
  bytes.writeBigUInt64BE(BigInt(ticket.expiresAtMs), 0);
  bytes[0] = VERSION;
  bytes.writeBigUInt64BE(BigInt(ticket.user), 8);
  bytes.writeBigUInt64BE(BigInt(ticket.bytes), 16);
  bytes.write(ticket.id, 24, 16, 'hex');
  mac(key, bytes).copy(bytes, MAC_AT);
  return new Uint8Array(bytes);
}

/**
 * Reads a ticket.
 *
 * @param text - base64url, as it stands in the `Authorization` header.
 * @returns `undefined` for anything that this installation did not write, or that has expired.
 */
export function openTicket(key: Uint8Array, text: string, nowMs: number): Ticket | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== TICKET_BYTES || bytes.toString('base64url') !== text || bytes[0] !== VERSION) return undefined;
  if (!timingSafeEqual(mac(key, bytes), bytes.subarray(MAC_AT))) return undefined;
  const ticket: Ticket = {
    expiresAtMs: Number(bytes.readBigUInt64BE(0) & 0xff_ffff_ffff_ffffn),
    user: bytes.readBigUInt64BE(8).toString().padStart(15, '0'),
    bytes: Number(bytes.readBigUInt64BE(16)),
    id: bytes.toString('hex', 24, MAC_AT),
  };
  return ticket.expiresAtMs > nowMs ? ticket : undefined;
}

function mac(key: Uint8Array, bytes: Buffer): Buffer {
  return createHmac('sha256', key)
    .update(bytes.subarray(0, MAC_AT))
    .digest()
    .subarray(0, TICKET_BYTES - MAC_AT);
}

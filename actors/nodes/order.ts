/**
 * What proves that an order comes from a node of the installation: a mark that only who has its secret can make. Pure.
 *
 * Rights on the servers are not enough. Who has a node's password there can speak to all nodes, and may learn figures; but to order something
 * takes the secret of the cluster, which stands on no server. The one who is ordered draws a challenge, which is good for one order and for a moment,
 * and the mark is over the challenge, both names and the order: what somebody listened to, or changed, fits nothing.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';

/** A verb of a node, as at its own admin socket. */
export interface Order {
  readonly verb: string;
  readonly parameters: object;
}

export interface OrderEnvelope {
  readonly from: string;
  readonly to: string;
  readonly nonce: string;
  /** JSON of an `Order`: the very text that is marked. */
  readonly order: string;
}

/** What other nodes may order. All of it is in the audit log of the node that does it. */
export const ORDERABLE: ReadonlySet<string> = new Set([
  'reload',
  'reload.rollback',
  'node.drain',
  'node.join',
  'node.leave',
]);

/** @param secret - Of the installation: 64 hexadecimal digits. */
export function orderKey(secret: string): Buffer {
  return createHmac('sha256', Buffer.from(secret, 'hex')).update('blindbeam: orders between nodes').digest();
}

/** 64 hexadecimal digits. */
export function markOrder(key: Buffer, { from, to, nonce, order }: OrderEnvelope): string {
  return createHmac('sha256', key)
    .update(JSON.stringify([from, to, nonce, order]))
    .digest('hex');
}

export function isMarked(key: Buffer, envelope: OrderEnvelope, mark: string): boolean {
  const wanted = Buffer.from(markOrder(key, envelope));
  const given = Buffer.from(mark);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/**
 * What an inbox pushes, as the client is told it: messages of people and groups, and notices of what was lost.
 *
 * Pushes are counted: one that is missing was lost between the threads, and the client finds it in its inbox when it comes back.
 */

import {
  deliveryStanza,
  groupChangeStanza,
  groupDeliveryStanza,
  groupPrunedStanza,
  prunedStanza,
} from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import type { ConnectionMessage } from '../messages.ts';
import type { InboxEntry } from '../store/inbox-store.ts';
import { decodeNotice } from '../store/loss.ts';
import { closeWith } from './refusals.ts';
import { understandsGaps, understandsGroups, type ConnectionState } from './state.ts';

/** One that is missing was lost between the threads. The client finds it in its inbox when it comes back. */
export function isNextPush(push: number, state: ConnectionState, ctx: Context): boolean {
  // From before a second greeting: whoever takes the connection then pushes it again.
  if (state.former !== undefined) return false;
  if (state.phase.name !== 'live' || push !== state.pushes + 1) {
    closeWith('APP_OVERLOADED', state, ctx);
    return false;
  }
  state.pushes = push;
  return true;
}

/** Each entry as the stanza that the client knows it as. */
export function writeDeliveries(
  { entries, after }: Extract<ConnectionMessage, { kind: 'deliver' }>,
  state: ConnectionState,
): void {
  for (const entry of entries) {
    const { sender, senderDevice, id, seq, ts, type, ciphertext } = entry;
    if (type === 'group') writeOfGroup(entry, after, state);
    else if (type === 'pruned') writeNotice(entry, state);
    else
      state.socket.write(deliveryStanza({ from: sender, device: senderDevice, id, seq, ts, type, ciphertext, after }));
  }
}

/** What a group has for this device: the body that the inbox put to the entry. The inbox acknowledges it for a client without groups. */
function writeOfGroup({ body, seq }: InboxEntry, after: number | undefined, state: ConnectionState): void {
  if (body === undefined || !understandsGroups(state)) return;
  const { group, order, ts, sender: from, senderDevice: device, id, bytes } = body;
  const stanza =
    body.kind === 'change'
      ? groupChangeStanza({ group, order, ts, seq, change: bytes, after })
      : groupDeliveryStanza({ group, from, device, id, order, ts, seq, ciphertext: bytes, after });
  state.socket.write(stanza);
}

/** To a client that knows no gaps the inbox hands notices too, and acknowledges them itself. */
function writeNotice({ sender, senderDevice, id, seq, ts, ciphertext }: InboxEntry, state: ConnectionState): void {
  if (!understandsGaps(state)) return;
  const gap = decodeNotice(id, ciphertext);
  const isOfGroup = senderDevice === 0;
  if (isOfGroup) state.socket.write(groupPrunedStanza({ group: sender, seq, ts, ...gap }));
  else state.socket.write(prunedStanza({ from: sender, device: senderDevice, seq, ts, ...gap }));
}

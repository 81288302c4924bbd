/**
 * What a connection notes of the messages that are traced (`tracing/message-trace.ts`). Asked only where `tracing.isOn`.
 */

import { traceBody } from '../groups/trace.ts';
import type { ConnectionState } from './state.ts';
import type { InboxEntry, SenderAddress } from '../store/inbox-store.ts';
import { noteRefused, noteStage, noteStored, STAGES } from '../tracing/message-trace.ts';

/** Everything up to `id` to a user or a group is stored, and the client has been told. */
export function traceStored(to: string, id: number, state: ConnectionState): void {
  const self = selfOf(state);
  if (self !== undefined) noteStored(self, to, id);
}

export function traceRefused(to: string, id: number, state: ConnectionState): void {
  const self = selfOf(state);
  if (self !== undefined) noteRefused(self, to, id);
}

/** These were written to the socket. */
export function traceWritten(entries: readonly InboxEntry[], state: ConnectionState): void {
  const self = selfOf(state);
  if (self === undefined) return;
  for (const { type, sender, senderDevice, senderCreation, id, body } of entries) {
    if (type === 'pruned') continue;
    if (type === 'group') body === undefined || traceBody(STAGES.written, body);
    else noteStage(STAGES.written, sender, senderDevice, senderCreation, self.user, id);
  }
}

function selfOf({ phase }: ConnectionState): SenderAddress | undefined {
  return phase.name === 'live' ? phase.self : undefined;
}

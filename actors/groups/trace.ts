/**
 * What the owner of groups notes of the messages that are traced (`../tracing/message-trace.ts`). Asked only where `tracing.isOn`.
 *
 * A message to a group is the same one everywhere by who wrote it, to which group, under which id: all three stand in its body.
 */

import type { Accepted } from './state.ts';
import type { GroupBody } from '../store/group-store.ts';
import { noteStage, type Stage } from '../tracing/message-trace.ts';

/** The messages of a commit have reached `stage`. */
export function traceAccepted(stage: Stage, accepted: readonly Accepted[]): void {
  for (const { body } of accepted) traceBody(stage, body);
}

/** A message of a group has reached `stage`; changes are not traced. */
export function traceBody(stage: Stage, { kind, group, sender, senderDevice, senderCreation, id }: GroupBody): void {
  if (kind === 'message') noteStage(stage, sender, senderDevice, senderCreation, group, id);
}

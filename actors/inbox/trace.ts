/**
 * What an inbox notes of the messages that are traced (`tracing/message-trace.ts`). Asked only where `tracing.isOn`.
 */

import { isOfGroup, knownBody, type GroupPart, type KnownBodies } from './group-entries.ts';
import { traceBody } from '../groups/trace.ts';
import type { Submit } from '../messages.ts';
import type { Online } from './recipients.ts';
import { noteStage, STAGES, type Stage } from '../tracing/message-trace.ts';

/** The messages of a commit have reached `stage`. */
export function traceCommit(stage: Stage, submits: readonly Submit[]): void {
  for (const { sender, to, id } of submits) noteStage(stage, sender.user, sender.device, sender.creation, to, id);
}

/** What came of groups is flushed here. */
export function traceFanOuts({ fanOuts }: GroupPart): void {
  for (const { body } of fanOuts) traceBody(STAGES.arrived, body);
}

/**
 * A device has acknowledged the first `count` entries of its window. Before they leave it.
 *
 * @param bodies - Of groups, as they are before the commit that removes them is settled: one that is no longer remembered is not traced to its end.
 */
export function traceAcknowledged({ window }: Online, count: number, recipient: string, bodies: KnownBodies): void {
  for (let index = 0; index < count; index++) {
    const { conversation, id } = window[index]!;
    if (id === 0) continue;
    const { user, device, creation } = conversation.sender;
    if (!isOfGroup(conversation)) noteStage(STAGES.acknowledged, user, device, creation, recipient, id);
    else {
      const body = knownBody(bodies, user, id);
      if (body !== undefined) traceBody(STAGES.acknowledged, body);
    }
  }
}

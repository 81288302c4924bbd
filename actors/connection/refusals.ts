/**
 * How a connection says no, and how it ends. Every refusal is counted here, by its code.
 *
 * A refusal of a message or a request leaves the connection as it is; the others end it, with the close status that the catalogue gives
 * the code. Read next: `../errors.ts`, the catalogue.
 */

import { errorStanza, failureStanza, groupErrorStanza, iqErrorStanza, type Stanza } from '../../protocol/wire/index.ts';
import type { Context, ExitReason } from '../../runtime/index.ts';
import type { Deferral } from '../admission.ts';
import { describe, type AppCode, type Refusal } from '../errors.ts';
import { CounterByLabel } from '../metrics/meter.ts';
import { keyOfDevice } from './phase.ts';
import type { ConnectionState } from './state.ts';

const REFUSALS = new CounterByLabel('blindbeam_refusals_total');

export function refusalStanza(to: string, id: number, refusal: Refusal): Stanza {
  REFUSALS.add(refusal.code);
  return errorStanza({ to, id, text: describe(refusal.code).text, ...refusal });
}

export function refuseRequest(id: number, refusal: Refusal, state: ConnectionState): void {
  const { code, retryAfter, epoch } = refusal;
  REFUSALS.add(code);
  state.socket.write(iqErrorStanza({ id, code, text: describe(code).text, retryAfter, epoch }));
}

export function refuseOfGroup(group: string, id: number, refusal: Refusal, state: ConnectionState): void {
  REFUSALS.add(refusal.code);
  state.socket.write(groupErrorStanza({ group, id, text: describe(refusal.code).text, ...refusal }));
}

/**
 * Ends the connection with the close status that the catalogue gives the code. A refused login is told in words first; who
 * is to come back is told when, each client another time, because it is seldom the only one.
 */
export function closeWith(code: AppCode, state: ConnectionState, ctx: Context, retryAfter?: number): void {
  const { closeCode = 4400, text } = describe(code);
  REFUSALS.add(code);
  if (closeCode === 4401) state.socket.write(failureStanza({ code, text }));
  if (closeCode === 4503) sayComeBack(code, retryAfter ?? state.admission.comeBack(), state);
  close(closeCode, code, state, ctx);
}

/** A login that is not admitted now. */
export function putOff({ code, retryAfter }: Deferral, state: ConnectionState, ctx: Context): void {
  REFUSALS.add(code);
  sayComeBack(code, retryAfter, state);
  close(4503, code, state, ctx);
}

/** The supervisor or an overloaded inbox ends the actor: its client is told when to come back. */
export function sayWhyItEnds(reason: ExitReason, state: ConnectionState): void {
  if (state.phase.name === 'closed') return;
  leave(state);
  const code = reason === 'shutdown' ? 'APP_DRAINING' : 'APP_RESTARTING';
  REFUSALS.add(code);
  sayComeBack(code, state.admission.comeBack(), state);
  state.socket.close(4503, code);
}

function sayComeBack(code: AppCode, retryAfter: number, state: ConnectionState): void {
  state.socket.write(failureStanza({ code, text: describe(code).text, retryAfter }));
}

export function close(closeCode: number, reason: string, state: ConnectionState, ctx: Context): void {
  state.socket.close(closeCode, reason);
  end(state, ctx);
}

/** The socket is closed: nothing that comes later means anything. */
export function end(state: ConnectionState, ctx: Context): void {
  leave(state);
  state.phase = { name: 'closed' };
  ctx.stop('normal');
}

/** Who has been greeted again and goes before the login leaves what is left of the bucket as well. */
function leave({ phase, former, rates, admission }: ConnectionState): void {
  if (phase.name === 'closed') return;
  if (phase.name === 'live') admission.ended();
  const self = phase.name === 'live' ? phase.self : former;
  const bucket = rates?.groupMessages;
  if (self !== undefined && bucket !== undefined) admission.keepGroupBucket(keyOfDevice(self), bucket);
}

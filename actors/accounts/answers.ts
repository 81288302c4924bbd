/**
 * Who is answered later, when a commit or a sent code has come back; and what is under way until then: one change of an account at a time.
 */

import type { Destination } from '../answering.ts';
import type { AccountsState, Continuation } from './state.ts';

/** What is kept of a message to answer it later. */
export function destination(message: Destination): Destination {
  return { connection: message.connection, iq: message.iq };
}

/** Keeps what is to be done when the ticket comes back. */
export function suspend(state: AccountsState, continuation: Continuation): number {
  const ticket = state.nextTicket++;
  state.continuations.set(ticket, continuation);
  return ticket;
}

/**
 * A registration removes records that an upload of the old device would write back, and two uploads may write one record: so
 * one change of an account at a time.
 */
export function changing(state: AccountsState, user: string): Pick<Continuation, 'release'> {
  state.taken.add(accountName(user));
  return { release: [accountName(user)] };
}

/** Whether a change of the account is under way. */
export function isChanging(state: AccountsState, user: string | undefined): boolean {
  return user !== undefined && state.taken.has(accountName(user));
}

function accountName(user: string): string {
  return `account.${user}`;
}

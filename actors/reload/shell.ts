/**
 * What is of the shell and what travels in a bundle: declared here, held by the bundler and by a test.
 *
 * The shell is loaded once and never replaced: sockets, stores, native modules, the runtime, whatever holds state of its own,
 * and the classes whose instances stand in the states of actors. A behaviour and the pure functions that it is made of travel:
 * each version brings its own copy. A module that is in neither list stops a reload, with a word on where to put it.
 *
 * To make a module reloadable: no state and no class at its top, no import of what holds state, and a line in `TRAVELLING`.
 */

import * as runtime from '../../runtime/index.ts';
import * as wire from '../../protocol/wire/index.ts';
import type { AnyBehavior } from '../../runtime/index.ts';
import { accounts } from '../accounts.ts';
import * as committer from '../committer.ts';
import { connection } from '../connection.ts';
import { groups } from '../groups.ts';
import { inbox } from '../inbox.ts';
import { links } from '../links.ts';
import * as liveLimits from '../live-limits.ts';
import { keeper } from '../media/keeper.ts';
import * as meter from '../metrics/meter.ts';
import * as mediaQuotas from '../media/quotas.ts';
import { outbox } from '../outbox.ts';
import { presence } from '../presence.ts';
import { quotas } from '../quotas.ts';
import { relations } from '../relations.ts';
import * as resumeTicket from '../resume-ticket.ts';
import * as messageTrace from '../tracing/message-trace.ts';
import { wakeups } from '../wakeups.ts';

/** The shell, by the ids that bundles know it under: paths from the root, without extension. */
export const SHELL: Readonly<Record<string, object>> = Object.freeze({
  'runtime/index': runtime,
  'protocol/wire/index': wire,
  // Classes whose instances stand in states.
  'actors/committer': committer,
  'actors/media/quotas': mediaQuotas,
  // What operators have changed, for the limits of every version.
  'actors/live-limits': liveLimits,
  // Counts of the thread, whichever version adds to them.
  'actors/metrics/meter': meter,
  'actors/resume-ticket': resumeTicket,
  // Notes of the thread, whichever version of an actor makes them.
  'actors/tracing/message-trace': messageTrace,
});

/** What travels. The first ones are behaviours, by name. */
export const BEHAVIORS: readonly AnyBehavior[] = [
  connection,
  inbox,
  groups,
  outbox,
  accounts,
  presence,
  relations,
  links,
  wakeups,
  quotas,
  keeper,
];

/** Ids, and with a star at the end the beginnings of ids: the parts of a behaviour are in a folder that is named after it. */
const TRAVELLING: readonly string[] = [
  ...BEHAVIORS.map(({ name }) => name),
  'actors/accounts/*',
  'actors/answering',
  'actors/auth',
  'actors/connection/*',
  'actors/errors',
  'actors/groups/*',
  'actors/inbox/*',
  'actors/limits',
  'actors/media/ticket',
  'actors/messages',
  'actors/outbox/*',
  'actors/partition',
  'actors/pause',
  'actors/presence/*',
  'actors/rate-limit',
  'actors/store/doubt',
  'actors/store/group-store',
  'actors/store/inbox-store',
  'actors/store/loss',
  'actors/store/outbox-store',
];

/** Whether a module travels. */
export function travels(id: string): boolean {
  return TRAVELLING.some((each) => (each.endsWith('*') ? id.startsWith(each.slice(0, -1)) : id === each));
}

/** The parts of Node without state, which a bundle may import. */
export const NODE_MODULES: ReadonlySet<string> = new Set([
  'node:assert',
  'node:assert/strict',
  'node:buffer',
  'node:crypto',
  'node:util',
]);

import t from 'tap';

import type { ExitRequest } from './exit-reason.ts';
import { Pid } from './pid.ts';
import { type ExitEffect, type ExitReceiver, receiveExit } from './signals.ts';

const from = new Pid('n', 0, 1, 1);
const error = { error: { name: 'Error', message: 'm' } };
const IGNORE: ExitEffect = { type: 'ignore' };

// The table of the Erlang reference manual, row by row: who, how, why, and what then.
const rows: [string, Partial<ExitReceiver>, boolean, ExitRequest, ExitEffect][] = [
  ['kill, sent', {}, false, 'kill', { type: 'end', reason: 'killed' }],
  ['kill, sent to one that traps', { trapsExits: true }, false, 'kill', { type: 'end', reason: 'killed' }],
  ['killed, by a link', {}, true, 'killed', { type: 'end', reason: 'killed' }],
  ['killed, by a link to one that traps', { trapsExits: true }, true, 'killed', { type: 'message', reason: 'killed' }],
  ['normal, sent', {}, false, 'normal', IGNORE],
  ['normal, sent to one that traps', { trapsExits: true }, false, 'normal', { type: 'message', reason: 'normal' }],
  ['normal, sent to itself', { fromSelf: true }, false, 'normal', { type: 'end', reason: 'normal' }],
  ['normal, by a link', {}, true, 'normal', IGNORE],
  ['normal, by a link to one that traps', { trapsExits: true }, true, 'normal', { type: 'message', reason: 'normal' }],
  ['shutdown, sent', {}, false, 'shutdown', { type: 'end', reason: 'shutdown' }],
  ['shutdown, by a link', {}, true, 'shutdown', { type: 'end', reason: 'shutdown' }],
  ['an error, by a link', {}, true, error, { type: 'end', reason: error }],
  ['an error, by a link to one that traps', { trapsExits: true }, true, error, { type: 'message', reason: error }],
  ['an error, by a link that is gone', { linked: false }, true, error, IGNORE],
  ['a kill, by a link that is gone', { linked: false }, true, 'killed', IGNORE],
  ['shutdown, sent by no link', { linked: false }, false, 'shutdown', { type: 'end', reason: 'shutdown' }],
  [
    'shutdown, sent by the parent to one that traps',
    { trapsExits: true, fromParent: true },
    false,
    'shutdown',
    { type: 'terminate', reason: 'shutdown' },
  ],
  [
    'an error, by the link of the parent to one that traps',
    { trapsExits: true, fromParent: true },
    true,
    error,
    { type: 'terminate', reason: error },
  ],
  ['shutdown, sent by the parent', { fromParent: true }, false, 'shutdown', { type: 'end', reason: 'shutdown' }],
  ['normal, by the link of the parent', { fromParent: true }, true, 'normal', IGNORE],
];

for (const [name, receiver, byLink, reason, effect] of rows) {
  t.test(`${name}: ${effect.type}`, async (t) => {
    const full = { trapsExits: false, fromSelf: false, fromParent: false, linked: true, ...receiver };
    t.strictSame(receiveExit({ from, reason, byLink }, full), effect);
  });
}

/**
 * The operators' page: puts its halves together, signs in, and asks before it changes anything.
 *
 * Start reading here; then `now.ts` (live), `cluster.ts` (the other nodes), `looks.ts` (asked for), `api.ts` (the node).
 */

import type { ActorDetails, TreeAnswer } from '../../admin/actor-questions.ts';
import type { EachAnswer } from '../../admin/ask.ts';
import type { AuditLine } from '../../admin/audit.ts';
import { RANK_BY } from '../../admin/rank-by.ts';
import type { TopActor, TopFrame } from '../../admin/top.ts';
import type { ReloadReport } from '../../reload/report.ts';
import type { NodeList, NodeMap } from '../../nodes/verbs.ts';
import type { DepartResult } from '../../node-control.ts';
import type { CrashRow } from '../verbs.ts';
import { ask, follow, isSignedIn, signIn, signOut, type LiveView } from './api.ts';
import { byId, count, element } from './dom.ts';
import { showAudit, showBehaviors, showCrashes, showReloads, showTree, type LiveBehaviorRow } from './looks.ts';
import { ClusterView, type NodeAction } from './cluster.ts';
import { NowView, type ActorAction } from './now.ts';

let signedIn = false;
let live: LiveView | undefined;
const cluster = new ClusterView((action, node) => void run(() => orderNode(action, node)));
const now = new NowView((action, actor) => void run(() => actOn(action, actor)));

// --- saying and asking ------------------------------------------------------------------------------------------

function say(text: string): void {
  byId('notice').textContent = text;
}

/** Runs what a person asked for, and says what went wrong. */
async function run(action: () => Promise<unknown>): Promise<void> {
  say('');
  try {
    await action();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
}

/** Resolves to whether the person agreed. */
function confirm(title: string, body: Node | string, label: string): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>('dialog');
  byId('dialog-title').textContent = title;
  byId('dialog-body').replaceChildren(body);
  byId('dialog-ok').textContent = label;
  byId('dialog-cancel').onclick = () => dialog.close('cancel');
  dialog.returnValue = 'cancel';
  byId('dialog-ok').setAttribute('value', 'ok');
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'ok'), { once: true });
  });
}

// --- live -------------------------------------------------------------------------------------------------------

function look(): void {
  live?.close();
  const by = byId<HTMLSelectElement>('rank').value;
  const behavior = byId<HTMLSelectElement>('behavior').value;
  const parameters = { by, rows: '25', intervalMs: '1000', ...(behavior === '' ? undefined : { behavior }) };
  live = follow<TopFrame>('top', parameters, (frame) => show(frame), showLink);
}

/** Between two looks at the other nodes, which are asked for their figures. */
const FRAMES_PER_LOOK = 2;
let frameCount = 0;
let isLooking = false;

function show(frame: TopFrame): void {
  now.show(frame, signedIn);
  // Who does not answer has its row; that this node does not is told by the link.
  if (frameCount++ % FRAMES_PER_LOOK === 0) void lookAtNodes(frame.status.nowMs).catch(() => undefined);
}

async function lookAtNodes(atMs: number): Promise<void> {
  if (isLooking) return;
  isLooking = true;
  try {
    const list = await ask<NodeList>('node.list');
    const map = list.cluster === undefined ? undefined : await ask<NodeMap>('node.map');
    cluster.show(list, map, atMs, signedIn);
  } finally {
    isLooking = false;
  }
}

async function orderNode(action: NodeAction, node: string): Promise<void> {
  const body = {
    drain:
      'Its shards go to other nodes, then its clients are sent away, at the rate of its setting drain-rate. It goes on running.',
    join: 'It takes clients again at once, and shards within half a minute.',
  };
  const label = action === 'drain' ? 'Drain' : 'Join';
  if (!(await confirm(`${label} ${node}?`, body[action], label))) return;
  say(action === 'drain' ? `draining ${node} …` : `${node} joins …`);
  const done = await ask<Partial<DepartResult>>(`node.${action}`, { node });
  say(action === 'drain' ? departedText(node, done) : `${node} takes clients again, and shards within half a minute`);
  await lookAround();
}

function departedText(node: string, { told = 0, left = 0, shardsLeft }: Partial<DepartResult>): string {
  if (shardsLeft === undefined) return `${node}: ${count(told)} clients were sent away, ${count(left)} are left`;
  const shards = shardsLeft === 0 ? 'its shards are with other nodes' : `${count(shardsLeft)} shards stayed`;
  return `${node}: ${shards}; ${count(told)} clients were sent away, ${count(left)} are left`;
}

function showLink(isOpen: boolean): void {
  const state = byId('link-state');
  state.className = isOpen ? 'live' : 'lost';
  const text = isOpen ? 'live' : 'no connection to the node';
  if (state.textContent !== text) state.textContent = text;
}

async function actOn(action: ActorAction, { pid, name }: TopActor): Promise<void> {
  if (action === 'inspect') return inspect(pid);
  const told = {
    suspend: 'It handles nothing for 30 seconds; what is sent to it waits.',
    resume: 'It goes on.',
    kill: 'Its supervisor decides what comes next.',
  };
  if (!(await confirm(`${action} ${name ?? pid}?`, told[action], action))) return;
  await ask(`actor.${action}`, { actor: pid });
  say(`${pid}: ${action} is done`);
  await lookAround();
}

async function inspect(pid: string): Promise<void> {
  const details = await ask<ActorDetails>('actor.inspect', { actor: pid });
  const rows = Object.entries(details).map(([field, value]) =>
    element('tr', {}, element('th', { scope: 'row' }, field), element('td', {}, String(value ?? ''))),
  );
  await confirm(details.name ?? pid, element('table', {}, element('tbody', {}, ...rows)), 'Close');
}

// --- asked for --------------------------------------------------------------------------------------------------

async function lookAround(): Promise<void> {
  showTree(await ask<{ workers: readonly EachAnswer<TreeAnswer>[] }>('actor.tree', { children: 12 }));
  await lookAtCode();
  if (!signedIn) return;
  showCrashes(await ask<{ crashes: readonly CrashRow[] }>('crash.list', { rows: 20 }));
  showAudit(await ask<{ lines: readonly AuditLine[] }>('audit.list', { rows: 40 }));
}

async function lookAtCode(): Promise<void> {
  const { behaviors } = await ask<{ behaviors: readonly LiveBehaviorRow[] }>('reload.list');
  const { reports } = await ask<{ reports: readonly ReloadReport[] }>('reload.history', { count: 10 });
  showBehaviors(behaviors, signedIn, {
    reload: (name, isCheck) => void run(() => reload(name, isCheck)),
    rollBack: (name) => void run(() => rollBack(name)),
  });
  showReloads(reports);
}

async function reload(name: string, isCheck: boolean): Promise<void> {
  const body =
    'The module is bundled, checked, tried by a few actors, and then taken by all; on a fault it is taken back.';
  if (!isCheck && !(await confirm(`Reload ${name}?`, body, 'Reload'))) return;
  say(isCheck ? `checking ${name} …` : `reloading ${name} …`);
  const { report } = await ask<{ report: ReloadReport }>('reload', { name, check: isCheck });
  say(`${name}: ${report.outcome.replace('_', ' ')}`);
  await lookAround();
}

async function rollBack(name: string): Promise<void> {
  if (!(await confirm(`Take the last reload of ${name} back?`, 'The version before runs again.', 'Roll back'))) return;
  say(`taking ${name} back …`);
  const { report } = await ask<{ report: ReloadReport }>('reload.rollback', { name });
  say(`${name}: ${report.outcome.replace('_', ' ')}`);
  await lookAround();
}

async function drain(): Promise<void> {
  const body =
    'Every client is told to come back later, at the rate of the setting drain-rate, and nobody is let in until "Let clients in again".';
  if (!(await confirm('Drain this node?', body, 'Drain'))) return;
  say('draining …');
  const { told, left } = await ask<{ told: number; left: number }>('drain');
  say(`${count(told)} clients were sent away, ${count(left)} are left`);
  await lookAround();
}

// --- signing in -------------------------------------------------------------------------------------------------

async function showSession(): Promise<void> {
  signedIn = await isSignedIn();
  document.body.classList.toggle('signed-in', signedIn);
  byId('session-state').textContent = signedIn ? 'signed in' : 'read-only';
  byId('sign-in').hidden = signedIn;
  byId('sign-out').hidden = !signedIn;
  await lookAround();
}

async function askForToken(): Promise<void> {
  const input = element('input', { type: 'password', autocomplete: 'off', 'aria-label': 'token' });
  const body = element(
    'div',
    {},
    'The token is told by "blindbeam console", and lies in console.token of the store directory.',
    input,
  );
  if (!(await confirm('Sign in', body, 'Sign in'))) return;
  await signIn(input.value.trim());
  await showSession();
}

/** `#token=…`, as `blindbeam console` prints it: never sent as part of an address, and gone from it at once. */
async function signInByAddress(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  history.replaceState(null, '', location.pathname);
  await signIn(token);
}

function bind(): void {
  const rank = byId<HTMLSelectElement>('rank');
  rank.append(...RANK_BY.map((by) => element('option', { value: by }, by)));
  rank.value = 'messages';
  rank.onchange = look;
  byId('behavior').onchange = look;
  byId('sign-in').onclick = () => void run(askForToken);
  byId('sign-out').onclick = () => void run(async () => (await signOut(), await showSession()));
  byId('drain').onclick = () => void run(drain);
  byId('resume').onclick = () =>
    void run(async () => (await ask('resume'), say('clients are let in again'), await lookAround()));
  byId('tree-refresh').onclick = () => void run(lookAround);
  byId('crashes-refresh').onclick = () => void run(lookAround);
}

bind();
look();
await run(signInByAddress);
await run(showSession);

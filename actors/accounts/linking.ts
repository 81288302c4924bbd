/** Several devices: offered, linked, removed and listed. What an account becomes by it is decided in `devices.ts`. */

import type { Answer } from '../../protocol/wire/index.ts';
import type { LinksMessage } from '../messages.ts';
import type { AccountRecord, StoreBatch } from '../store/inbox-store.ts';
import { changing, destination, isChanging, suspend } from './answers.ts';
import { answer, refuse, type Destination } from '../answering.ts';
import {
  decideLink,
  decideList,
  decideUnlink,
  listFor,
  nextDeviceId,
  refuseOffer,
  type AccountDecision,
} from './devices.ts';
import { putDevice } from './registration.ts';
import type { AccountsState, Continuation, Ctx, Request } from './state.ts';

/** Tells the primary device under which id it would link the one that waits. */
export function offerDevice(message: Request<'offer-device'>, state: AccountsState, ctx: Ctx): void {
  const account = state.args.store.account(message.user);
  const code = account === undefined ? 'APP_UNKNOWN_USER' : refuseOffer(account, message.by);
  if (account === undefined || code !== undefined) return refuse(message, code ?? 'APP_UNKNOWN_USER', ctx);
  answer(message, { kind: 'link', ...message.link, device: nextDeviceId(account) }, ctx);
}

/** Device, account and signed list in one commit; the inbox knows the device before anybody is told of it. */
export function linkDevice(message: Request<'link-device'>, state: AccountsState, ctx: Ctx): void {
  const { user, device, id, list, by, keys } = message;
  const link = { id, user, device };
  const decide = (account: AccountRecord): AccountDecision => decideLink(account, by, device, list);
  const linked = changeDevices(
    message,
    decide,
    { link, reload: { kind: 'reload-devices', user } },
    state,
    ctx,
    (batch, account) => putDevice(batch, account, device, keys),
  );
  if (!linked) settleLink(link, false, state, ctx);
}

export function unlinkDevice(message: Request<'unlink-device'>, state: AccountsState, ctx: Ctx): void {
  const { user, device, by, list } = message;
  const forget = [{ kind: 'forget-device', user, device }] as const;
  const decide = (account: AccountRecord): AccountDecision => decideUnlink(account, by, device, list);
  changeDevices(message, decide, { forget }, state, ctx, (batch) => batch.removeDevice(user, device));
}

export function publishList(message: Request<'publish-list'>, state: AccountsState, ctx: Ctx): void {
  changeDevices(
    message,
    (account) => decideList(account, message.by, message.list),
    {},
    state,
    ctx,
    () => undefined,
  );
}

/** Commits what `decide` makes of the account, with what `write` adds. @returns Whether there is a commit. */
function changeDevices(
  message: Destination & { readonly user: string },
  decide: (account: AccountRecord) => AccountDecision,
  after: Pick<Continuation, 'link' | 'reload' | 'forget'>,
  state: AccountsState,
  ctx: Ctx,
  write: (batch: StoreBatch, account: AccountRecord) => void,
): boolean {
  const { user } = message;
  const previous = state.args.store.account(user);
  const decision = previous === undefined ? ({ code: 'APP_UNKNOWN_USER' } as const) : decide(previous);
  const code = isChanging(state, user) ? 'APP_OVERLOADED' : 'code' in decision ? decision.code : undefined;
  if (code !== undefined || 'code' in decision) {
    refuse(message, code!, ctx, code === 'APP_OVERLOADED' ? 1 : undefined);
    return false;
  }
  const { account } = decision;
  const continuation = {
    ...destination(message),
    ...changing(state, user),
    ...after,
    answer: devicesAnswer(account, user),
  };
  const ticket = suspend(state, continuation);
  state.args.committer.commit(
    ctx.self,
    (batch) => {
      batch.putAccount(account);
      write(batch, account);
    },
    ticket,
  );
  return true;
}

export function listDevices(message: Request<'list-devices'>, state: AccountsState, ctx: Ctx): void {
  const account = state.args.store.account(message.user);
  if (account === undefined) return refuse(message, 'APP_UNKNOWN_USER', ctx);
  answer(message, devicesAnswer(account, message.asker), ctx);
}

function devicesAnswer(account: AccountRecord, asker: string): Answer {
  const list = listFor(account, asker);
  return { kind: 'devices', user: account.user, devices: account.devices, list: list && new Uint8Array(list) };
}

export function settleLink(
  link: NonNullable<Continuation['link']>,
  linked: boolean,
  state: AccountsState,
  ctx: Ctx,
): void {
  ctx.cast(state.args.linksOf(link.id), { kind: 'link-settled', ...link, linked } satisfies LinksMessage);
}

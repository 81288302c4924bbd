/**
 * Accounts of one shard: registration of a phone number, devices and their public keys, one-time pre-keys.
 *
 * A user id is drawn so that it falls into the partition of its phone number; so number, account, devices and inbox
 * of a user stand in one shard, and a registration is one commit. The partition of a number is keyed with a secret of
 * the installation, so an id says nothing about a number.
 *
 * Every answer that reports a change waits for its commit. A one-time pre-key of either kind is removed, flushed, and only
 * then handed out: it may be lost in a crash, it is never given twice. Where no one-time KEM pre-key is left, the last-resort
 * one of the device's record stands in. Whether any of the keys is one, those who use it check.
 *
 * Its parts, in `accounts/`:
 *
 *   state.ts          what it is made of                  pre-keys.ts       bundles, and what they use up
 *   registration.ts   a number becomes an account         bundle-limits.ts  who may take how many; pure
 *   linking.ts        devices come and go                 answers.ts        after a commit
 *   devices.ts        what an account becomes; pure
 */

import type { Behavior } from '../runtime/index.ts';
import { answer, refuse } from './answering.ts';
import { newBundleLimits } from './accounts/bundle-limits.ts';
import { linkDevice, listDevices, offerDevice, publishList, settleLink, unlinkDevice } from './accounts/linking.ts';
import { addPreKeys, countPreKeys, noticeLowStock, takeBundle } from './accounts/pre-keys.ts';
import { confirm, requestCode } from './accounts/registration.ts';
import type { AccountsArgs, AccountsState, Ctx, Request } from './accounts/state.ts';
import { onceClaimed } from './committer.ts';
import type { AppCode } from './errors.ts';
import type { AccountsMessage, ConnectionMessage } from './messages.ts';

export const accounts: Behavior<AccountsState, AccountsArgs, AccountsMessage> = {
  name: 'actors/accounts',

  init(args) {
    return onceClaimed(args.committer, () => ({
      args,
      codes: new Map(),
      continuations: new Map(),
      taken: new Set(),
      bundleLimits: newBundleLimits(),
      nextTicket: 1,
    }));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'request-code':
        return requestCode(message, state, ctx);
      case 'confirm':
        return confirm(message, state, ctx);
      case 'find-contact':
        return findContact(message, state, ctx);
      case 'find-device':
        return findDevice(message, state, ctx);
      case 'take-bundle':
        return takeBundle(message, state, ctx);
      case 'offer-device':
        return offerDevice(message, state, ctx);
      case 'link-device':
        return linkDevice(message, state, ctx);
      case 'unlink-device':
        return unlinkDevice(message, state, ctx);
      case 'publish-list':
        return publishList(message, state, ctx);
      case 'list-devices':
        return listDevices(message, state, ctx);
      case 'add-prekeys':
        return addPreKeys(message, state, ctx);
      case 'count-prekeys':
        return answer(message, countPreKeys(state, message.user, message.device), ctx);
      case 'code-sent':
        return proceed(message.ticket, message.ok ? undefined : 'APP_VERIFIER_FAILED', state, ctx);
      case 'committed':
        return proceed(message.ticket, message.result === 'ok' ? undefined : 'APP_STORE_FULL', state, ctx);
    }
  },
};

function findContact(message: Request<'find-contact'>, state: AccountsState, ctx: Ctx): void {
  const user = state.args.store.userOfPhone(message.phone);
  if (user === undefined) return refuse(message, 'APP_UNKNOWN_USER', ctx);
  answer(message, { kind: 'contact', phone: message.phone, user }, ctx);
}

function findDevice(message: Request<'find-device'>, state: AccountsState, ctx: Ctx): void {
  const record = state.args.store.device(message.user, message.device);
  const { count: preKeys, kem: kemPreKeys = 0 } = countPreKeys(state, message.user, message.device);
  ctx.cast(message.connection, { kind: 'device-found', record, preKeys, kemPreKeys } satisfies ConnectionMessage);
}

function proceed(ticket: number, failure: AppCode | undefined, state: AccountsState, ctx: Ctx): void {
  const continuation = state.continuations.get(ticket);
  if (continuation === undefined) return;
  state.continuations.delete(ticket);
  for (const name of continuation.release ?? []) state.taken.delete(name);
  const { link } = continuation;
  if (link !== undefined && failure !== undefined) settleLink(link, false, state, ctx);
  if (failure !== undefined) {
    if (continuation.phone !== undefined) state.codes.delete(continuation.phone);
    return refuse(continuation, failure, ctx);
  }
  if (continuation.taken !== undefined) noticeLowStock(continuation.taken, state, ctx);
  for (const forget of continuation.forget ?? []) ctx.cast(state.args.inboxOf(forget.user), forget);
  if (continuation.reload !== undefined) ctx.cast(state.args.inboxOf(continuation.reload.user), continuation.reload);
  if (link !== undefined) settleLink(link, true, state, ctx);
  answer(continuation, continuation.answer, ctx);
}

/** A phone number becomes an account: a code is sent, comes back, and one commit writes account, device and keys. */

import type { ConfirmRequest, DeviceKeys } from '../../protocol/wire/index.ts';
import type { AppCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { partitionOf } from '../partition.ts';
import type { AccountRecord, StoreBatch } from '../store/inbox-store.ts';
import { changing, destination, isChanging, suspend } from './answers.ts';
import { refuse, type Destination } from '../answering.ts';
import { decideRegistration } from './devices.ts';
import type { AccountsState, Continuation, Ctx, Request } from './state.ts';

export function requestCode(message: Request<'request-code'>, state: AccountsState, ctx: Ctx): void {
  const now = ctx.clock.monotonicMs();
  const pending = state.codes.get(message.phone);
  const waitMs = pending === undefined ? 0 : pending.requestedAtMs + LIMITS.codePauseMsMin - now;
  if (waitMs > 0) return refuse(message, 'APP_RATE_LIMITED', ctx, Math.ceil(waitMs / 1000));
  const code = String(ctx.random.integer(1_000_000)).padStart(6, '0');
  dropOldCodes(state, now);
  state.codes.delete(message.phone);
  state.codes.set(message.phone, { code, requestedAtMs: now, tries: 0 });
  const requested = { kind: 'register', expires: LIMITS.codeAgeMsMax / 1000 } as const;
  const ticket = suspend(state, { ...destination(message), answer: requested, phone: message.phone });
  state.args.sendCode(ctx.self, ticket, message.phone, code);
}

/** Codes stand in the order of their request, so the stale and the surplus ones are at the front. */
function dropOldCodes(state: AccountsState, now: number): void {
  for (const [phone, { requestedAtMs }] of state.codes) {
    const stale = now - requestedAtMs > LIMITS.codeAgeMsMax;
    if (!stale && state.codes.size < LIMITS.pendingCodesMax) return;
    state.codes.delete(phone);
  }
}

export function confirm(message: Request<'confirm'>, state: AccountsState, ctx: Ctx): void {
  const { request } = message;
  const refusal = checkCode(request.phone, request.code, state, ctx) ?? checkKeys(request);
  if (refusal !== undefined) return refuse(message, refusal, ctx);
  if (isChanging(state, state.args.store.userOfPhone(request.phone))) return refuse(message, 'APP_OVERLOADED', ctx, 1);
  state.codes.delete(request.phone);
  register(destination(message), request, state, ctx);
}

function checkCode(phone: string, code: string, state: AccountsState, ctx: Ctx): AppCode | undefined {
  const pending = state.codes.get(phone);
  if (pending === undefined) return 'APP_CODE_EXPIRED';
  const stale = ctx.clock.monotonicMs() - pending.requestedAtMs > LIMITS.codeAgeMsMax;
  if (stale || pending.tries >= LIMITS.codeTriesMax) return 'APP_CODE_EXPIRED';
  pending.tries++;
  return pending.code === code ? undefined : 'APP_BAD_CODE';
}

/** The wire has checked lengths and ids. Whether the signed pre-key is signed, those who use it check. */
function checkKeys(request: ConfirmRequest): AppCode | undefined {
  return request.oneTime.length <= LIMITS.preKeyCountMax ? undefined : 'APP_BAD_KEYS';
}

function register(to: Destination, request: ConfirmRequest, state: AccountsState, ctx: Ctx): void {
  const previous = findAccount(state, request.phone) ?? newAccount(state, request.phone, ctx);
  const account = decideRegistration(previous);
  const device = account.devices[0]!;
  const continuation: Continuation = {
    ...to,
    ...changing(state, account.user),
    answer: { kind: 'account', user: account.user, device },
    forget: previous.devices.map((old) => ({ kind: 'forget-device', user: account.user, device: old })),
  };
  const ticket = suspend(state, continuation);
  state.args.committer.commit(
    ctx.self,
    (batch) => {
      for (const old of previous.devices) batch.removeDevice(account.user, old);
      batch.putAccount(account);
      putDevice(batch, account, device, request);
    },
    ticket,
  );
}

/** Writes a new device, whose creation is the account's latest, with its pre-keys. */
export function putDevice(
  batch: StoreBatch,
  { user, creations: creation }: AccountRecord,
  device: number,
  keys: DeviceKeys,
): void {
  const { registration, login: loginKey, identity: identityKey, signed: signedPreKey, lastResort, oneTime } = keys;
  batch.putDevice(user, device, { creation, registration, loginKey, identityKey, signedPreKey, lastResort });
  for (const preKey of oneTime) batch.putPreKey(user, device, preKey);
}

function findAccount(state: AccountsState, phone: string): AccountRecord | undefined {
  const user = state.args.store.userOfPhone(phone);
  return user === undefined ? undefined : state.args.store.account(user);
}

function newAccount(state: AccountsState, phone: string, ctx: Ctx): AccountRecord {
  const partition = state.args.partitionOfPhone(phone);
  for (;;) {
    const user = drawUserId(ctx);
    if (partitionOf(user) !== partition || state.args.store.account(user) !== undefined) continue;
    return { user, phone, devices: [], creations: 0 };
  }
}

/** 15 digits, the first not zero, uniform. */
function drawUserId(ctx: Ctx): string {
  const high = 100_000 + ctx.random.integer(900_000);
  const low = ctx.random.integer(1_000_000_000);
  return `${high}${String(low).padStart(9, '0')}`;
}

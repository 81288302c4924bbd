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
 */

import type {
  Answer,
  BundleKemKey,
  ConfirmRequest,
  DeviceBundle,
  DeviceKeys,
  PreKeysAnswer,
} from '../protocol/wire/index.ts';
import type { Behavior, Context, Pid } from '../runtime/index.ts';
import { decideBundle, newBundleLimits, type BundleLimits } from './bundle-limits.ts';
import { onceClaimed, type Committer } from './committer.ts';
import type { AppCode } from './errors.ts';
import {
  decideLink,
  decideList,
  decideRegistration,
  decideUnlink,
  listFor,
  nextDeviceId,
  refuseOffer,
  type AccountDecision,
} from './account-devices.ts';
import { LIMITS } from './limits.ts';
import { add, gauge } from './metrics/meter.ts';
import type {
  AccountsMessage,
  ConnectionMessage,
  ForgetDevice,
  InboxMessage,
  LinksMessage,
  ReloadDevices,
} from './messages.ts';
import { partitionOf } from './partition.ts';
import type { RemoteName } from './routes.ts';
import type { AccountRecord, DeviceRecord, InboxStore, PreKey, StoreBatch } from './store/inbox-store.ts';

export interface AccountsArgs {
  readonly store: InboxStore;
  readonly inboxOf: (user: string) => RemoteName;
  /** Who keeps the device that waits under a link id. */
  readonly linksOf: (link: string) => RemoteName;
  /** The partition of a phone number, keyed with the installation's secret. */
  readonly partitionOfPhone: (phone: string) => number;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
  /** Sends a code and casts the outcome to `self` as a `code-sent` message with `ticket`. */
  readonly sendCode: (self: Pid, ticket: number, phone: string, code: string) => void;
}

interface PendingCode {
  readonly code: string;
  readonly requestedAtMs: number;
  tries: number;
}

/** What happens when a commit or a sent code comes back. */
interface Continuation {
  readonly connection: Pid;
  readonly iq: number;
  readonly answer: Answer;
  /** The number whose code is void if it could not be sent. */
  readonly phone?: string;
  /** The device that a registration replaced. */
  readonly forget?: readonly ForgetDevice[];
  /** Devices whose keys went, to be told how many are left. */
  readonly taken?: { readonly user: string; readonly devices: readonly number[] };
  /** A device was linked: the inbox of its user has to know. */
  readonly reload?: ReloadDevices;
  /** The link that this settles, either way. */
  readonly link?: { readonly id: string; readonly user: string; readonly device: number };
  /** Names that are no longer under way. */
  readonly release?: readonly string[];
}

export interface AccountsState {
  readonly args: AccountsArgs;
  /** Codes by phone number, oldest first. */
  readonly codes: Map<string, PendingCode>;
  readonly continuations: Map<number, Continuation>;
  /** What is being committed: pre-keys that go, as `onetime.user.device.id` and `kem.…`; accounts that change, as `account.user`. */
  readonly taken: Set<string>;
  readonly bundleLimits: BundleLimits;
  nextTicket: number;
}

type Ctx = Context;
type Request<K extends AccountsMessage['kind']> = Extract<AccountsMessage, { kind: K }>;

const WITH_ONE_TIME_KEY = gauge('blindbeam_key_bundles_total', { one_time: 'yes' });
const WITHOUT_ONE_TIME_KEY = gauge('blindbeam_key_bundles_total', { one_time: 'no' });

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

// --- registration -----------------------------------------------------------------------------------------------

function requestCode(message: Request<'request-code'>, state: AccountsState, ctx: Ctx): void {
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

function confirm(message: Request<'confirm'>, state: AccountsState, ctx: Ctx): void {
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
function putDevice(
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

// --- several devices --------------------------------------------------------------------------------------------

/** Tells the primary device under which id it would link the one that waits. */
function offerDevice(message: Request<'offer-device'>, state: AccountsState, ctx: Ctx): void {
  const account = state.args.store.account(message.user);
  const code = account === undefined ? 'APP_UNKNOWN_USER' : refuseOffer(account, message.by);
  if (account === undefined || code !== undefined) return refuse(message, code ?? 'APP_UNKNOWN_USER', ctx);
  answer(message, { kind: 'link', ...message.link, device: nextDeviceId(account) }, ctx);
}

/** Device, account and signed list in one commit; the inbox knows the device before anybody is told of it. */
function linkDevice(message: Request<'link-device'>, state: AccountsState, ctx: Ctx): void {
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

function unlinkDevice(message: Request<'unlink-device'>, state: AccountsState, ctx: Ctx): void {
  const { user, device, by, list } = message;
  const forget = [{ kind: 'forget-device', user, device }] as const;
  const decide = (account: AccountRecord): AccountDecision => decideUnlink(account, by, device, list);
  changeDevices(message, decide, { forget }, state, ctx, (batch) => batch.removeDevice(user, device));
}

function publishList(message: Request<'publish-list'>, state: AccountsState, ctx: Ctx): void {
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

function listDevices(message: Request<'list-devices'>, state: AccountsState, ctx: Ctx): void {
  const account = state.args.store.account(message.user);
  if (account === undefined) return refuse(message, 'APP_UNKNOWN_USER', ctx);
  answer(message, devicesAnswer(account, message.asker), ctx);
}

function devicesAnswer(account: AccountRecord, asker: string): Answer {
  const list = listFor(account, asker);
  return { kind: 'devices', user: account.user, devices: account.devices, list: list && new Uint8Array(list) };
}

function settleLink(link: NonNullable<Continuation['link']>, linked: boolean, state: AccountsState, ctx: Ctx): void {
  ctx.cast(state.args.linksOf(link.id), { kind: 'link-settled', ...link, linked } satisfies LinksMessage);
}

// --- look-ups ---------------------------------------------------------------------------------------------------

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

// --- pre-keys ---------------------------------------------------------------------------------------------------

function takeBundle(message: Request<'take-bundle'>, state: AccountsState, ctx: Ctx): void {
  const account = state.args.store.account(message.user);
  if (account === undefined) return refuse(message, 'APP_UNKNOWN_USER', ctx);
  const { user } = account;
  const decision = decideBundle(state.bundleLimits, message.requester, user, ctx.clock.monotonicMs());
  if (decision.kind === 'refused') return refuse(message, 'APP_RATE_LIMITED', ctx, decision.retryAfter);
  const wanted = account.devices.filter((id) => id !== message.except);
  const devices = wanted.flatMap((id) => bundleDevice(state, user, id, decision.oneTime));
  if (devices.length === 0) return refuse(message, 'APP_NO_OTHER_DEVICE', ctx);
  const list = message.withList === true ? account.list && new Uint8Array(account.list) : undefined;
  const bundle = { kind: 'bundle', user, devices, ...(list && { list }) } as const;
  const taken = devices.flatMap((device) => oneTimeKeysOf(user, device));
  if (taken.length === 0) return answer(message, bundle, ctx);
  for (const { name } of taken) state.taken.add(name);
  const ticket = suspend(state, {
    ...destination(message),
    answer: bundle,
    taken: { user, devices: account.devices },
    release: taken.map(({ name }) => name),
  });
  state.args.committer.commit(
    ctx.self,
    (batch) => {
      for (const { remove } of taken) remove(batch);
    },
    ticket,
  );
}

/** @param mayTake - Whether one-time keys are handed out; without, what serves when there are none. */
function bundleDevice(state: AccountsState, user: string, id: number, mayTake: boolean): DeviceBundle[] {
  const record = state.args.store.device(user, id);
  if (record === undefined) return [];
  const { registration, identityKey: identity, signedPreKey: signed } = record;
  const oneTime = mayTake ? firstFreePreKey(state, user, id) : undefined;
  const kem = mayTake ? firstFreeKem(state, user, id, record) : lastResortOf(record);
  add(oneTime === undefined ? WITHOUT_ONE_TIME_KEY : WITH_ONE_TIME_KEY);
  return [{ id, registration, identity, signed, oneTime, kem }];
}

/** The first pre-key that no bundle under way has taken. */
function firstFreePreKey(state: AccountsState, user: string, device: number): PreKey | undefined {
  const candidates = state.args.store.preKeys(user, device, Math.min(state.taken.size + 1, LIMITS.preKeyCountMax));
  return candidates.find((preKey) => !state.taken.has(preKeyName('onetime', user, device, preKey.id)));
}

/** The same of KEM pre-keys; the last-resort one, if the device has any, once they have run out. */
function firstFreeKem(
  state: AccountsState,
  user: string,
  device: number,
  record: DeviceRecord,
): BundleKemKey | undefined {
  const countMax = Math.min(state.taken.size + 1, LIMITS.kemPreKeyCountMax);
  const candidates = state.args.store.kemPreKeys(user, device, countMax);
  const free = candidates.find((preKey) => !state.taken.has(preKeyName('kem', user, device, preKey.id)));
  if (free !== undefined) return { ...free, lastResort: false };
  return lastResortOf(record);
}

function lastResortOf({ lastResort }: DeviceRecord): BundleKemKey | undefined {
  return lastResort && { ...lastResort, lastResort: true };
}

/** What a bundle uses up: the name under which it is under way, and how it goes. */
interface TakenKey {
  readonly name: string;
  readonly remove: (batch: StoreBatch) => void;
}

function oneTimeKeysOf(user: string, { id: device, oneTime, kem }: DeviceBundle): TakenKey[] {
  const taken: TakenKey[] = [];
  if (oneTime !== undefined) {
    const name = preKeyName('onetime', user, device, oneTime.id);
    taken.push({ name, remove: (batch) => batch.removePreKey(user, device, oneTime.id) });
  }
  if (kem?.lastResort === false) {
    const name = preKeyName('kem', user, device, kem.id);
    taken.push({ name, remove: (batch) => batch.removeKemPreKey(user, device, kem.id) });
  }
  return taken;
}

function preKeyName(kind: 'onetime' | 'kem', user: string, device: number, id: number): string {
  return `${kind}.${user}.${device}.${id}`;
}

function addPreKeys(message: Request<'add-prekeys'>, state: AccountsState, ctx: Ctx): void {
  const { user, device, request } = message;
  const { oneTime, kem = [] } = request;
  const record = state.args.store.device(user, device);
  if (record === undefined) return refuse(message, 'APP_UNKNOWN_DEVICE', ctx);
  if (isChanging(state, user)) return refuse(message, 'APP_OVERLOADED', ctx, 1);
  const held = countPreKeys(state, user, device);
  const [count, kemCount] = [held.count + oneTime.length, (held.kem ?? 0) + kem.length];
  const isFull = count > LIMITS.preKeyCountMax || kemCount > LIMITS.kemPreKeyCountMax;
  if (isFull) return refuse(message, 'APP_PREKEYS_FULL', ctx);
  const answer = { kind: 'prekeys', count, kem: kemCount } as const;
  const ticket = suspend(state, { ...destination(message), ...changing(state, user), answer });
  state.args.committer.commit(
    ctx.self,
    (batch) => {
      const { signed: signedPreKey = record.signedPreKey, lastResort = record.lastResort } = request;
      if (request.signed ?? request.lastResort) batch.putDevice(user, device, { ...record, signedPreKey, lastResort });
      for (const preKey of oneTime) batch.putPreKey(user, device, preKey);
      for (const preKey of kem) batch.putKemPreKey(user, device, preKey);
    },
    ticket,
  );
}

function countPreKeys(state: AccountsState, user: string, device: number): PreKeysAnswer {
  const count = state.args.store.preKeys(user, device, LIMITS.preKeyCountMax).length;
  return { kind: 'prekeys', count, kem: state.args.store.countKemPreKeys(user, device, LIMITS.kemPreKeyCountMax) };
}

/** By way of the inbox, which knows whether the device is there. */
function noticeLowStock({ user, devices }: NonNullable<Continuation['taken']>, state: AccountsState, ctx: Ctx): void {
  for (const device of devices) {
    const { count: preKeys, kem: kemPreKeys = 0 } = countPreKeys(state, user, device);
    if (preKeys >= LIMITS.preKeyNoticeCountMax) continue;
    const message = { kind: 'prekeys-low', preKeys, kemPreKeys } as const;
    ctx.cast(state.args.inboxOf(user), { kind: 'tell-device', user, device, message } satisfies InboxMessage);
  }
}

/**
 * A registration removes records that an upload of the old device would write back, and two uploads may write one record: so
 * one change of an account at a time.
 */
function changing(state: AccountsState, user: string): Pick<Continuation, 'release'> {
  state.taken.add(accountName(user));
  return { release: [accountName(user)] };
}

function isChanging(state: AccountsState, user: string | undefined): boolean {
  return user !== undefined && state.taken.has(accountName(user));
}

function accountName(user: string): string {
  return `account.${user}`;
}

// --- answers ----------------------------------------------------------------------------------------------------

interface Destination {
  readonly connection: Pid;
  readonly iq: number;
}

function destination(message: Destination): Destination {
  return { connection: message.connection, iq: message.iq };
}

function suspend(state: AccountsState, continuation: Continuation): number {
  const ticket = state.nextTicket++;
  state.continuations.set(ticket, continuation);
  return ticket;
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

function answer(to: Destination, result: Answer, ctx: Ctx): void {
  ctx.cast(to.connection, { kind: 'answer', iq: to.iq, answer: result } satisfies ConnectionMessage);
}

function refuse(to: Destination, code: AppCode, ctx: Ctx, retryAfter?: number): void {
  const refusal = retryAfter === undefined ? { code } : { code, retryAfter };
  ctx.cast(to.connection, { kind: 'answer-refused', iq: to.iq, refusal } satisfies ConnectionMessage);
}

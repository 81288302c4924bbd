/**
 * Pre-keys: counted, added, and handed out in bundles, each one-time key to one requester.
 *
 * What a bundle takes is removed and flushed first. Who may take how many is decided in `bundle-limits.ts`.
 */

import type { BundleKemKey, DeviceBundle, PreKeysAnswer } from '../../protocol/wire/index.ts';
import { LIMITS } from '../limits.ts';
import type { InboxMessage } from '../messages.ts';
import { add, gauge } from '../metrics/meter.ts';
import type { DeviceRecord, PreKey, StoreBatch } from '../store/inbox-store.ts';
import { changing, destination, isChanging, suspend } from './answers.ts';
import { answer, refuse } from '../answering.ts';
import { decideBundle } from './bundle-limits.ts';
import type { AccountsState, Continuation, Ctx, Request } from './state.ts';

const WITH_ONE_TIME_KEY = gauge('blindbeam_key_bundles_total', { one_time: 'yes' });
const WITHOUT_ONE_TIME_KEY = gauge('blindbeam_key_bundles_total', { one_time: 'no' });

export function takeBundle(message: Request<'take-bundle'>, state: AccountsState, ctx: Ctx): void {
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

export function addPreKeys(message: Request<'add-prekeys'>, state: AccountsState, ctx: Ctx): void {
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

export function countPreKeys(state: AccountsState, user: string, device: number): PreKeysAnswer {
  const count = state.args.store.preKeys(user, device, LIMITS.preKeyCountMax).length;
  return { kind: 'prekeys', count, kem: state.args.store.countKemPreKeys(user, device, LIMITS.kemPreKeyCountMax) };
}

/** By way of the inbox, which knows whether the device is there. */
export function noticeLowStock(
  { user, devices }: NonNullable<Continuation['taken']>,
  state: AccountsState,
  ctx: Ctx,
): void {
  for (const device of devices) {
    const { count: preKeys, kem: kemPreKeys = 0 } = countPreKeys(state, user, device);
    if (preKeys >= LIMITS.preKeyNoticeCountMax) continue;
    const message = { kind: 'prekeys-low', preKeys, kemPreKeys } as const;
    ctx.cast(state.args.inboxOf(user), { kind: 'tell-device', user, device, message } satisfies InboxMessage);
  }
}

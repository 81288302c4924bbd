/**
 * Accounts for a crowd, written into the store of a node before it starts, and a resume ticket for each.
 *
 * Registering a million numbers over the wire takes longer than all that is to be measured afterwards, on a machine that has
 * both ends; so the records are written as the accounts actor writes them, and the tickets are sealed with the installation's
 * secret, as a login would. What comes then is real: each device logs in with the proof of its ticket over a fresh nonce.
 * Nobody signs with these login keys, so they only have their form.
 */

import { randomBytes } from 'node:crypto';
import { ResumeTickets } from '../../actors/resume-ticket.ts';
import { partitionOf, PARTITION_COUNT, shardOfPartition } from '../../actors/partition.ts';
import { openStoreDirectory, partitionOfPhone, shardDirectory, type StoreInfo } from '../../actors/store-directory.ts';
import type { AccountRecord, DeviceRecord } from '../../actors/store/inbox-store.ts';
import { openLmdbStore } from '../../actors/store/lmdb.ts';
import { BenchError } from '../errors.ts';
import type { Holder } from '../generator/native-holder.ts';
import { wallClockNow } from '../harness/clock.ts';

const DEVICE = 1;
const CREATION = 1;
/** Accounts of one commit. */
const BATCH_COUNT = 4_096;
const USER_FIRST = 100_000_000_000_000;

/**
 * Makes `count` accounts in the directory of a node that is not running.
 *
 * @param first - Number of the first; no two nodes share a number.
 * @param workers - Of the node, which decide how many shards a new directory has.
 */
export async function provision(directory: string, first: number, count: number, workers: number): Promise<Holder[]> {
  const store = await openStoreDirectory(directory, workers);
  try {
    const accounts = Array.from({ length: count }, (_, index) => draft(store, first + index));
    for (let shard = 0; shard < store.shards; shard += 1) {
      const own = accounts.filter(({ user }) => shardOfPartition(partitionOf(user), store.shards) === shard);
      await write(store, shard, own);
    }
    const tickets = new ResumeTickets(store.secret);
    const nowMs = wallClockNow().getTime();
    return accounts.map(({ user }) => {
      const { token, secret } = tickets.seal({ user, device: DEVICE, creation: CREATION }, nowMs);
      return { user, device: DEVICE, token, secret };
    });
  } finally {
    await store.release();
  }
}

/** An id that falls into the partition of its phone number, as the accounts actor draws them. */
function draft(store: StoreInfo, number: number): AccountRecord {
  const phone = `+4915${String(number).padStart(9, '0')}`;
  const partition = partitionOfPhone(store, phone);
  let candidate = USER_FIRST + number * PARTITION_COUNT * ROOM;
  while (partitionOf(String(candidate)) !== partition) candidate += 1;
  return { user: String(candidate), phone, devices: [DEVICE], creations: CREATION, primary: DEVICE };
}

/** Ids that are tried for a number before those of the next begin; a partition is missed by all with e^-64. */
const ROOM = 64;

async function write(store: StoreInfo, shard: number, accounts: readonly AccountRecord[]): Promise<void> {
  const onFatal = (error: unknown): never => {
    throw error;
  };
  const shardStore = openLmdbStore({ directory: shardDirectory(store, shard), onFatal });
  const record = deviceRecord();
  for (let at = 0; at < accounts.length; at += BATCH_COUNT) {
    const outcome = await shardStore.commit((batch) => {
      for (const account of accounts.slice(at, at + BATCH_COUNT)) {
        batch.putAccount(account);
        batch.putDevice(account.user, DEVICE, record);
      }
    });
    if (outcome !== 'ok') throw new BenchError('BENCH_SERVER', `the accounts were not written: ${outcome}`);
  }
  await shardStore.close();
}

function deviceRecord(): DeviceRecord {
  const key = Buffer.concat([Buffer.from([5]), randomBytes(32)]);
  return {
    creation: CREATION,
    registration: 1,
    loginKey: randomBytes(32),
    identityKey: key,
    signedPreKey: { id: 1, key, signature: randomBytes(64) },
  };
}

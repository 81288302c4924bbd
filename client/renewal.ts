/**
 * Registering a store's number anew: what of the old device goes, and what stays.
 *
 * The server gives a new device and a new, empty inbox. So the old keys and ratchets go, the inbox position starts again, and what
 * waits in the outbox loses its ciphertext and is encrypted anew. History, watermarks and the identities that were seen
 * of others stay: a fresh start of ours is no reason to trust others blindly again.
 */

import { GROUP_KEYS, GROUP_OUTBOX } from './group-layout.ts';
import { IDENTITY_KEYS } from './identities.ts';
import type { Journal, Transaction } from './journal.ts';
import { KEYS, OUTBOX } from './layout.ts';
import { LIMITS } from './limits.ts';
import { SIGNAL_KEYS } from './sessions.ts';
import type { StoreEntry } from './store.ts';
import { TRANSFER_KEYS } from './transfer-layout.ts';

/** Adds to `transaction` everything that ends with the old device. */
export async function retireDevice(journal: Journal, transaction: Transaction): Promise<void> {
  for await (const { key } of scan(journal, SIGNAL_KEYS.all)) {
    if (!key.startsWith(IDENTITY_KEYS.all)) transaction.delete(key);
  }
  for await (const { key, value } of scan(journal, KEYS.outboxes)) {
    transaction.put(key, OUTBOX.encode({ ...OUTBOX.decode(value), sealed: [] }));
  }
  // In groups we stay; our chain was the old device's.
  for await (const { key } of scan(journal, GROUP_KEYS.sendings)) transaction.delete(key);
  for await (const { key, value } of scan(journal, GROUP_KEYS.outboxes)) {
    transaction.put(
      key,
      GROUP_OUTBOX.encode({ ...GROUP_OUTBOX.decode(value), epoch: 0, ciphertext: new Uint8Array(0) }),
    );
  }
  // Receipts are told by device, of messages that the old one received; the new one has no part in them.
  for await (const { key } of scan(journal, KEYS.readDebts)) transaction.delete(key);
  for await (const { key } of scan(journal, KEYS.readWithheldAll)) transaction.delete(key);
  // The new device has another identity, under which it signs its lists anew, and nobody to tell what it sends.
  for await (const { key } of scan(journal, KEYS.owed)) transaction.delete(key);
  for await (const { key } of scan(journal, TRANSFER_KEYS.all)) transaction.delete(key);
  transaction.delete(KEYS.signedList);
  transaction.delete(KEYS.intake);
  transaction.delete(KEYS.ticket);
}

/** Every entry under a prefix, page by page. */
export async function* scan(journal: Journal, prefix: string): AsyncGenerator<StoreEntry, void> {
  let after = prefix;
  for (;;) {
    const page = await journal.list({ prefix, after, limit: LIMITS.scanCountMax });
    yield* page;
    if (page.length < LIMITS.scanCountMax) return;
    after = page.at(-1)!.key;
  }
}

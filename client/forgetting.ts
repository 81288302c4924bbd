/**
 * Deleting a conversation here: its messages, and what waits for them. Other people and other devices of the account keep what they
 * have; sessions and trust stay, since who writes again is still who they were. What waits in the outbox is still sent.
 */

import { groupOfName, GROUP_KEYS } from './group-layout.ts';
import type { History } from './history.ts';
import type { Journal } from './journal.ts';
import { KEYS, numberOfKey } from './layout.ts';
import { HISTORY } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import { GROUPS_LOCK } from './locks.ts';
import type { Locks } from './locks.ts';
import { scan } from './renewal.ts';

/** What forgetting needs of its client. */
export interface ForgettingServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly history: History;
}

/**
 * Forgets every message of a conversation that is stored when its turn comes.
 *
 * @param name - A user id, or the name of a group.
 * @throws {ClientError} CLI_STORE_FAILED; a part may then be gone, and calling again goes on.
 */
export async function forgetConversation(services: ForgettingServices, name: string): Promise<void> {
  const { journal, locks } = services;
  const group = groupOfName(name);
  await locks.run([name, GROUPS_LOCK], async () => {
    while ((await forgetPage(services, name)) === LIMITS.scanCountMax);
    const transaction = journal.begin();
    const leftovers = [
      KEYS.waitingIn(name),
      group === undefined ? KEYS.retriesOf(name) : GROUP_KEYS.pairwiseUnreadOf(group),
    ];
    for (const prefix of leftovers) {
      for await (const { key } of scan(journal, prefix)) transaction.delete(key);
    }
    await journal.commit(transaction);
  });
}

/** @returns How many there were. */
async function forgetPage({ journal, history }: ForgettingServices, name: string): Promise<number> {
  const page = await journal.list({ prefix: KEYS.historyOf(name), limit: LIMITS.scanCountMax });
  const transaction = journal.begin();
  for (const { key, value } of page) await history.remove(transaction, name, numberOfKey(key), HISTORY.decode(value));
  await journal.commit(transaction);
  return page.length;
}

/** What the simulations of connections share: users with a device each, the way to their inboxes, and their login. */

import { resumeProof, type ResumeTickets } from '../../actors/resume-ticket.ts';
import type { RemoteName, Routes } from '../../actors/routes.ts';
import type { InboxStore } from '../../actors/store/inbox-store.ts';
import { DEVICE } from '../../actors/test-kit.ts';
import type { ClientMessage } from '../../protocol/wire/index.ts';

/** Makes accounts of one device each. */
export async function registerAll(users: readonly string[], store: InboxStore): Promise<void> {
  await store.commit((batch) => {
    for (const user of users) {
      batch.putAccount({ user, phone: `+${user}`, devices: [1], creations: 1 });
      batch.putDevice(user, 1, DEVICE);
    }
  });
}

/** A cluster in which nobody but inboxes is there. */
export function routesToInboxes(inboxOf: Routes['inboxOf'], waitForOwner: Routes['waitForOwner']): Routes {
  const elsewhere = (): RemoteName => ({ name: 'nobody', worker: 0 });
  return {
    inboxOf,
    accountsOf: elsewhere,
    accountsOfPhone: elsewhere,
    mediaOf: elsewhere,
    presenceOf: elsewhere,
    quotasOf: elsewhere,
    relationsOf: elsewhere,
    linksOf: elsewhere,
    groupsOf: elsewhere,
    wakeupsOf: elsewhere,
    isClustered: true,
    waitForOwner,
  };
}

/** The login of the first device of a user, by a ticket. */
export function loginOf(
  user: string,
  tickets: ResumeTickets,
  nonce: Uint8Array,
  nowMs: number,
  features: number,
): ClientMessage {
  const { token, secret } = tickets.seal({ user, device: 1, creation: 1 }, nowMs);
  return { kind: 'resume', user, device: 1, ticket: token, proof: resumeProof(secret, nonce), features };
}

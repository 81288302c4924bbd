/**
 * Joining a group by its link: an admin's device lets people in, so between asking and being there any time may pass.
 */

import type { ClientEvent } from '../index.ts';
import type { Session } from './session.ts';

/** Asks to be let in; a group that one is in already is opened. @throws {ClientError} As `groups.join`. */
export async function joinByLink(session: Session, link: string): Promise<void> {
  const { groups } = session.client;
  const name = await groups.join(link);
  const isMember = (await groups.list()).some((group) => group.name === name && group.role !== undefined);
  if (isMember) return session.openPeer(name);
  session.tell('Asked to be let in. One of the group’s admins has to come online for that.');
}

/** Says that one has been let in, perhaps by a request of an earlier visit, and opens the group unless another chat is open. */
export function tellOfJoining(session: Session): void {
  session.client.onEvent((event) => {
    if (event.type === 'group-joined' && event.byLink) void session.attempt(() => tellJoined(session, event));
  });
}

async function tellJoined(session: Session, { group }: ClientEvent & { readonly type: 'group-joined' }): Promise<void> {
  session.tell(`You joined ${await session.titleOf(group)} by its link.`);
  if (session.openChat === undefined) await session.openPeer(group);
}

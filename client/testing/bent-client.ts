/**
 * What a client says that keeps no rules: any content, under the keys that a person's disk holds, put into an inbox with the server's help.
 *
 * The ratchet of the copy is stepped and thrown away: who was bent says nothing more to the same device by honest means.
 */

import { loadAccount } from '../account.ts';
import { encodeContent } from '../content.ts';
import type { ContentBody } from '../content-body.ts';
import { Identities } from '../identities.ts';
import { Journal } from '../journal.ts';
import { HEAD, KEYS } from '../layout.ts';
import { Sessions } from '../sessions.ts';
import type { Person, World } from './world.ts';

/** Says something in the session that `from` has with the device of `to`, with the next number of their conversation. */
export async function sayAs(world: World, from: Person, to: Person, body: ContentBody): Promise<void> {
  const journal = new Journal(await from.disk.copy().open(), () => {});
  const account = (await loadAccount(journal))!;
  const head = await journal.get(KEYS.head(to.user));
  const id = head === undefined ? 1 : HEAD.decode(head).nextId;
  const content = { id, phone: from.phone, sentAt: world.clock.nowMs(), timerSeconds: 0, isViewOnce: false, body };
  const identities = new Identities(() => true, world.clock, account.user);
  const sessions = new Sessions(account.local, world.random, identities);
  const device = to.client.account!.device;
  const sealed = await sessions.seal(journal.begin(), to.user, [device], encodeContent(content)!);
  if (!Array.isArray(sealed)) throw new Error(`no session to speak in: ${sealed.code}`);
  const { type, ciphertext } = sealed[0]!;
  world.server.inject(to.user, account.user, { id, type, ciphertext, device: account.device });
}

/**
 * What a client says that keeps no rules: any content, under the keys that a person's disk holds, put into an inbox with the server's help.
 *
 * The ratchet of the copy is stepped and thrown away: who was bent says nothing more to the same device by honest means.
 */

import type { PreKeyBundle } from '../../protocol/signal/index.ts';
import { loadAccount } from '../account.ts';
import { encodeContent } from '../content.ts';
import type { ContentBody } from '../content-body.ts';
import { Identities } from '../identities.ts';
import { Journal } from '../journal.ts';
import { HEAD, KEYS } from '../layout.ts';
import { memoryStore } from '../memory-store.ts';
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
  world.server.inject(to.user, account.user, { id, type, ciphertext, device: account.device }, device);
}

/**
 * Says something in the name of a device, with the keys of a thief: what a server can do that adds a device to an account.
 *
 * @param thief - Whose keys the device has.
 * @param as - Under whose name.
 */
export async function speakAs(
  world: World,
  thief: Person,
  as: { readonly user: string; readonly device: number },
  to: Person,
  body: ContentBody,
  id: number = 1,
): Promise<void> {
  const { local } = (await loadAccount(new Journal(await thief.disk.copy().open(), () => {})))!;
  const { user, device } = to.client.account!;
  const sessions = new Sessions(local, world.random, new Identities(() => true, world.clock, as.user));
  const transaction = new Journal(memoryStore(), () => {}).begin();
  const begun = await sessions.establish(transaction, user, bundleOf(world, user, device));
  if ('code' in begun) throw new Error(`no session to speak in: ${begun.code}`);
  const content = { id, phone: '', sentAt: world.clock.nowMs(), timerSeconds: 0, isViewOnce: false, body };
  const sealed = await sessions.seal(transaction, user, [device], encodeContent(content)!);
  if (!Array.isArray(sealed)) throw new Error(`no session to speak in: ${sealed.code}`);
  const { type, ciphertext } = sealed[0]!;
  world.server.inject(user, as.user, { id, type, ciphertext, device: as.device }, device);
}

function bundleOf(world: World, user: string, deviceId: number): PreKeyBundle {
  const { registration, identity, signed, lastResort } = world.server.keysOf(user, deviceId);
  const { id, key: publicKey, signature } = signed;
  return {
    ...{ registrationId: registration, deviceId, identityKey: identity, oneTimePreKey: undefined },
    signedPreKey: { id, publicKey, signature },
    kemPreKey: lastResort && {
      ...{ id: lastResort.id, publicKey: lastResort.key, signature: lastResort.signature, lastResort: true },
    },
  };
}

/** What tests of groups ask of people: who is there, what they read, and what they could read. */

import { decryptFromGroup, isSignalError } from '../../protocol/signal/index.ts';
import { GROUP_KEY, groupOfName } from '../group-layout.ts';
import type { GroupName } from '../group-layout.ts';
import { ALICE, BOB, World } from './world.ts';
import type { Person } from './world.ts';

export const CAROL = '+4915100000003';
export const DAVE = '+4915100000004';

/** A world with a group in it. */
export interface GroupWorld {
  readonly world: World;
  /** The admin. */
  readonly alice: Person;
  readonly bob: Person;
  readonly carol: Person;
  readonly name: GroupName;
  /** Its id, 15 digits. */
  readonly group: string;
}

/** Alice's group with Bob and Carol, all of them live. */
export async function groupWorld(seed: number = 1): Promise<GroupWorld> {
  const world = new World(seed);
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  const { name } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  await world.settle();
  return { world, alice, bob, carol, name, group: groupOfName(name)! };
}

/** Texts received in a group according to the store, oldest first; a placeholder shows its code. */
export async function texts(person: Person, name: string): Promise<string[]> {
  const items = await person.client.history(name, { limit: 256 });
  return items
    .filter((item) => item.direction === 'in')
    .map((item) => (item.kind === 'undecryptable' ? item.code : item.text));
}

/** The phone numbers of a group's members as somebody sees it, admins with a star. */
export async function roster(person: Person, name: string, phones: readonly Person[]): Promise<string> {
  const { members } = await person.client.groups.get(name);
  const nameOf = (user: string): string => NAMES.get(phones.find((each) => each.user === user)?.phone ?? '') ?? '?';
  return members
    .map(({ user, role }) => nameOf(user) + (role === 'admin' ? '*' : ''))
    .sort()
    .join(' ');
}

const NAMES = new Map([
  [ALICE, 'alice'],
  [BOB, 'bob'],
  [CAROL, 'carol'],
  [DAVE, 'dave'],
]);

/**
 * Whether somebody could read a ciphertext with any chain that their disk holds, of whatever sender: what an attacker does who has
 * the whole disk and the server's help.
 */
export async function canRead(person: Person, ciphertext: Uint8Array): Promise<boolean> {
  const store = await person.disk.copy().open();
  const keys = await store.list({ prefix: 'group-key/', limit: 1_000 });
  await store.close();
  return keys.some(({ value }) => !isSignalError(decryptFromGroup(GROUP_KEY.decode(value), ciphertext)));
}

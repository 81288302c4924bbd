/** What tests of groups ask of people. */

import type { Person } from './world.ts';

/** Texts received in a group according to the store, oldest first; a placeholder shows its code. */
export async function texts(person: Person, name: string): Promise<string[]> {
  const items = await person.client.history(name, { limit: 256 });
  return items
    .filter((item) => item.direction === 'in')
    .map((item) => (item.kind === 'undecryptable' ? item.code : item.text));
}

/**
 * A group whose newest messages were in a lost tail, with real nodes and a real NATS server: durability `local`, the server gone, the node of the group's owner
 * killed with its disk before the server is back. What had a check mark in that time is lost, as the documents say; what is written afterwards is at every member once and
 * in order, at those too whose shard lost nothing, and members are told. The same with a node alone: `group-losses.test.ts`.
 */

import t from 'tap';
import type { ClientEvent } from '../../client/index.ts';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { startLocal, untilTail } from './cluster-people.ts';
import { eventsOf, PATIENCE_MS, type Person, until } from './people.ts';

const SHARDS = 4;
const MESSAGES = 10;

/** What members of one group write and see. */
class Company {
  readonly members: readonly Person[];
  readonly #name: string;
  readonly #written: { readonly by: Person; readonly text: string }[] = [];
  /** What each was told of missing messages. */
  readonly holes: ReadonlyMap<Person, readonly ClientEvent[]>;

  constructor(members: readonly Person[], name: string) {
    this.members = members;
    this.#name = name;
    this.holes = new Map(members.map((member) => [member, eventsOf(member, 'group-pruned')]));
  }

  textsOf({ received }: Person): string[] {
    return received.filter(({ group }) => group === this.#name).map(({ text }) => text);
  }

  /** Writes a few messages, one after the other; each has its check mark when this resolves. */
  async write(by: Person, what: string): Promise<void> {
    for (let number = 1; number <= MESSAGES; number++) {
      const text = `${what} ${number} of ${by.phone}`;
      await by.client.send(this.#name, text);
      this.#written.push({ by, text });
    }
  }

  /** Everything of one kind that others than `member` have written, in their orders. */
  due(member: Person, what: string): string[] {
    const others = this.#written.filter(({ by, text }) => by !== member && text.startsWith(what));
    return others.map(({ text }) => text).sort();
  }

  of(member: Person, what: string): string[] {
    return this.textsOf(member).filter((text) => text.startsWith(what));
  }

  /** Waits until `who` have everything of one kind. */
  async untilThere(what: string, who: readonly Person[] = this.members): Promise<void> {
    const isThere = (member: Person): boolean => this.of(member, what).length >= this.due(member, what).length;
    await until(`what was written ${what}`, PATIENCE_MS, () => who.every(isThere));
  }

  /** In the order of writing, of one author. */
  ordered(member: Person, by: Person, what: string): readonly string[] {
    return this.of(member, what).filter((text) => text.endsWith(by.phone));
  }

  written(by: Person, what: string): readonly string[] {
    return this.#written.filter((each) => each.by === by && each.text.startsWith(what)).map(({ text }) => text);
  }
}

t.test('a group whose tail is lost', hasNatsServer() ? {} : { skip: 'nats-server is not installed' }, async (t) => {
  // All clients are on the node whose tail will be lost, which owns the shards of two of them, and so that of the group.
  const { cluster, server, near, far } = await startLocal(t, SHARDS);
  const [alice, bob] = near;
  const { name } = await alice.client.groups.create('Harbour', [bob.phone, far.phone]);
  const company = new Company([alice, bob, far], name);
  await company.write(alice, 'before');
  await company.untilThere('before');

  server.signal('SIGKILL');
  await company.write(alice, 'alone');
  await company.untilThere('alone', [bob]);
  await untilTail(cluster, 'a', 'there');
  await cluster.kill('a');
  await server.restart();
  cluster.node('b').isOut = false;
  await cluster.restart('a', 'lost');

  for (const member of company.members) await company.write(member, 'after');
  await company.untilThere('after');
  for (const member of company.members) {
    for (const by of company.members.filter((each) => each !== member))
      t.strictSame(company.ordered(member, by, 'after'), company.written(by, 'after'), 'once and in order');
    t.strictSame(company.of(member, 'before').sort(), company.due(member, 'before'), 'and so what was before');
  }
  t.strictSame(company.of(far, 'alone'), [], 'what was in the tail is nowhere but where it was delivered');
  t.strictSame(company.of(bob, 'alone'), company.written(alice, 'alone'), 'once');
  for (const member of company.members) {
    const holes = company.holes.get(member)!;
    await until(`${member.phone} to be told`, PATIENCE_MS, () => holes.length > 0);
    t.match(holes[0], { group: name, code: 'APP_RESTORED' }, 'members are told that some may be missing');
  }
  const doubted = cluster.all().some(({ lines }) => lines.some(({ event }) => event === 'shard_doubted'));
  t.ok(doubted, 'a shard was served in doubt');
});

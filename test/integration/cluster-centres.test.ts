/**
 * Two data centres, joined by leaf connections between their NATS servers, and the line between them cut: people of one centre do not notice, messages for the other
 * have their check marks and come once and in order after the heal, also from somebody who is gone by then, and no shard changes its owner.
 * `CLUSTER_CENTRES=long` does it with two nodes and three servers in each, twice, and with a node that is killed in a cut.
 */

import t from 'tap';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { newPerson, PATIENCE_MS, type Person, until } from './people.ts';
import { type Centre, TwoCentres } from './two-centres.ts';

const IS_LONG = process.env.CLUSTER_CENTRES === 'long';
const WAIT_MS = PATIENCE_MS;
const MESSAGES = 25;

function numbered(what: string): string[] {
  return Array.from({ length: MESSAGES }, (_, index) => `${what} ${index + 1}`);
}

/** What one person wrote to another, all of it, in order. */
class Conversation {
  readonly from: Person;
  readonly to: Person;
  readonly written: string[] = [];

  constructor(from: Person, to: Person) {
    this.from = from;
    this.to = to;
  }

  /** Resolves when all of it has its check marks. */
  async write(texts: readonly string[]): Promise<void> {
    this.written.push(...texts);
    const sent = await Promise.all(texts.map((text) => this.from.client.enqueue(this.to.phone, text)));
    await Promise.all(sent.map((each) => each.sent));
  }

  get read(): string[] {
    const { from, to } = this;
    return to.received
      .filter(({ phone, group }) => phone === from.phone && group === undefined)
      .map(({ text }) => text);
  }

  untilRead(): Promise<void> {
    const { from, to } = this;
    return until(`what ${from.phone} wrote to ${to.phone}`, WAIT_MS, () => this.read.length >= this.written.length);
  }
}

if (IS_LONG) t.setTimeout(0);
t.test('two data centres', hasNatsServer() ? {} : { skip: 'nats-server is not installed' }, async (t) => {
  const [nodes, servers] = IS_LONG ? [2, 3] : [1, 1];
  const centres = await TwoCentres.start(t, { nodes, servers, flags: ['--cluster-shards', '4'] });
  const { east, west } = centres;
  const [alice, bob, carol, dave] = (await Promise.all([
    newPerson(t, east.door, '+4915100000001'),
    newPerson(t, east.door, '+4915100000002'),
    newPerson(t, west.door, '+12025550001'),
    newPerson(t, west.door, '+12025550002'),
  ])) as [Person, Person, Person, Person];
  const near = [new Conversation(alice, bob), new Conversation(carol, dave)];
  const far = [new Conversation(alice, carol), new Conversation(dave, bob)];
  const all = [...near, ...far];
  await Promise.all(all.map((each) => each.write(['hello'])));
  await Promise.all(all.map((each) => each.untilRead()));
  const mixed = await alice.client.groups.create('Across', [bob.phone, carol.phone]);
  const textsOf = ({ received }: Person): string[] =>
    received.filter(({ group }) => group === mixed.name).map(({ text }) => text);
  const writtenAcross: string[] = [];
  const writeAcross = async (text: string): Promise<void> => {
    writtenAcross.push(text);
    await alice.client.send(mixed.name, text);
  };
  const untilIn = (who: Person): Promise<void> =>
    until(`what is in the group for ${who.phone}`, WAIT_MS, () => textsOf(who).length >= writtenAcross.length);
  await writeAcross('hello, all');
  await Promise.all([untilIn(bob), untilIn(carol)]);

  /** The slowest of some messages, one after the other, from writing to the check mark, milliseconds. */
  const slowest = async (each: Conversation, texts: readonly string[]): Promise<number> => {
    let [longest, beganMs] = [0, performance.now()];
    for (const text of texts) {
      await each.write([text]);
      const nowMs = performance.now();
      [longest, beganMs] = [Math.max(longest, nowMs - beganMs), nowMs];
    }
    return longest;
  };
  const beforeMs = await slowest(near[0]!, numbered('before'));
  const rounds = IS_LONG ? ['in a cut', 'in another'] : ['in a cut'];
  for (const round of rounds) {
    const cut = centres.cut(WAIT_MS);
    const duringMs = await slowest(near[0]!, numbered(`as the line goes, ${round}`));
    await cut;
    // They wait in the outboxes of their senders' shards.
    await Promise.all(far.map((each) => each.write(numbered(round))));

    await Promise.all(near.map((each) => each.write(numbered(round))));
    await Promise.all(near.map((each) => each.untilRead()));
    for (const { read, written } of near) t.strictSame(read, written, 'people of one centre go on');
    await writeAcross(round);
    await untilIn(bob);
    t.not(textsOf(carol).length, writtenAcross.length, 'a group in both centres goes on where its maker lives');
    const group = await alice.client.groups.create(`Harbour ${round}`, [bob.phone]);
    const message = await alice.client.send(group.name, `to the group ${round}`);
    await message.delivered;
    const erin = await newPerson(t, west.door, round === 'in a cut' ? '+12025550003' : '+12025550004');
    await carol.client.send(erin.phone, 'welcome');
    await until('somebody new to be written to', WAIT_MS, () => erin.received.length === 1);
    if (round === 'in another') await killAndRestart();
    t.equal(centres.probe.leaked, 0, 'the line was cut');
    t.notOk(far.some(({ read, written }) => read.length === written.length));
    // Who has written is not there any more when the line is back.
    if (round === rounds.at(-1)) await dave.client.close();

    const healedMs = performance.now();
    centres.heal();
    await Promise.all(far.map((each) => each.untilRead()));
    await untilIn(carol);
    const [before, during, after] = [beforeMs, duringMs, performance.now() - healedMs].map(Math.round);
    t.comment(`slowest of ${MESSAGES} at home: ${before} ms before, ${during} ms as the line goes`);
    t.comment(`all that waited was there ${after} ms after the heal`);
    for (const { read, written } of all) t.strictSame(read, written, 'each message once and in order');
    for (const who of [bob, carol]) t.strictSame(textsOf(who), writtenAcross, 'and so in the group');
  }

  const moved = (centre: Centre): number =>
    centre.count(({ event, epoch }) => event === 'shard_served' && Number(epoch) > 1);
  t.equal(moved(east), 0, 'no shard has changed its owner');
  if (!IS_LONG) t.equal(moved(west), 0);

  /** Its neighbour takes its shards over, and its people go there: the other centre is not asked. */
  async function killAndRestart(): Promise<void> {
    await centres.kill(west, 1);
    await near[1]!.write(['a node is gone']);
    await near[1]!.untilRead();
    await centres.restart(west, 1);
  }
});

/**
 * Durability `local` with real nodes and a real NATS server: while that is away the users of a node go on, also over the end of their process, and what
 * was acknowledged meanwhile is on the other node soon after the server is back.
 * `CLUSTER_LOCAL=long` goes on with a node that is killed in a cut, and then loses its disk.
 */

import t from 'tap';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { startLocal, untilTail } from './cluster-people.ts';
import { pause, type Person, until, PATIENCE_MS } from './people.ts';

const IS_LONG = process.env.CLUSTER_LOCAL === 'long';
const SHARDS = 4;
const MESSAGES = 40;

async function write(from: Person, to: Person, texts: readonly string[]): Promise<void> {
  for (const text of texts) await from.client.send(to.phone, text);
}

function textsTo(person: Person, from: Person): string[] {
  return person.received.filter(({ phone }) => phone === from.phone).map(({ text }) => text);
}

function numbered(what: string): string[] {
  return Array.from({ length: MESSAGES }, (_, index) => `${what} ${index + 1}`);
}

t.test('local durability', hasNatsServer() ? {} : { skip: 'nats-server is not installed' }, async (t) => {
  // All clients are on the node whose users go on.
  const { cluster, server, near, far } = await startLocal(t, SHARDS);
  const [alice, bob] = near;
  await write(alice, bob, ['hello']);
  await write(alice, far, ['hello']);
  const expected = ['hello'];
  const toFar = ['hello'];

  /** Alice writes to both while NATS is away, and has her check marks: what is for elsewhere waits in the outbox of her shard. */
  const writeAlone = async (what: string): Promise<void> => {
    server.signal('SIGKILL');
    const near = numbered(what);
    expected.push(...near);
    await write(alice, bob, near);
    await until('all that was written in the cut', PATIENCE_MS, () => textsTo(bob, alice).length === expected.length);
    t.strictSame(textsTo(bob, alice), expected, 'alice has her check marks, and bob the messages');
    toFar.push(...near);
    const waiting = near.map(async (text) => (await alice.client.enqueue(far.phone, text)).sent);
    await Promise.all(waiting);
    t.notOk(textsTo(far, alice).includes(near[0]!), 'and she has them for what is not there yet');
  };
  const untilFarHasAll = async (): Promise<void> => {
    await until('what was for elsewhere', PATIENCE_MS, () => textsTo(far, alice).length === toFar.length);
    t.strictSame(textsTo(far, alice), toFar, 'what was for elsewhere came after');
  };

  await writeAlone('in a cut');
  await untilTail(cluster, 'a', 'there');
  await server.restart();
  await untilFarHasAll();
  await untilTail(cluster, 'a', 'empty');
  t.notOk(
    cluster.node('b').process.lines.some(({ event, epoch }) => event === 'shard_served' && Number(epoch) > 1),
    'nobody took over',
  );

  if (!IS_LONG) return;
  await writeAlone('in another');
  await cluster.kill('a');
  await server.restart();
  // Longer than any lease: a standby that took over would have done it by now.
  await pause(5_000);
  t.notOk(
    cluster.node('b').process.lines.some(({ event, epoch }) => event === 'shard_served' && Number(epoch) > 1),
    'nobody takes over what may have a tail',
  );
  await cluster.restart('a');
  const { lines } = cluster.node('a').process;
  t.ok(
    lines.some(({ event, count }) => event === 'tail_goes_on' && Number(count) > 0),
    'a tail outlived its process',
  );
  await untilFarHasAll();

  // The proof that the other node has the tail: this one loses its disk.
  await untilTail(cluster, 'a', 'empty');
  await pause(3_000);
  await cluster.kill('a');
  cluster.node('b').isOut = false;
  await cluster.restart('a', 'lost');
  await write(alice, bob, ['after the loss']);
  await until('it', PATIENCE_MS, () => textsTo(bob, alice).length === expected.length + 1);
  t.strictSame(textsTo(bob, alice), [...expected, 'after the loss'], 'once and in order');
  t.ok(cluster.node('b').process.lines.some(({ event, epoch }) => event === 'shard_served' && Number(epoch) > 1));
});

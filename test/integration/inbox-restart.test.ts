/** The inbox actor of a real node ends under load, again and again, over a store that stays open. */

import { randomInt } from 'node:crypto';
import t from 'tap';
import { inboxName } from '../../actors/routes.ts';
import { findFaults } from './delivery-check.ts';
import { startNearNode } from './near-node.ts';
import { newPerson, pause, until, type Person, PATIENCE_MS } from './people.ts';
import { untilComplete, Writer } from './writer.ts';

/** Fewer than the restarts in ten seconds that end the tree. */
const KILLS = 4;
/** Of each writer, before every other kill: there is load. */
const LOAD = 11;

t.test('nothing acknowledged is lost, doubled or out of order, and nothing stays behind', async (t) => {
  const near = await startNearNode(t);
  const people: Person[] = [];
  for (const phone of ['+4915100000001', '+4915100000002', '+4915100000003']) {
    people.push(await newPerson(t, near, phone));
  }
  const [alice, bob, carol] = people as [Person, Person, Person];
  const writers = [new Writer(alice, bob), new Writer(bob, alice), new Writer(carol, bob)];
  for (let kill = 0; kill < KILLS; kill++) {
    const before = writers.map(({ acknowledged }) => acknowledged.size);
    const isLoaded = (): boolean =>
      writers.every(({ acknowledged }, index) => acknowledged.size >= before[index]! + LOAD);
    // Every other time in the middle of a life, otherwise while connections are coming back to the one before.
    if (kill % 2 === 0) await until('load before the kill', PATIENCE_MS, isLoaded);
    await pause(kill % 2 === 0 ? randomInt(300, 900) : randomInt(0, 30));
    const inbox = near.node.whereis(inboxName(0))!;
    near.node.exit(inbox, 'kill');
    await until('the next life', PATIENCE_MS, () => ![undefined, inbox].includes(near.node.whereis(inboxName(0))));
  }
  await Promise.all(writers.map((writer) => writer.finish()));
  await untilComplete(t, writers);
  for (const writer of writers) {
    const transcript = writer.transcript();
    t.ok(transcript.sent.length > 20, 'there was load');
    t.strictSame(findFaults(transcript), [], `${transcript.sent.length} messages`);
    t.equal(transcript.acknowledged.size, transcript.sent.length, 'all were acknowledged in the end');
  }
  const queuedBytes = async (): Promise<number> => {
    const statistics = await near.node.call<{ readonly queuedBytes: number }>(inboxName(0), 'statistics', PATIENCE_MS);
    return statistics.queuedBytes;
  };
  let left = await queuedBytes();
  for (let waitedMs = 0; waitedMs < PATIENCE_MS && left > 0; waitedMs += 20) {
    await pause(20);
    left = await queuedBytes();
  }
  t.equal(left, 0, 'everything was acknowledged and removed');
});

import { randomInt } from 'node:crypto';
import t, { type Test } from 'tap';
import { claimPort } from '../../actors/host/port.ts';
import { findFaults } from './delivery-check.ts';
import { newPerson, pause, PATIENCE_MS, type Person, until } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';
import { untilComplete, Writer } from './writer.ts';

const KILLS = 20;
const FLAGS = ['--workers', '2'];

t.test('the check sees what it looks for', async (t) => {
  const sent = ['a', 'b', 'c'];
  const acknowledged = new Set(['a', 'b']);
  const faults = (received: string[]): string[] => findFaults({ sent, acknowledged, received });
  t.strictSame(faults(['a', 'b', 'c']), []);
  t.strictSame(faults(['a', 'b']), [], 'what was not acknowledged may be under way');
  t.match(faults(['a']), ['"b" was acknowledged and is lost']);
  t.match(faults(['a', 'b', 'b']), ['"b" came 2 times']);
  t.match(faults(['b', 'a']), ['"a" came after "b"']);
  t.match(faults(['a', 'b', 'x']), ['"x" was never sent']);
});

async function killAndRestart(t: Test, server: ServerProcess, directory: string, port: number): Promise<ServerProcess> {
  await server.kill();
  return ServerProcess.start(t, directory, [...FLAGS, '--port', String(port)]);
}

t.test(
  `killed ${KILLS} times at random moments under load: nothing acknowledged is lost, doubled or out of order`,
  async (t) => {
    const directory = temporaryDirectory(t);
    const port = await claimPort('127.0.0.1', 0);
    let server = await ServerProcess.start(t, directory, ['--workers', '2', '--port', String(port)]);
    const people = [];
    for (const phone of ['+4915100000001', '+4915100000002', '+4915100000003'])
      people.push(await newPerson(t, server, phone));
    const [alice, bob, carol] = people as [Person, Person, Person];
    const writers = [new Writer(alice, bob), new Writer(bob, alice), new Writer(alice, carol), new Writer(carol, bob)];
    const acknowledged = (): number => writers.reduce((sum, writer) => sum + writer.acknowledged.size, 0);
    for (let kill = 0; kill < KILLS; kill++) {
      const before = acknowledged();
      // Every other time in the middle of traffic, otherwise whenever it is: people may still be on their way back.
      if (kill % 2 === 0) await until('traffic between the kills', PATIENCE_MS, () => acknowledged() > before);
      await pause(randomInt(50, 500));
      server = await killAndRestart(t, server, directory, port);
    }
    await Promise.all(writers.map((writer) => writer.finish()));
    await untilComplete(t, writers);
    await pause(300);
    for (const writer of writers) {
      const transcript = writer.transcript();
      t.strictSame(findFaults(transcript), [], `${transcript.sent.length} messages`);
      t.equal(transcript.acknowledged.size, transcript.sent.length, 'all were acknowledged in the end');
    }
  },
);

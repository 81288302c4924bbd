/**
 * A backlog larger than a packet between threads, for people whose inbox is on another worker than their connection: all
 * of it arrives, in order. Nothing acknowledged to its sender may fall between two threads.
 */

import t from 'tap';
import type { Client } from '../../client/index.ts';
import { attend, newPerson, openClient, until, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

/** Which worker a person's inbox and connection are on is chance: with so many, some are apart. */
const PEOPLE = 8;
/** Times 4.6 KB of ciphertext: three times the largest packet. */
const MESSAGES = 90;

t.test('a backlog of large messages comes whole', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '3']);
  const sender = await newPerson(t, server, '+4915100000001');
  const phones = Array.from({ length: PEOPLE }, (_, index) => `+49152000000${10 + index}`);
  const clients: Client[] = [];
  for (const phone of phones) {
    const client = await openClient(server.url);
    t.teardown(() => client.close());
    await client.requestCode(phone);
    await client.confirmCode(phone, await server.code(phone));
    clients.push(client);
  }
  const texts = Array.from({ length: MESSAGES }, (_, index) => `${index} ${'x'.repeat(4_000)}`);
  for (const phone of phones) {
    const messages = [];
    for (const text of texts) messages.push(await sender.client.enqueue(phone, text));
    await Promise.all(messages.map((message) => message.sent));
  }
  for (const [index, phone] of phones.entries()) {
    const client = clients[index]!;
    await client.connect();
    const { received } = attend(phone, client);
    await until(`the backlog of ${phone}`, PATIENCE_MS, () => received.length >= MESSAGES).catch((error: Error) => {
      t.fail(error.message);
    });
    t.strictSame(
      received.map(({ text }) => text),
      texts,
    );
  }
});

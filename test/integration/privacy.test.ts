import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attend, newPerson, openClient, until, PATIENCE_MS } from './people.ts';
import { newClient, register } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const SECRET = 'meet me at the old harbour at noon, bring the blue envelope';

/** The ways in which a text could stand somewhere in the clear. */
function disguises(text: string): Buffer[] {
  const utf8 = Buffer.from(text);
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.from(Buffer.from(text.slice(offset, offset + 30)).toString('base64')),
  );
  return [utf8, Buffer.from(text, 'utf16le'), Buffer.from(utf8.toString('hex')), ...base64];
}

function shows(haystack: Buffer, text: string): boolean {
  return disguises(text).some((needle) => haystack.includes(needle));
}

/** Every byte of every file below `directory`, one after the other. */
function allFiles(directory: string): Buffer {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name))));
}

/** A relay on the way to the server that keeps what passes, in both directions, without the WebSocket mask. */
class Wiretap {
  readonly #server: Server;
  readonly #chunks: Buffer[] = [];
  url = '';

  constructor(target: string) {
    const { port } = new URL(target);
    this.#server = createServer((socket) => {
      const upstream = connect(Number(port), '127.0.0.1');
      const keep = (chunk: Buffer): void => void this.#chunks.push(chunk);
      socket.on('data', keep).on('error', () => upstream.destroy());
      upstream.on('data', keep).on('error', () => socket.destroy());
      socket.pipe(upstream).pipe(socket);
    });
  }

  async listen(t: Test): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => this.#server.close());
    this.url = `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`;
    return this;
  }

  /** What was heard. Clients mask their bytes with four of their own; a mask hides nothing, so it is taken off. */
  heard(): Buffer {
    return Buffer.concat(this.#chunks.flatMap((chunk) => [chunk, ...unmask(chunk)]));
  }
}

/** Every reading of `chunk` as a masked frame that starts somewhere in it. */
function unmask(chunk: Buffer): Buffer[] {
  const readings: Buffer[] = [];
  for (let at = 0; at + 8 < chunk.length; at++) {
    if (chunk[at] !== 0x82 || (chunk[at + 1]! & 0x80) === 0) continue;
    const header = { 126: 4, 127: 10 }[chunk[at + 1]! & 0x7f] ?? 2;
    const mask = chunk.subarray(at + header, at + header + 4);
    readings.push(Buffer.from(chunk.subarray(at + header + 4).map((byte, index) => byte ^ mask[index & 3]!)));
  }
  return readings;
}

t.test('the search finds a text that is there', async (t) => {
  for (const needle of disguises(SECRET)) t.ok(shows(Buffer.concat([Buffer.alloc(99), needle]), SECRET));
  t.notOk(shows(Buffer.from('something else entirely'), SECRET));
});

t.test('a text that a client sends in the clear is found on the wire and on the disk: the control', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory);
  const tap = await new Wiretap(server.url).listen(t);
  const bob = await register(server, '+4915100000002');
  const real = server.url;
  server.url = tap.url;
  const { client } = await newClient(server, '+4915100000001');
  server.url = real;
  const ciphertext = new TextEncoder().encode(SECRET);
  client.send({
    kind: 'message',
    to: bob.user,
    id: 1,
    envelopes: [{ device: bob.device, type: 'ratchet', ciphertext }],
  });
  await client.next('ack');
  t.ok(shows(tap.heard(), SECRET), 'on the wire');
  t.ok(shows(allFiles(directory), SECRET), 'on the disk');
  client.close();
});

t.test('a text that the SDK sends is nowhere: not on the wire, not on the disk, not in the log', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--log-level', 'debug']);
  const tap = await new Wiretap(server.url).listen(t);
  const tapped = Object.assign(Object.create(server) as ServerProcess, {
    url: tap.url,
    code: server.code.bind(server),
  });
  const alice = await newPerson(t, tapped, '+4915100000001');
  const bob = await newPerson(t, tapped, '+4915100000002');
  await alice.client.send(bob.phone, SECRET);
  await until('the text to arrive', PATIENCE_MS, () => bob.received.some((message) => message.text === SECRET));
  await bob.client.close();
  await alice.client.send(bob.phone, `${SECRET} (while bob is away)`);
  t.ok(allFiles(directory).length > 10_000, 'there is something to search');
  t.notOk(shows(allFiles(directory), SECRET), 'on the disk, while a message waits');
  t.notOk(shows(tap.heard(), SECRET), 'on the wire');
  t.equal(await server.stop(), 0, 'stopped in order');
  t.notOk(shows(allFiles(directory), SECRET), 'on the disk, afterwards');
  t.notOk(shows(Buffer.from(JSON.stringify(server.lines)), SECRET), 'in the log');
});

t.test('what waited comes in order when somebody is back', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  const alice = await newPerson(t, server, '+4915100000001');
  const store = join(temporaryDirectory(t), 'bob');
  const { diskStore } = await import('../../client/node/disk-store.ts');
  const bob = await newPerson(t, server, '+4915100000002', diskStore(store));
  await bob.client.close();
  const messages = [];
  for (let number = 1; number <= 50; number++) messages.push(await alice.client.send(bob.phone, `number ${number}`));
  const again = attend(bob.phone, await openClient(server.url, diskStore(store)));
  t.teardown(() => again.client.close());
  await again.client.connect();
  await until('all to arrive', PATIENCE_MS, () => again.received.length === 50);
  t.strictSame(
    again.received.map((message) => message.text),
    messages.map((message) => message.text),
  );
  await messages.at(-1)!.delivered;
  await again.received.at(-1)!.markRead();
  await messages[0]!.read;
  t.equal(messages[0]!.state, 'read');
});

/**
 * kill -9 of a sending process, again and again: what its disk promised arrives once and in order.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { memoryStore } from '../memory-store.ts';
import { CODE } from '../testing/fake-server.ts';
import { createClient } from './index.ts';
import { listen } from './testing/socket-server.ts';

const ALICE = '+4915100000001';
const BOB = '+4915100000002';
const KILL_COUNT = 6;

const directory = await mkdtemp(join(tmpdir(), 'blindbeam-crash-'));
const { url, server, close } = await listen();
t.teardown(async () => {
  await close();
  await rm(directory, { recursive: true });
});

/** Runs the sender until it has promised `count` numbers more, then kills it; the last number that it said. */
async function sendAndDie(count: number): Promise<number> {
  const script = fileURLToPath(new URL('./testing/crash-sender.js', import.meta.url));
  const child = spawn(process.execPath, [script, url, directory, BOB], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  let last = -1;
  let said = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if ((said += 1) === count) child.kill('SIGKILL');
  }
  await gone;
  return last;
}

t.test(`a sender killed ${KILL_COUNT} times`, async (t) => {
  const bob = await createClient({ url, store: memoryStore() });
  await bob.requestCode(BOB);
  await bob.confirmCode(BOB, CODE);
  await bob.connect();
  const alice = await createClient({ url, store: directory });
  await alice.requestCode(ALICE);
  await alice.confirmCode(ALICE, CODE);
  await alice.connect();
  await alice.resolve(BOB);
  await alice.close();
  let promised = -1;
  for (let kill = 0; kill < KILL_COUNT; kill += 1) promised = await sendAndDie(20 + kill * 7);
  const survivor = await createClient({ url, store: directory });
  await survivor.connect();
  const message = await survivor.send(BOB, 'end');
  await message.delivered;
  const received: string[] = [];
  for await (const { text } of bob.messages()) {
    received.push(text);
    if (text === 'end') break;
  }
  const numbers = received.slice(0, -1).map(Number);
  t.same(
    numbers,
    numbers.map((_, index) => index),
    'each once, in order, without a hole',
  );
  t.ok(numbers.length > promised, `${numbers.length} received, ${promised + 1} promised`);
  t.equal(server.inboxCount(bob.account!.user), 0);
  await Promise.all([survivor.close(), bob.close()]);
});

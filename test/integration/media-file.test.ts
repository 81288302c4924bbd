/** Files on the disk, from one person to another, through a real node. */

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { saveFile, uploadFile } from '../../client/node/index.ts';
import { newPerson, until, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const ALICE = '+4915100000001';
const BOB = '+4915100000002';

t.test('a file arrives as a file; nothing is overwritten, and nothing wrong is left behind', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, join(directory, 'data'));
  const alice = await newPerson(t, server, ALICE);
  const bob = await newPerson(t, server, BOB);
  const source = join(directory, 'photo.jpg');
  writeFileSync(source, Buffer.alloc(300_000, 'not quite a photo'));
  await alice.client.send(BOB, { kind: 'attachment', ...(await uploadFile(alice.client, source)) });
  await until('the message', PATIENCE_MS, () => bob.received.length > 0);
  const [message] = bob.received;
  if (message?.kind !== 'attachment') return void t.fail(`got ${message?.kind}`);
  const { attachment } = message;
  t.match(attachment, { name: 'photo.jpg', type: 'image/jpeg', bytes: 300_000 });

  const target = join(directory, 'saved.jpg');
  await saveFile(bob.client, attachment, target);
  t.ok(readFileSync(source).equals(readFileSync(target)));
  t.equal(statSync(target).mode & 0o777, 0o600);
  await t.rejects(saveFile(bob.client, attachment, target), { code: 'EEXIST' });
  t.ok(existsSync(target), 'what was there is there');
  const wrong = { ...attachment, digest: new Uint8Array(32) };
  await t.rejects(saveFile(bob.client, wrong, join(directory, 'wrong')), { code: 'SIG_STREAM_WRONG_DIGEST' });
  t.strictSame(readdirSync(directory).sort(), ['data', 'photo.jpg', 'saved.jpg']);
});

import { execFileSync } from 'node:child_process';
import t, { type Test } from 'tap';
import type { ServerMessage } from '../../protocol/wire/index.ts';
import { pause, PATIENCE_MS } from './people.ts';
import { newClient, RawClient, register } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const DISK_MEGABYTES = 56;

/** Why no small disk can be mounted here, or false. */
const unavailable: string | false =
  process.platform === 'linux' && process.getuid?.() === 0 ? false : 'needs root on Linux, to mount a small disk';

function mountSmallDisk(t: Test): string {
  const directory = temporaryDirectory(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m`, 'tmpfs', directory], { stdio: 'pipe' });
  t.teardown(() => execFileSync('umount', ['-l', directory]));
  return directory;
}

function message(to: string, id: number) {
  const ciphertext = new Uint8Array(10_000).fill(id);
  return { kind: 'message', to, id, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] } as const;
}

/** Sends one message and resolves to its acknowledgement or refusal. */
async function sendOne(client: RawClient, to: string, id: number): Promise<ServerMessage> {
  client.inbox.length = 0;
  client.send(message(to, id));
  for (;;) {
    const answer = client.inbox.find((each) => (each.kind === 'ack' || each.kind === 'error') && each.id === id);
    if (answer !== undefined) return answer;
    await pause(1);
  }
}

t.test(
  'on a full disk new messages are refused, the others delivered, and then there is room again',
  { skip: unavailable },
  async (t) => {
    const server = await ServerProcess.start(t, `${mountSmallDisk(t)}/store`, ['--workers', '1']);
    const alice = await newClient(server, '+4915100000001');
    const bob = await register(server, '+4915100000002');
    let accepted = 0;
    let answer = await sendOne(alice.client, bob.user, 1);
    for (; answer.kind === 'ack'; answer = await sendOne(alice.client, bob.user, accepted + 1)) accepted++;
    t.match(answer, { kind: 'error', code: 'APP_STORE_FULL' });
    t.ok(accepted > 500, `${accepted} messages fit`);
    const client = new RawClient(server.url);
    await client.login(bob);
    for (let id = 1; id <= accepted; id++) {
      const { seq } = await client.next('message', (each) => each.id === id);
      if (id % 20 === 0 || id === accepted) client.send({ kind: 'inbox-ack', seq });
    }
    t.ok(
      await alice.client.next('receipt', (receipt) => receipt.id === accepted),
      'each acknowledged message was delivered',
    );
    // The disk is looked at again in a second or so.
    let again = await sendOne(alice.client, bob.user, accepted + 1);
    for (let waitedMs = 0; waitedMs < PATIENCE_MS && again.kind !== 'ack'; waitedMs += 100) {
      await pause(100);
      again = await sendOne(alice.client, bob.user, accepted + 1);
    }
    t.equal(again.kind, 'ack', 'there is room');
    t.equal(await server.stop(), 0);
  },
);

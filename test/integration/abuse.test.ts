/** Offenders with real sockets: the bound that they meet, the code that they get, and that nobody else is harmed. */

import t from 'tap';
import { LIMITS } from '../../actors/limits.ts';
import type { ClientMessage } from '../../protocol/wire/index.ts';
import { pause } from './people.ts';
import { connectAs, newClient, publicKey, RawClient, register } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const CIPHERTEXT = new Uint8Array(100).fill(0xee);

function message(to: string, id: number): ClientMessage {
  return { kind: 'message', to, id, envelopes: [{ device: 1, type: 'ratchet', ciphertext: CIPHERTEXT }] };
}

/** Asks as fast as the rate of requests allows; resolves to the answers, refusals by their code. */
async function hammer(client: RawClient, times: number, request: () => Parameters<RawClient['ask']>[0]) {
  const answers: unknown[] = [];
  for (let sent = 0; sent < times; sent += 20) {
    const batch = Array.from({ length: Math.min(20, times - sent) }, () => client.ask(request()));
    answers.push(...(await Promise.all(batch)));
    if (sent + 20 < times) await pause(1_000);
  }
  return answers;
}

t.test('one node, several offenders', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
  const mallory = await newClient(server, '+4915100000001');
  const alice = await newClient(server, '+4915100000002');

  t.test('a stranger who hammers pre-keys gets six bundles and a time; the target and others go on', async (t) => {
    const bob = await register(server, '+4915100000003', 30);
    const owner = await connectAs(server, bob);
    t.same(await owner.ask({ kind: 'notify', preKeys: 26, kemPreKeys: 0 }), {
      kind: 'notify',
      preKeys: 26,
      kemPreKeys: 0,
    });
    const answers = await hammer(mallory.client, 40, () => ({ kind: 'bundle', user: bob.user }));
    t.equal(answers.filter((answer) => typeof answer === 'object').length, 6);
    t.equal(answers.filter((answer) => answer === 'APP_RATE_LIMITED').length, 34);
    t.ok(await owner.next('prekeys-low', ({ preKeys }) => preKeys === 24), 'the owner hears of it when few are left');
    t.match(await alice.client.ask({ kind: 'bundle', user: bob.user }), { devices: [{ oneTime: { id: 7 } }] });
    t.match(await owner.ask({ kind: 'prekey-count' }), { count: 23 });
    const { id, code, retryAfter } = await refusalOf(mallory.client, { kind: 'bundle', user: bob.user });
    t.match({ id, code }, { code: 'APP_RATE_LIMITED' });
    t.ok(retryAfter! > 500 && retryAfter! <= 600, `${retryAfter} s`);
    owner.close();
  });

  t.test('a client that never asked for notices is not sent one', async (t) => {
    const carol = await register(server, '+4915100000004', 2);
    const owner = await connectAs(server, carol);
    await alice.client.ask({ kind: 'bundle', user: carol.user });
    await owner.ask({ kind: 'prekey-count' });
    t.same(
      owner.inbox.filter(({ kind }) => kind === 'prekeys-low'),
      [],
    );
    owner.close();
  });

  t.test('a crawl over phone numbers meets its quota, which can be asked for', async (t) => {
    const { client } = await newClient(server, '+4915100000005');
    let number = 10_000_000;
    const crawl = () => ({ kind: 'contact', phone: `+49152${(number += 1)}` }) as const;
    t.ok((await hammer(client, 40, crawl)).every((answer) => answer === 'APP_UNKNOWN_USER'));
    const answer = await client.ask({ kind: 'limits' });
    if (typeof answer === 'string' || answer.kind !== 'limits') throw new Error(String(answer));
    t.match(
      answer.limits.find(({ action }) => action === 'contact'),
      { left: 960, max: 1_000 },
    );
    const actions = ['bundle', 'bytes', 'contact', 'message', 'report', 'request'];
    t.strictSame(answer.limits.map(({ action }) => action).sort(), actions, 'each action has a bucket of its own');
    const touched = answer.limits.filter(({ left, max }) => left < max).map(({ action }) => action);
    t.strictSame(
      touched.filter((action) => !['bytes', 'request', 'contact'].includes(action)),
      [],
      'what was asked for costs nothing of the others',
    );
    t.match(
      answer.limits.find(({ action }) => action === 'request'),
      { max: 60 },
    );
    client.close();
  });

  t.test('a flood of messages is refused one by one with a time, while others talk', async (t) => {
    const dave = await newClient(server, '+4915100000006');
    const flood = await newClient(server, '+4915100000007');
    // Several times the burst: while the machine is slow the bucket gets some back.
    const floodCount = 5 * LIMITS.messagesBurstMax;
    for (let first = 1; first <= floodCount; first += 100) {
      flood.client.send(...Array.from({ length: 100 }, (_, index) => message(dave.who.user, first + index)));
    }
    const refusal = await flood.client.next('error', ({ code }) => code === 'APP_RATE_LIMITED');
    t.ok(refusal.retryAfter! > 0);
    alice.client.send(message(mallory.who.user, 1));
    t.match(await alice.client.next('ack'), { id: 1 });
    t.match(await mallory.client.next('message'), { from: alice.who.user, id: 1 });
    flood.client.close();
    dave.client.close();
  });

  t.test('a flood of bytes is refused with a time, whatever is in it, and what is left can be asked for', async (t) => {
    const flood = await newClient(server, '+4915100000010');
    const large = { device: 1, type: 'ratchet', ciphertext: new Uint8Array(15_000) } as const;
    const nobody = '999999999999999';
    let lastId = 0;
    const sendLarge = (bytes: number): void => {
      for (let left = bytes; left > 0; left -= 15_000)
        flood.client.send({ kind: 'message', to: nobody, id: ++lastId, envelopes: [large] });
    };
    const isRefused = (): boolean =>
      flood.client.inbox.some((each) => each.kind === 'error' && each.code === 'APP_RATE_LIMITED');
    sendLarge(LIMITS.inboundBytesBurstMax);
    // On a slow machine the bucket gets back more while it is used up.
    while (!isRefused()) {
      if (flood.client.socket.bufferedAmount === 0) sendLarge(LIMITS.inboundBytesPerSecondMax / 8);
      await pause(5);
    }
    // A second's worth once more, and in the same breath a first contact: there is no room for the first message, and there is for the
    // one behind it.
    sendLarge(LIMITS.inboundBytesPerSecondMax);
    const { user } = alice.who;
    flood.client.send({ kind: 'message', to: user, id: 1, envelopes: [large] });
    flood.client.send(message(user, 2));
    const refusal = await flood.client.next('error', ({ code }) => code === 'APP_RATE_LIMITED');
    t.ok(refusal.retryAfter === 1 && refusal.id > LIMITS.inboundBytesBurstMax / 16_000, `from ${refusal.id} on`);
    const answer = await flood.client.ask({ kind: 'limits' });
    if (typeof answer === 'string' || answer.kind !== 'limits') throw new Error(String(answer));
    const bytes = answer.limits.find(({ action }) => action === 'bytes')!;
    t.equal(bytes.max, LIMITS.inboundBytesBurstMax);
    t.ok(bytes.left < bytes.max && bytes.full > 0, JSON.stringify(bytes));
    const missingS = (bytes.max - bytes.left) / LIMITS.inboundBytesPerSecondMax;
    t.ok(Math.abs(bytes.full - missingS) <= 1, 'full when what is missing has come back');
    await pause(200);
    for (const id of [1, 2]) flood.client.send(message(user, id));
    // Had the second opened the conversation, the first would count as a resend, and nobody would have it.
    for (const id of [1, 2]) t.match(await alice.client.next('message', ({ from }) => from === flood.who.user), { id });
    await flood.client.next('ack', ({ to, id }) => to === user && id === 2);
    flood.client.close();
  });

  t.test('a blocked sender notices nothing, and nothing of theirs arrives', async (t) => {
    const { client, who } = await newClient(server, '+4915100000008');
    alice.client.send(message(who.user, 1));
    await alice.client.next('ack', ({ to }) => to === who.user);
    const received = await client.next('message');
    client.send({ kind: 'inbox-ack', seq: received.seq });
    await alice.client.next('receipt', ({ from }) => from === who.user);
    t.match(await client.ask({ kind: 'relation', user: alice.who.user, state: 'blocked' }), { state: 'blocked' });
    alice.client.send(message(who.user, 2));
    t.match(await alice.client.next('ack', ({ to }) => to === who.user), { id: 2 });
    t.match(await alice.client.ask({ kind: 'receipts', to: who.user }), { sent: 2, delivered: 1 });
    mallory.client.send(message(who.user, 1));
    t.match(await client.next('message'), { from: mallory.who.user }, 'others arrive, the blocked one does not');
    t.match(await client.ask({ kind: 'relations' }), { relations: [{ user: alice.who.user, state: 'blocked' }] });
    t.match(await client.ask({ kind: 'report', user: alice.who.user, device: 1, id: 1 }), { user: alice.who.user });
    t.equal(await client.ask({ kind: 'report', user: alice.who.user, device: 1, id: 9 }), 'APP_UNKNOWN_MESSAGE');
    client.close();
  });

  t.test('an account that asks: five messages of a stranger, then a code; accepted, it goes on', async (t) => {
    const { client, who } = await newClient(server, '+4915100000009');
    t.match(await client.ask({ kind: 'strangers-change', policy: 'ask' }), { policy: 'ask' });
    for (let id = 1; id <= 6; id++) mallory.client.send(message(who.user, id));
    const refusal = await mallory.client.next('error', ({ to }) => to === who.user);
    t.match(refusal, { id: 6, code: 'APP_REQUEST_PENDING' });
    t.ok(refusal.retryAfter! > 0);
    for (let id = 1; id <= 5; id++) t.match(await client.next('message'), { id });
    await client.ask({ kind: 'relation', user: mallory.who.user, state: 'accepted' });
    mallory.client.send(message(who.user, 6));
    t.match(await client.next('message'), { id: 6 });
    for (const each of [client, mallory.client, alice.client]) each.close();
  });
});

t.test('decisions outlive a kill of the node', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '1']);
  const alice = await newClient(server, '+4915100000001');
  const bob = await newClient(server, '+4915100000002');
  await bob.client.ask({ kind: 'relation', user: alice.who.user, state: 'blocked' });
  await bob.client.ask({ kind: 'strangers-change', policy: 'ask' });
  await server.kill();
  const again = await ServerProcess.start(t, directory, ['--workers', '1']);
  const client = await connectAs(again, bob.who);
  t.match(await client.ask({ kind: 'relations' }), { relations: [{ user: alice.who.user, state: 'blocked' }] });
  t.match(await client.ask({ kind: 'strangers' }), { policy: 'ask' });
  const sender = await connectAs(again, alice.who);
  sender.send(message(bob.who.user, 1));
  t.ok(await sender.next('ack'));
  await client.ask({ kind: 'prekey-upload', oneTime: [{ id: 99, key: publicKey() }] });
  t.same(client.inbox, []);
  client.close();
  sender.close();
});

t.test('push: registered for a device, kept over a restart, refused where it would not be sent', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '1', '--push', 'log']);
  const { client, who } = await newClient(server, '+4915100000001');
  const offered = await client.ask({ kind: 'push' });
  if (typeof offered === 'string' || offered.kind !== 'push') throw new Error(String(offered));
  t.equal(offered.platform, 'none');
  t.equal(offered.key?.length, 65);
  const target = { platform: 'fcm', token: 'the-token-of-a-device' } as const;
  t.match(await client.ask({ kind: 'push-change', target }), { kind: 'push', platform: 'fcm' });
  await server.stop();
  const again = await ServerProcess.start(t, directory, ['--workers', '1']);
  const back = await connectAs(again, who);
  t.match(await back.ask({ kind: 'push' }), { platform: 'fcm', key: undefined }, 'kept, though this node wakes nobody');
  t.equal(await back.ask({ kind: 'push-change', target }), 'APP_BAD_PUSH');
  t.match(await back.ask({ kind: 'push-change', target: { platform: 'none' } }), { platform: 'none' });
  back.close();
  await again.stop();
  const refused = ServerProcess.launch(t, ['--data', directory, '--port', '0', '--push', '/nowhere/push.json']);
  t.equal(await refused.exited(), 2);
  t.match(refused.errors, /^APP_CONFIG: "push" .* cannot be read: ENOENT/);
  client.close();
});

/** The refusal of a request, with its time. */
async function refusalOf(client: RawClient, request: { readonly kind: 'bundle'; readonly user: string }) {
  client.send({ kind: 'iq-get', id: 9_999, request });
  return client.next('iq-error', ({ id }) => id === 9_999);
}

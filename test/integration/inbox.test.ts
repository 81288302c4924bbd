/** The inbox over real sockets: newest conversations first, and a device that takes without ever acknowledging. */

import t from 'tap';
import { LIMITS } from '../../actors/limits.ts';
import { FEATURES } from '../../protocol/wire/index.ts';
import { attend, newPerson, openClient, until, PATIENCE_MS } from './people.ts';
import { newClient, RawClient, register, signLogin } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const EACH = 40;

t.test('the SDK gets the newest conversation first, each in its order, all of it once', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const [ann, ben] = [await newPerson(t, server, '+4915100000001'), await newPerson(t, server, '+4915100000002')];
  const phone = '+4915100000003';
  const client = await openClient(server.url);
  t.teardown(() => client.close());
  await client.requestCode(phone);
  await client.confirmCode(phone, await server.code(phone));
  for (const [name, writer] of [
    ['ann', ann],
    ['ben', ben],
  ] as const) {
    const messages = [];
    for (let index = 1; index <= EACH; index++) messages.push(await writer.client.enqueue(phone, `${name} ${index}`));
    await Promise.all(messages.map((message) => message.sent));
  }
  await client.connect();
  const { received } = attend(phone, client);
  await until('everything', PATIENCE_MS, () => received.length >= 2 * EACH);
  const texts = received.map(({ text }) => text);
  t.equal(texts[0], 'ben 1', 'the newest conversation begins');
  t.ok(texts.indexOf('ann 1') < texts.indexOf('ben 40'), 'and does not hold up the others');
  for (const name of ['ann', 'ben']) {
    t.strictSame(
      texts.filter((text) => text.startsWith(name)),
      Array.from({ length: EACH }, (_, index) => `${name} ${index + 1}`),
    );
  }
  await ann.client.send(phone, 'one more');
  await until('one more', PATIENCE_MS, () => received.length > 2 * EACH);
  t.equal(received.length, 2 * EACH + 1);
});

t.test('a device that acknowledges nothing gets a window and no more, and harms nobody', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
  const alice = await newClient(server, '+4915100000001');
  const bob = await newClient(server, '+4915100000002');
  const silent = await register(server, '+4915100000003');
  const total = LIMITS.windowCountMax + 100;
  const ciphertext = new Uint8Array(50).fill(7);
  for (let id = 1; id <= total; id++) {
    alice.client.send({
      kind: 'message',
      to: silent.user,
      id,
      envelopes: [{ device: 1, type: 'ratchet', ciphertext }],
    });
  }
  await alice.client.next('ack', ({ to, id }) => to === silent.user && id === total);
  const taker = new RawClient(server.url);
  await taker.login(silent);
  const last = await taker.next('message', ({ seq }) => seq === LIMITS.windowCountMax);
  t.equal(last.id, LIMITS.windowCountMax);
  alice.client.send({
    kind: 'message',
    to: bob.who.user,
    id: 1,
    envelopes: [{ device: 1, type: 'ratchet', ciphertext }],
  });
  const { seq } = await bob.client.next('message');
  bob.client.send({ kind: 'inbox-ack', seq });
  await alice.client.next('receipt', ({ from }) => from === bob.who.user);
  t.notOk(taker.inbox.some((message) => message.kind === 'message' && message.seq > LIMITS.windowCountMax));
  taker.send({ kind: 'inbox-ack', seq: LIMITS.windowCountMax });
  t.match(await taker.next('message', ({ id }) => id === total), { seq: total });
});

t.test(
  'a raw client that asks for stages: positions, `after`, and acknowledgements in the order of pushing',
  async (t) => {
    const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
    const alice = await newClient(server, '+4915100000001');
    const bob = await newClient(server, '+4915100000002');
    const who = await register(server, '+4915100000003');
    const ciphertext = new Uint8Array(50).fill(7);
    for (const { client } of [alice, bob]) {
      for (let id = 1; id <= 30; id++) {
        client.send({ kind: 'message', to: who.user, id, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] });
      }
      await client.next('ack', ({ id }) => id === 30);
    }
    const staged = new RawClient(server.url);
    const { nonce } = await staged.next('stream');
    const { user, device } = who;
    staged.send({ kind: 'auth', user, device, signature: signLogin(who, nonce), features: FEATURES.stagedInbox });
    await staged.next('offline');
    const messages = staged.inbox.filter((message) => message.kind === 'message');
    t.equal(messages.length, 60);
    const page = LIMITS.aheadPageCountMax;
    t.strictSame(
      messages.slice(0, 2 * page).map(({ from, id, after }) => [from, id, after]),
      [bob, alice].flatMap(({ who: sender }) =>
        Array.from({ length: page }, (_, index) => [sender.user, index + 1, 0]),
      ),
    );
    staged.send({ kind: 'inbox-ack', seq: messages.at(-1)!.seq });
    await alice.client.next('receipt', ({ id }) => id === 30);
    await bob.client.next('receipt', ({ id }) => id === 30);
  },
);

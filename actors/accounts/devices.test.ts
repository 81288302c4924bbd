/** Linking and removing devices: accounts, links and inbox of one shard over one store, under virtual time. */

import t from 'tap';
import type { Answer, ConfirmRequest } from '../../protocol/wire/index.ts';
import { createTestNode, type TestNode } from '../../runtime/testing/test-node.ts';
import { decideRegistration, nextDeviceId } from './devices.ts';
import { accounts } from '../accounts.ts';
import { inbox } from '../inbox.ts';
import { LIMITS } from '../limits.ts';
import { links } from '../links.ts';
import type { Submit } from '../messages.ts';
import type { AccountRecord } from '../store/inbox-store.ts';
import { MemoryStore } from '../store/memory.ts';
import { committerOf, spawnProbe, type Probe } from '../test-kit.ts';

const PHONE = '+4915100000001';
const LIST = Uint8Array.of(1, 2, 3);
const ENVELOPE = Uint8Array.of(9);

const KEYS: Omit<ConfirmRequest, 'kind' | 'phone' | 'code'> = {
  registration: 77,
  login: new Uint8Array(32).fill(1),
  identity: new Uint8Array(33).fill(5),
  signed: { id: 1, key: new Uint8Array(33).fill(5), signature: new Uint8Array(64) },
  oneTime: [{ id: 1, key: new Uint8Array(33).fill(5) }],
};

/** A shard with an account whose primary is device 1. */
class Shard {
  readonly test: TestNode = createTestNode();
  readonly store: MemoryStore = new MemoryStore();
  readonly primary: Probe = spawnProbe(this.test);
  user = '';
  #code = '';
  #iq = 0;

  static async start(): Promise<Shard> {
    const shard = new Shard();
    const { test, store } = shard;
    const named = (name: string) => (): { name: string; worker: number } => ({ name, worker: 0 });
    test.node.spawn(
      accounts,
      {
        ...{ store, inboxOf: named('inbox.0'), linksOf: named('links'), partitionOfPhone: () => 1 },
        committer: committerOf(store, test),
        sendCode: (self, ticket, _phone, code) => {
          shard.#code = code;
          test.node.cast(self, { kind: 'code-sent', ticket, ok: true });
        },
      },
      { name: 'accounts.0' },
    );
    test.node.spawn(links, { accountsOf: named('accounts.0') }, { name: 'links' });
    test.node.spawn(
      inbox,
      {
        ...{ store, inboxOf: named('inbox.0'), load: { queuedCount: 0 }, queuedBytesMax: 1_000_000 },
        committer: committerOf(store, test),
      } as never,
      { name: 'inbox.0' },
    );
    await shard.register();
    return shard;
  }

  async register(): Promise<number> {
    await this.test.advance(LIMITS.codePauseMsMin);
    await this.ask('accounts.0', { kind: 'request-code', phone: PHONE });
    const request = { kind: 'confirm', phone: PHONE, code: this.#code, ...KEYS };
    const answer = await this.ask('accounts.0', { kind: 'confirm', request });
    this.user = (answer as { user: string }).user;
    return (answer as { device: number }).device;
  }

  async tell(name: string, message: object): Promise<void> {
    this.test.node.cast({ name, worker: 0 } as never, message as never);
    await this.test.settle();
  }

  /** Asks as the primary, or as `probe`: the answer, or the code of the refusal. */
  async ask(name: string, request: object, probe: Probe = this.primary): Promise<Answer | string> {
    await this.tell(name, { ...request, connection: probe.pid, iq: ++this.#iq });
    const message = probe.take().find(({ kind }) => kind === 'answer' || kind === 'answer-refused');
    if (message?.kind === 'answer') return message.answer;
    return message?.kind === 'answer-refused' ? message.refusal.code : 'no answer';
  }

  begin(id: string, probe: Probe): Promise<Answer | string> {
    return this.ask('links', { kind: 'begin-link', id, keys: KEYS }, probe);
  }

  find(id: string, by = 1): Promise<Answer | string> {
    return this.ask('links', { kind: 'find-link', id, user: this.user, by });
  }

  approve(id: string, device: number, by = 1): Promise<Answer | string> {
    const sealed = { device, list: LIST, envelope: ENVELOPE };
    return this.ask('links', { kind: 'approve-link', id, user: this.user, by, ...sealed });
  }

  unlink(device: number, by = 1): Promise<Answer | string> {
    return this.ask('accounts.0', { kind: 'unlink-device', user: this.user, by, device, list: LIST });
  }

  /** Links one more device. */
  async link(): Promise<{ device: number; probe: Probe }> {
    const probe = spawnProbe(this.test);
    const id = String(probe.pid.slot).padStart(20, '0');
    await this.begin(id, probe);
    const { device } = (await this.find(id)) as { device: number };
    await this.approve(id, device);
    return { device, probe };
  }

  account(): AccountRecord {
    return this.store.account(this.user)!;
  }

  /** Sends a message of `from` to the account, with an envelope for each of `devices`. */
  async submit(from: string, device: number, id: number, devices: readonly number[]): Promise<unknown> {
    const probe = spawnProbe(this.test);
    const sender = { user: from, device, creation: 1 };
    const envelopes = devices.map((to) => ({ device: to, type: 'ratchet' as const, ciphertext: Uint8Array.of(1) }));
    const message: Partial<Submit> = { kind: 'submit', connection: probe.pid, sender, to: this.user, id, envelopes };
    await this.tell('inbox.0', { ...message, senderKey: `${from}.${device}.1` });
    const [outcome] = probe.take();
    return outcome?.kind === 'refused' ? outcome.refusal : outcome?.kind;
  }
}

t.test('a device is linked: keys, account and list in one commit, then it is told, with the envelope', async (t) => {
  const shard = await Shard.start();
  const waiting = spawnProbe(shard.test);
  t.same(await shard.begin('1', waiting), { kind: 'link-begun', id: '1', expires: 300 });
  const { identity, registration } = KEYS;
  t.same(await shard.find('1'), { kind: 'link', id: '1', device: 2, registration, identity });
  const commits = shard.store.commitCount;
  t.same(await shard.approve('1', 2), { kind: 'devices', user: shard.user, devices: [1, 2], list: LIST });
  t.equal(shard.store.commitCount, commits + 1);
  t.match(shard.account(), { devices: [1, 2], primary: 1, creations: 2, list: LIST });
  t.match(shard.store.device(shard.user, 2), { creation: 2, registration: 77 });
  t.equal(shard.store.preKeys(shard.user, 2, 9).length, 1);
  t.same(waiting.take(), [{ kind: 'linked', user: shard.user, device: 2, envelope: ENVELOPE }]);
  t.equal(await shard.approve('1', 3), 'APP_UNKNOWN_LINK', 'a link is used once');
});

t.test('a link ends with its time, its connection, or the next one of the same connection', async (t) => {
  const shard = await Shard.start();
  const waiting = spawnProbe(shard.test);
  await shard.begin('1', waiting);
  await shard.begin('2', waiting);
  t.equal(await shard.find('1'), 'APP_UNKNOWN_LINK');
  await shard.test.advance(LIMITS.linkAgeMsMax + 1);
  t.equal(await shard.find('2'), 'APP_UNKNOWN_LINK');
  await shard.begin('3', waiting);
  shard.test.node.exit(waiting.pid, { shutdown: 'gone' });
  await shard.test.settle();
  t.equal(await shard.approve('3', 2), 'APP_UNKNOWN_LINK');
  t.match(shard.account().devices, [1]);
});

t.test('a connection that begins link after link is watched once', async (t) => {
  const shard = await Shard.start();
  const probe = spawnProbe(shard.test);
  const links = shard.test.node.whereis('links')!;
  for (let round = 1; round <= 5; round++) {
    await shard.begin(String(round).padStart(20, '0'), probe);
    await shard.test.advance(LIMITS.linkAgeMsMax + 1);
    t.equal(await shard.find(String(round).padStart(20, '0')), 'APP_UNKNOWN_LINK');
  }
  t.equal(shard.test.node.processInfo(links)?.monitorCount, 0);
  await shard.begin('9'.padStart(20, '0'), probe);
  t.equal(shard.test.node.processInfo(links)?.monitorCount, 1);
});

t.test('a registration takes no id of a device that goes: its inbox is being removed', async (t) => {
  const account: AccountRecord = { user: '1', phone: '+1', devices: [3, 5], creations: 4, primary: 3 };
  t.strictSame(decideRegistration(account).devices, [6]);
});

t.test('links are bounded, and a refused one leaves nothing behind', async (t) => {
  const shard = await Shard.start();
  const probes = Array.from({ length: LIMITS.pendingLinksMax }, () => spawnProbe(shard.test));
  for (const [index, probe] of probes.entries()) {
    shard.test.node.cast(
      { name: 'links', worker: 0 } as never,
      {
        ...{ kind: 'begin-link', connection: probe.pid, iq: 1, id: String(index), keys: KEYS },
      } as never,
    );
  }
  await shard.test.settle();
  t.equal(await shard.begin('one more', spawnProbe(shard.test)), 'APP_OVERLOADED');
  await shard.test.advance(LIMITS.linkAgeMsMax + 1);
  t.match(await shard.begin('one more', spawnProbe(shard.test)), { kind: 'link-begun' });
});

t.test('only the primary changes the set, and no more than five devices fit', async (t) => {
  const shard = await Shard.start();
  for (const expected of [2, 3, 4, 5]) t.equal((await shard.link()).device, expected);
  const waiting = spawnProbe(shard.test);
  await shard.begin('9', waiting);
  t.equal(await shard.find('9'), 'APP_TOO_MANY_DEVICES');
  t.equal(await shard.approve('9', 6), 'APP_TOO_MANY_DEVICES');
  t.equal(await shard.find('9', 2), 'APP_NOT_PRIMARY');
  t.equal(await shard.unlink(3, 2), 'APP_NOT_PRIMARY');
  t.equal(await shard.unlink(1), 'APP_UNKNOWN_LINK', 'the primary stays');
  t.match(await shard.unlink(3), { devices: [1, 2, 4, 5] });
  t.match(await shard.find('9'), { device: 6 }, 'what was refused for a time may be approved after it');
  t.equal(await shard.approve('9', 7), 'APP_DEVICES_CHANGED', 'only under the id that was offered');
  t.match(await shard.approve('9', 6), { devices: [1, 2, 4, 5, 6] });
});

t.test('a full disk leaves the link to be approved again', async (t) => {
  const shard = await Shard.start();
  const waiting = spawnProbe(shard.test);
  await shard.begin('1', waiting);
  shard.store.failNextCommits(1);
  t.equal(await shard.approve('1', 2), 'APP_STORE_FULL');
  t.match(shard.account().devices, [1]);
  t.match(await shard.approve('1', 2), { devices: [1, 2] });
});

t.test('a message wants each device of a peer, and of one’s own account each other device', async (t) => {
  const shard = await Shard.start();
  const peer = '200000000000001';
  t.equal(await shard.submit(peer, 1, 1, [1]), 'sent', 'the inbox has the account in memory');
  t.same(await shard.submit(shard.user, 1, 1, [1]), { code: 'APP_NO_OTHER_DEVICE' });
  await shard.link();
  t.same(await shard.submit(peer, 1, 2, [1]), { code: 'APP_DEVICES_CHANGED', devices: [1, 2] });
  t.equal(await shard.submit(peer, 1, 2, [1, 2]), 'sent');
  t.same(await shard.submit(shard.user, 2, 1, [1, 2]), { code: 'APP_DEVICES_CHANGED', devices: [1] });
  t.equal(await shard.submit(shard.user, 2, 1, [1]), 'sent');
  t.equal(shard.store.countEntries(shard.user, 1, 9), 3);
  t.equal(shard.store.countEntries(shard.user, 2, 9), 1);
});

t.test('what one device has stored is delivered', async (t) => {
  const shard = await Shard.start();
  await shard.link();
  const [sender, second] = [spawnProbe(shard.test), spawnProbe(shard.test)];
  const peer = { user: '200000000000001', device: 1, creation: 1 };
  const ciphertext = Uint8Array.of(1);
  await shard.tell('inbox.0', {
    ...{ kind: 'submit', connection: sender.pid, sender: peer, senderKey: `${peer.user}.1.1`, to: shard.user, id: 1 },
    envelopes: [1, 2].map((device) => ({ device, type: 'ratchet', ciphertext })),
  });
  await shard.tell('inbox.0', {
    kind: 'attach',
    user: shard.user,
    device: 2,
    creation: 2,
    connection: second.pid,
    staged: false,
  });
  await shard.tell('inbox.0', { kind: 'acknowledge', connection: second.pid, user: shard.user, device: 2, seq: 1 });
  t.match(sender.take().at(-1), { kind: 'receipt', type: 'delivered', id: 1 });
  t.equal(shard.store.countEntries(shard.user, 1, 9), 1, 'the other device still gets it');
});

t.test('a removed device is disconnected, and its inbox and keys are gone', async (t) => {
  const shard = await Shard.start();
  await shard.link();
  await shard.submit('200000000000001', 1, 1, [1, 2]);
  const connection = spawnProbe(shard.test);
  await shard.tell('inbox.0', {
    kind: 'attach',
    user: shard.user,
    device: 2,
    creation: 2,
    connection: connection.pid,
    staged: false,
  });
  connection.take();
  t.match(await shard.unlink(2), { devices: [1], list: LIST });
  t.match(connection.take(), [{ kind: 'unregistered' }]);
  t.equal(shard.store.device(shard.user, 2), undefined);
  t.equal(shard.store.preKeys(shard.user, 2, 9).length, 0);
  t.equal(shard.store.countEntries(shard.user, 2, 9), 0);
  t.equal(await shard.submit('200000000000001', 1, 2, [1]), 'sent');
});

t.test('registering the number anew removes all devices, and only its owner sees the former list', async (t) => {
  const shard = await Shard.start();
  await shard.link();
  const device = await shard.register();
  t.match(shard.account(), { devices: [device], primary: device, list: undefined });
  t.equal(shard.store.device(shard.user, 2), undefined);
  const listed = (asker: string): Promise<Answer | string> =>
    shard.ask('accounts.0', { kind: 'list-devices', user: shard.user, asker });
  t.same(await listed(shard.user), { kind: 'devices', user: shard.user, devices: [device], list: LIST });
  t.match(await listed('200000000000001'), { devices: [device], list: undefined });
});

t.test('a bundle has the list for who asks, and not the asker’s own device', async (t) => {
  const shard = await Shard.start();
  const take = (withList: boolean, except?: number): Promise<Answer | string> =>
    shard.ask('accounts.0', { kind: 'take-bundle', user: shard.user, requester: '200000000000001', withList, except });
  t.equal(await take(true, 1), 'APP_NO_OTHER_DEVICE');
  await shard.link();
  t.match(await take(true), { devices: [{ id: 1 }, { id: 2 }], list: LIST });
  t.notOk('list' in ((await take(false)) as object), 'an earlier client would not expect it');
  const others = (await take(true, 1)) as unknown as { devices: { id: number }[] };
  t.same(
    others.devices.map(({ id }) => id),
    [2],
  );
});

t.test('device ids go round, past those in use', async (t) => {
  const record = { user: '1', phone: '+1', devices: [1, 2], creations: 126 };
  t.equal(nextDeviceId(record), 127);
  t.equal(nextDeviceId({ ...record, creations: 127 }), 3);
});

import t from 'tap';
import type { Answer, ConfirmRequest, DeviceBundle, KemKey, PreKeyUploadRequest } from '../protocol/wire/index.ts';
import type { Pid } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import { accounts } from './accounts.ts';
import { LIMITS } from './limits.ts';
import type { AccountsMessage, InboxMessage } from './messages.ts';
import { partitionOf } from './partition.ts';
import { MemoryStore } from './store/memory.ts';
import { committerOf, spawnProbe, type Probe } from './test-kit.ts';

const PHONE = '+4915100000001';

interface Fixture {
  readonly test: TestNode;
  readonly store: MemoryStore;
  readonly client: Probe;
  /** Codes in the order in which they were sent. */
  readonly codes: string[];
  /** What the inbox was told. */
  readonly toInbox: InboxMessage[];
  /** Sends a request and resolves to its answer or the code of its refusal. */
  ask(request: Record<string, unknown> & { readonly kind: AccountsMessage['kind'] }): Promise<Answer | string>;
}

async function start(options: { readonly carrierWorks?: boolean } = {}): Promise<Fixture> {
  const test = createTestNode();
  const store = new MemoryStore();
  const codes: string[] = [];
  const toInbox: InboxMessage[] = [];
  const spy = {
    name: 'test/inbox',
    init: () => null,
    handleCast: (message: InboxMessage) => void toInbox.push(message),
  };
  test.node.spawn(spy, undefined, { name: 'inbox.0' });
  const pid: Pid<AccountsMessage> = test.node.spawn(accounts, {
    store,
    inboxOf: () => ({ name: 'inbox.0', worker: 0 }),
    linksOf: () => ({ name: 'links', worker: 0 }),
    partitionOfPhone: (phone) => Number(phone.slice(-2)),
    committer: committerOf(store, test),
    sendCode: (self, ticket, _phone, code) => {
      codes.push(code);
      test.node.cast(self, { kind: 'code-sent', ticket, ok: options.carrierWorks ?? true });
    },
  });
  const client = spawnProbe(test);
  let iq = 0;
  return {
    test,
    store,
    client,
    codes,
    toInbox,
    async ask(request) {
      // A requester of its own for each bundle, unless the test says who asks.
      test.node.cast(pid, { requester: `r${iq}`, ...request, connection: client.pid, iq: ++iq } as never);
      await test.settle();
      const [message] = client.take();
      if (message?.kind === 'answer') return message.answer;
      return message?.kind === 'answer-refused' ? message.refusal.code : String(message?.kind);
    },
  };
}

function confirmation(code: string, phone = PHONE, preKeys = 2): ConfirmRequest {
  const key = new Uint8Array(33).fill(5);
  return {
    kind: 'confirm',
    phone,
    code,
    registration: 77,
    login: new Uint8Array(32).fill(1),
    identity: key,
    signed: { id: 1, key, signature: new Uint8Array(64) },
    oneTime: Array.from({ length: preKeys }, (_, index) => ({ id: index + 1, key })),
  };
}

async function registered(fixture: Fixture, preKeys = 2): Promise<{ user: string; device: number }> {
  await fixture.ask({ kind: 'request-code', phone: PHONE });
  const answer = await fixture.ask({ kind: 'confirm', request: confirmation(fixture.codes.at(-1)!, PHONE, preKeys) });
  if (typeof answer === 'string' || answer.kind !== 'account')
    throw new Error(`not registered: ${JSON.stringify(answer)}`);
  return answer;
}

t.test('a number is registered with the code that went to it, in the partition of the number', async (t) => {
  const fixture = await start();
  t.same(await fixture.ask({ kind: 'request-code', phone: PHONE }), { kind: 'register', expires: 300 });
  t.match(fixture.codes[0], /^\d{6}$/);
  const { user, device } = await registered(await start());
  t.match(user, /^[1-9]\d{14}$/);
  t.equal(device, 1);
  t.equal(partitionOf(user), 1);
});

t.test('codes: a pause between two, five tries, an age', async (t) => {
  const fixture = await start();
  await fixture.ask({ kind: 'request-code', phone: PHONE });
  t.equal(await fixture.ask({ kind: 'request-code', phone: PHONE }), 'APP_RATE_LIMITED');
  await fixture.test.advance(LIMITS.codePauseMsMin);
  t.match(await fixture.ask({ kind: 'request-code', phone: PHONE }), { kind: 'register' });
  const code = fixture.codes.at(-1)!;
  const wrong = code === '000000' ? '000001' : '000000';
  t.equal(await fixture.ask({ kind: 'confirm', request: confirmation(wrong) }), 'APP_BAD_CODE');
  await fixture.test.advance(LIMITS.codeAgeMsMax + 1);
  t.equal(await fixture.ask({ kind: 'confirm', request: confirmation(code) }), 'APP_CODE_EXPIRED');
});

t.test('a code is good for one registration', async (t) => {
  const fixture = await start();
  await registered(fixture);
  t.equal(await fixture.ask({ kind: 'confirm', request: confirmation(fixture.codes[0]!) }), 'APP_CODE_EXPIRED');
});

t.test('a code that could not be sent is void', async (t) => {
  const fixture = await start({ carrierWorks: false });
  t.equal(await fixture.ask({ kind: 'request-code', phone: PHONE }), 'APP_VERIFIER_FAILED');
  t.equal(await fixture.ask({ kind: 'confirm', request: confirmation(fixture.codes[0]!) }), 'APP_CODE_EXPIRED');
  t.equal(
    await fixture.ask({ kind: 'request-code', phone: PHONE }),
    'APP_VERIFIER_FAILED',
    'and may be asked for again at once',
  );
});

t.test('registering a taken number keeps the user, replaces the device and has its inbox forgotten', async (t) => {
  const fixture = await start();
  const first = await registered(fixture);
  await fixture.test.advance(LIMITS.codePauseMsMin);
  const second = await registered(fixture);
  t.equal(second.user, first.user);
  t.equal(second.device, 2);
  t.equal(fixture.store.device(first.user, 1), undefined);
  t.equal(fixture.store.device(first.user, 2)?.creation, 2);
  t.strictSame(fixture.toInbox, [{ kind: 'forget-device', user: first.user, device: 1 }]);
});

t.test('a registration that the disk refuses has not happened', async (t) => {
  const fixture = await start();
  await fixture.ask({ kind: 'request-code', phone: PHONE });
  fixture.store.failNextCommits(1);
  t.equal(await fixture.ask({ kind: 'confirm', request: confirmation(fixture.codes[0]!) }), 'APP_STORE_FULL');
  t.equal(fixture.store.userOfPhone(PHONE), undefined);
});

function oneTimeIds(fixture: Fixture): (number | undefined)[] {
  return fixture.client.take().map((message) => {
    if (message.kind !== 'answer' || message.answer.kind !== 'bundle') throw new Error(`got ${message.kind}`);
    const [device] = message.answer.devices as [DeviceBundle];
    return device.oneTime?.id;
  });
}

t.test('bundles asked for at the same moment get different one-time pre-keys', async (t) => {
  const fixture = await start();
  const { user } = await registered(fixture, 3);
  const pid = fixture.test.node
    .processes()
    .find((each) => fixture.test.node.processInfo(each)?.behavior === 'actors/accounts')!;
  for (let iq = 100; iq < 105; iq++)
    fixture.test.node.cast(pid, { kind: 'take-bundle', connection: fixture.client.pid, iq, user, requester: `r${iq}` });
  await fixture.test.settle();
  const ids = oneTimeIds(fixture);
  t.strictSame(ids.filter((id) => id !== undefined).sort(), [1, 2, 3]);
  t.equal(fixture.store.preKeys(user, 1, 9).length, 0);
});

t.test('a pre-key whose removal the disk refuses is not given, and stays', async (t) => {
  const fixture = await start();
  const { user } = await registered(fixture);
  fixture.store.failNextCommits(1);
  t.equal(await fixture.ask({ kind: 'take-bundle', user }), 'APP_STORE_FULL');
  t.match(await fixture.ask({ kind: 'take-bundle', user }), { devices: [{ oneTime: { id: 1 } }] });
});

t.test('pre-keys are counted, added, and bounded', async (t) => {
  const fixture = await start();
  const { user, device } = await registered(fixture);
  const key = new Uint8Array(33).fill(5);
  const upload = (from: number, count: number) =>
    fixture.ask({
      kind: 'add-prekeys',
      user,
      device,
      request: {
        kind: 'prekey-upload',
        oneTime: Array.from({ length: count }, (_, at) => ({ id: from + at, key })),
      },
    });
  t.match(await upload(10, 5), { kind: 'prekeys', count: 7 });
  t.match(await fixture.ask({ kind: 'count-prekeys', user, device }), { count: 7 });
  t.equal(await upload(100, LIMITS.preKeyCountMax - 6), 'APP_PREKEYS_FULL');
});

const kem = (id: number): KemKey => ({
  id,
  key: new Uint8Array(1_569).fill(6),
  signature: new Uint8Array(64).fill(id),
});

function uploadTo(fixture: Fixture, address: { user: string; device: number }, keys: Partial<PreKeyUploadRequest>) {
  const request = { kind: 'prekey-upload', oneTime: [], ...keys };
  return fixture.ask({ kind: 'add-prekeys', user: address.user, device: address.device, request });
}

async function bundleOf(fixture: Fixture, user: string): Promise<DeviceBundle> {
  const answer = await fixture.ask({ kind: 'take-bundle', user });
  if (typeof answer === 'string' || answer.kind !== 'bundle') throw new Error(`no bundle: ${JSON.stringify(answer)}`);
  return answer.devices[0]!;
}

t.test('a bundle of a device that never uploaded KEM pre-keys has none', async (t) => {
  const fixture = await start();
  const { user } = await registered(fixture);
  t.equal((await bundleOf(fixture, user)).kem, undefined);
});

t.test('one-time KEM pre-keys go once each, together with a small one; then the last-resort one serves', async (t) => {
  const fixture = await start();
  const address = await registered(fixture, 2);
  t.match(await uploadTo(fixture, address, { lastResort: kem(90), kem: [kem(2), kem(1), kem(3)] }), {
    count: 2,
    kem: 3,
  });
  const commits = fixture.store.commitCount;
  const bundles = [];
  for (let count = 0; count < 5; count++) bundles.push(await bundleOf(fixture, address.user));
  t.strictSame(
    bundles.map((bundle) => [bundle.oneTime?.id, bundle.kem?.id, bundle.kem?.lastResort]),
    [
      [1, 1, false],
      [2, 2, false],
      [undefined, 3, false],
      [undefined, 90, true],
      [undefined, 90, true],
    ],
  );
  t.equal(fixture.store.commitCount - commits, 3, 'nothing is written for a last-resort key');
  t.strictSame([...bundles[0]!.kem!.signature], [...kem(1).signature]);
});

t.test('bundles asked for at the same moment get different KEM pre-keys', async (t) => {
  const fixture = await start();
  const address = await registered(fixture, 0);
  await uploadTo(fixture, address, { lastResort: kem(90), kem: [kem(1), kem(2), kem(3)] });
  const pid = fixture.test.node
    .processes()
    .find((each) => fixture.test.node.processInfo(each)?.behavior === 'actors/accounts')!;
  for (let iq = 100; iq < 105; iq++)
    fixture.test.node.cast(pid, {
      kind: 'take-bundle',
      connection: fixture.client.pid,
      iq,
      user: address.user,
      requester: `r${iq}`,
    });
  await fixture.test.settle();
  const ids = fixture.client.take().map((message) => {
    if (message.kind !== 'answer' || message.answer.kind !== 'bundle') throw new Error(`got ${message.kind}`);
    return message.answer.devices[0]!.kem!.id;
  });
  t.strictSame(ids.sort(), [1, 2, 3, 90, 90]);
  t.equal(fixture.store.countKemPreKeys(address.user, address.device, 9), 0);
});

t.test('a KEM pre-key whose removal the disk refuses is not given, and stays', async (t) => {
  const fixture = await start();
  const address = await registered(fixture, 0);
  await uploadTo(fixture, address, { kem: [kem(1)] });
  fixture.store.failNextCommits(1);
  t.equal(await fixture.ask({ kind: 'take-bundle', user: address.user }), 'APP_STORE_FULL');
  t.equal((await bundleOf(fixture, address.user)).kem?.id, 1);
});

t.test('an upload replaces signed and last-resort keys at once, and KEM pre-keys are bounded', async (t) => {
  const fixture = await start();
  const address = await registered(fixture, 0);
  const signed = { id: 2, key: new Uint8Array(33).fill(5), signature: new Uint8Array(64).fill(2) };
  const commits = fixture.store.commitCount;
  t.match(await uploadTo(fixture, address, { signed, lastResort: kem(90) }), { count: 0, kem: 0 });
  t.equal(fixture.store.commitCount - commits, 1);
  t.match(await bundleOf(fixture, address.user), { signed: { id: 2 }, kem: { id: 90, lastResort: true } });
  t.match(await uploadTo(fixture, address, { signed: { ...signed, id: 3 } }), { count: 0 });
  t.match(await bundleOf(fixture, address.user), { signed: { id: 3 }, kem: { id: 90 } }, 'one alone leaves the other');
  t.equal(fixture.store.device(address.user, address.device)?.creation, 1, 'the rest of the record stays');
  const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => kem(from + index));
  t.match(await uploadTo(fixture, address, { kem: many(1, LIMITS.kemPreKeyCountMax) }), {
    kem: LIMITS.kemPreKeyCountMax,
  });
  t.equal(await uploadTo(fixture, address, { kem: many(200, 1) }), 'APP_PREKEYS_FULL');
  t.equal(await uploadTo(fixture, { ...address, device: 9 }, { kem: many(1, 1) }), 'APP_UNKNOWN_DEVICE');
});

t.test(
  'an upload while the account changes is asked to wait, so that it cannot bring a removed device back',
  async (t) => {
    const fixture = await start();
    const address = await registered(fixture, 0);
    await fixture.test.advance(LIMITS.codePauseMsMin);
    await fixture.ask({ kind: 'request-code', phone: PHONE });
    const pid = fixture.test.node
      .processes()
      .find((each) => fixture.test.node.processInfo(each)?.behavior === 'actors/accounts')!;
    const request = { kind: 'prekey-upload', oneTime: [], lastResort: kem(90) } as const;
    const cast = (message: object) =>
      fixture.test.node.cast(pid, { connection: fixture.client.pid, ...message } as never);
    cast({ kind: 'confirm', iq: 100, request: confirmation(fixture.codes.at(-1)!) });
    cast({ ...address, kind: 'add-prekeys', iq: 101, request });
    await fixture.test.settle();
    const outcomes = fixture.client
      .take()
      .map((message) => (message.kind === 'answer-refused' ? message.refusal : message.kind));
    t.strictSame(outcomes, [{ code: 'APP_OVERLOADED', retryAfter: 1 }, 'answer']);
    t.equal(fixture.store.device(address.user, address.device), undefined);
    t.equal(
      await uploadTo(fixture, address, { lastResort: kem(90) }),
      'APP_UNKNOWN_DEVICE',
      'and afterwards it is gone',
    );
  },
);

t.test('a registration brings its last-resort key along, and a login is told what is left', async (t) => {
  const fixture = await start();
  await fixture.ask({ kind: 'request-code', phone: PHONE });
  const request = { ...confirmation(fixture.codes.at(-1)!), lastResort: kem(1) };
  const answer = await fixture.ask({ kind: 'confirm', request });
  if (typeof answer === 'string' || answer.kind !== 'account') throw new Error('not registered');
  const { user, device } = answer;
  t.match(await bundleOf(fixture, user), { kem: { id: 1, lastResort: true } });
  await uploadTo(fixture, { user, device }, { kem: [kem(2), kem(3)] });
  const pid = fixture.test.node
    .processes()
    .find((each) => fixture.test.node.processInfo(each)?.behavior === 'actors/accounts')!;
  fixture.test.node.cast(pid, { kind: 'find-device', connection: fixture.client.pid, user, device });
  await fixture.test.settle();
  t.match(fixture.client.take(), [{ kind: 'device-found', preKeys: 1, kemPreKeys: 2 }]);
});

t.test('a requester has a few bundles of one target, then waits; others are served', async (t) => {
  const fixture = await start();
  const { user } = await registered(fixture, 20);
  const { bundlesOfOneTargetMax: max } = LIMITS;
  for (let count = 0; count < max; count++) {
    t.match(await fixture.ask({ kind: 'take-bundle', user, requester: 'm' }), { kind: 'bundle' });
  }
  t.equal(await fixture.ask({ kind: 'take-bundle', user, requester: 'm' }), 'APP_RATE_LIMITED');
  t.equal(fixture.store.preKeys(user, 1, 99).length, 20 - max, 'a refused request takes nothing');
  t.match(await fixture.ask({ kind: 'take-bundle', user, requester: 'a' }), {
    devices: [{ oneTime: { id: max + 1 } }],
  });
  await fixture.test.advance(LIMITS.bundleOfOneTargetMs, 60_000);
  t.match(await fixture.ask({ kind: 'take-bundle', user, requester: 'm' }), { kind: 'bundle' });
});

t.test('many requesters together leave a target the rest of its one-time keys', async (t) => {
  const fixture = await start();
  const address = await registered(fixture, 0);
  const { oneTimeKeysBurstMax: max, preKeyCountMax } = LIMITS;
  const key = new Uint8Array(33).fill(5);
  const oneTime = Array.from({ length: preKeyCountMax }, (_, id) => ({ id, key }));
  await uploadTo(fixture, address, { oneTime: oneTime.slice(0, 100), lastResort: kem(90), kem: [kem(1)] });
  await uploadTo(fixture, address, { oneTime: oneTime.slice(100) });
  for (let count = 0; count < max; count++) t.ok((await bundleOf(fixture, address.user)).oneTime);
  const beyond = await bundleOf(fixture, address.user);
  t.equal(beyond.oneTime, undefined);
  t.match(beyond.kem, { id: 90, lastResort: true });
  t.equal(fixture.store.preKeys(address.user, 1, preKeyCountMax).length, preKeyCountMax - max);
  await fixture.test.advance(LIMITS.oneTimeKeyMs, 10_000);
  t.ok((await bundleOf(fixture, address.user)).oneTime, 'one a minute');
});

t.test('a device is told of its stock when strangers use it up, by way of its inbox', async (t) => {
  const fixture = await start();
  const { user } = await registered(fixture, 3);
  await fixture.ask({ kind: 'take-bundle', user });
  t.strictSame(fixture.toInbox, [
    { kind: 'tell-device', user, device: 1, message: { kind: 'prekeys-low', preKeys: 2, kemPreKeys: 0 } },
  ]);
});

t.test('numbers and users that are not registered are unknown', async (t) => {
  const fixture = await start();
  t.equal(await fixture.ask({ kind: 'find-contact', phone: PHONE }), 'APP_UNKNOWN_USER');
  t.equal(await fixture.ask({ kind: 'take-bundle', user: '999999999999999' }), 'APP_UNKNOWN_USER');
  const { user } = await registered(fixture);
  t.same(await fixture.ask({ kind: 'find-contact', phone: PHONE }), { kind: 'contact', phone: PHONE, user });
});

/** One message to a group, carried out: who is reached, in what state it ends, and what a refusal leaves alone. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { isSignalError } from './errors.ts';
import { defaultGroupPolicy, type GroupPolicy } from './group-distribution.ts';
import { dispatchToGroup, type GroupDispatch, type GroupSending, type PairwiseCipher } from './group-sender.ts';
import { acceptDistribution, decryptFromGroup } from './group-session.ts';
import { LIMITS } from './limits.ts';
import type { SenderKeyRecord } from './sender-key.ts';
import { codeOf, must } from './testing/outcome.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const text = (content: string): Uint8Array => new TextEncoder().encode(content);

interface Sealed {
  readonly kind: 'distribution' | 'message';
  readonly content: Uint8Array;
}

/** Reaches everybody but `without`; the "sealing" shows what would be encrypted. */
function cipherWithout(...without: string[]): PairwiseCipher<Sealed> & { count: number } {
  const cipher = {
    count: 0,
    seal(device: string, kind: Sealed['kind'], content: Uint8Array): Promise<Sealed | undefined> {
      cipher.count++;
      return Promise.resolve(without.includes(device) ? undefined : { kind, content });
    },
    sealDistribution: (device: string, content: Uint8Array) => cipher.seal(device, 'distribution', content),
    sealMessage: (device: string, content: Uint8Array) => cipher.seal(device, 'message', content),
  };
  return cipher;
}

class Sender {
  sending: GroupSending | undefined;
  policy: GroupPolicy = defaultGroupPolicy;
  nowMs = 1_000;

  async send(
    content: string,
    roster: readonly string[],
    without: readonly string[] = [],
  ): Promise<GroupDispatch<Sealed>> {
    const task = { ...this, roster: new Set(roster), random, pairwise: cipherWithout(...without) };
    const dispatch = must(await dispatchToGroup(task, text(content)));
    this.sending = dispatch.sending;
    return dispatch;
  }
}

/** What a device reads that takes in the hand-out, if there is one for it, and then the message. */
function read(dispatch: GroupDispatch<Sealed>, device: string, before?: SenderKeyRecord): string {
  const handOut = dispatch.envelopes.find((envelope) => envelope.device === device)?.sealed.content;
  const record = handOut ? must(acceptDistribution(before, handOut)).record : before;
  const outcome = decryptFromGroup(record, dispatch.ciphertext!);
  return isSignalError(outcome) ? outcome.code : new TextDecoder().decode(outcome.plaintext);
}

t.test('who gets the chain with a message reads that message', async (t) => {
  const sender = new Sender();
  const first = await sender.send('hello', ['b', 'c']);
  t.equal(first.rotation, 'first');
  t.same(
    first.envelopes.map(({ device, sealed }) => [device, sealed.kind]),
    [
      ['b', 'distribution'],
      ['c', 'distribution'],
    ],
  );
  for (const device of ['b', 'c']) t.equal(read(first, device), 'hello');
  const second = await sender.send('again', ['b', 'c']);
  t.same([second.rotation, second.envelopes], [undefined, []], 'and the next one needs no hand-out');
});

t.test('a device without a session is named, misses the message, and gets the chain with a later one', async (t) => {
  const sender = new Sender();
  const first = await sender.send('one', ['b', 'c'], ['c']);
  t.same(first.unreached, ['c']);
  const second = await sender.send('two', ['b', 'c']);
  t.equal(second.rotation, undefined, 'it did not join, it waited');
  t.same(
    second.envelopes.map(({ device }) => device),
    ['c'],
  );
  t.equal(read(second, 'c'), 'two');
  const record = must(acceptDistribution(undefined, second.envelopes[0]!.sealed.content)).record;
  t.equal(codeOf(decryptFromGroup(record, first.ciphertext!)), 'SIG_DUPLICATE', 'what was sent before is out of reach');
});

t.test('a rotation keeps the distribution id and begins another chain', async (t) => {
  const sender = new Sender();
  await sender.send('one', ['b', 'c']);
  const { senderKey, ledger } = sender.sending!;
  const { rotation } = await sender.send('two', ['b']);
  t.equal(rotation, 'left');
  t.same(sender.sending!.senderKey.distributionId, senderKey.distributionId);
  t.not(sender.sending!.senderKey.chainId, senderKey.chainId);
  t.equal(sender.sending!.ledger.chainId, sender.sending!.senderKey.chainId);
  t.same([...ledger.holders], ['b', 'c'], 'the former state stays as it was');
});

t.test('the chain carries so many messages as the policy says, and lives so long', async (t) => {
  const sender = new Sender();
  sender.policy = { ...defaultGroupPolicy, messageCountMax: 3, ageMsMax: 100 };
  const rotations: (string | undefined)[] = [];
  for (let index = 0; index < 7; index++) rotations.push((await sender.send(String(index), ['b'])).rotation);
  sender.nowMs += 100;
  rotations.push((await sender.send('late', ['b'])).rotation);
  const none = undefined;
  t.same(rotations, ['first', none, none, 'messages', none, none, 'messages', 'age']);
});

t.test('a pairwise group: the message to each device, no chain kept', async (t) => {
  const sender = new Sender();
  await sender.send('with a chain', ['b', 'c']);
  sender.policy = { ...defaultGroupPolicy, mode: 'pairwise' };
  const dispatch = await sender.send('to each', ['b', 'c'], ['c']);
  t.equal(dispatch.ciphertext, undefined);
  t.equal(sender.sending, undefined);
  t.same(dispatch.envelopes, [{ device: 'b', sealed: { kind: 'message', content: text('to each') } }]);
  t.same(dispatch.unreached, ['c']);
  sender.policy = defaultGroupPolicy;
  t.equal((await sender.send('with a chain again', ['b'])).rotation, 'first');
});

t.test('a refusal uses no pairwise session', async (t) => {
  const pairwise = cipherWithout();
  const task = { policy: defaultGroupPolicy, sending: undefined, roster: new Set(['b']), nowMs: 0, random, pairwise };
  const outcome = await dispatchToGroup(task, new Uint8Array(LIMITS.plaintextBytesMax + 1));
  t.equal(codeOf(outcome), 'SIG_TOO_LARGE');
  t.equal(pairwise.count, 0);
  await t.rejects(dispatchToGroup(task, 'text' as never), TypeError);
  const sender = new Sender();
  await sender.send('one', ['b']);
  const mixed = { ...sender.sending!, ledger: { ...sender.sending!.ledger, chainId: -1 } };
  await t.rejects(dispatchToGroup({ ...task, sending: mixed }, text('two')), RangeError, 'two records out of step');
});

t.test('the largest group: 5,120 devices, one ciphertext', async (t) => {
  const sender = new Sender();
  const roster = Array.from({ length: LIMITS.groupDeviceCountMax }, (_, index) => `123456789012345:${index}:1`);
  const dispatch = await sender.send('to all', roster);
  t.equal(dispatch.envelopes.length, roster.length);
  t.equal(read(dispatch, roster.at(-1)!), 'to all');
  t.ok(dispatch.ciphertext!.length < 200);
});

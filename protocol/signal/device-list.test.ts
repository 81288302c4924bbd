/** Device lists: what a server can do to them, and what each attempt is refused with. */
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { concat } from './bytes.ts';
import { signDeviceList, verifyDeviceList, type AcceptedDeviceList, type ListedDevice } from './device-list.ts';
import type { SignalError } from './errors.ts';
import { generateKeyPair, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { ProtobufWriter } from './protobuf.ts';
import { seededIntegers, seededRandom } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { fromHex, toHex } from './testing/transcripts.ts';
import { xeddsaSign } from './xeddsa.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const account = '123456789012345';
const primary = { id: 1, identityKeyPair: generateKeyPair(random) };
const device = (id: number): ListedDevice => ({ id, identityKey: generateKeyPair(random).publicKey });
const [laptop, tablet, desktop] = [device(7), device(4), device(9)];

const sign = (linked: readonly ListedDevice[], former?: Uint8Array): Uint8Array =>
  signDeviceList(primary, account, linked, former, random);
const verify = (bytes: Uint8Array, known?: Uint8Array, of: string = account): AcceptedDeviceList | SignalError =>
  verifyDeviceList(bytes, of, primary.identityKeyPair.publicKey, known);
const idsOf = (devices: readonly ListedDevice[]): number[] => devices.map(({ id }) => id);

const first = sign([laptop]);
const second = sign([tablet, laptop], first);
const third = sign([tablet], second);

t.test('a list says which devices there are, and what changed', async (t) => {
  const begun = must(verify(first));
  t.equal(begun.list.epoch, 1);
  t.same(idsOf(begun.list.devices), [1, 7]);
  t.same(idsOf(begun.added), [1, 7]);
  const grown = must(verify(second, first));
  t.same([grown.list.epoch, grown.isNew], [2, true]);
  t.same(idsOf(grown.list.devices), [1, 4, 7], 'the primary device, then by id');
  t.same([idsOf(grown.added), idsOf(grown.removed)], [[4], []]);
  const shrunk = must(verify(third, second));
  t.same([idsOf(shrunk.added), idsOf(shrunk.removed)], [[], [7]]);
  const again = must(verify(third, third));
  t.same([again.isNew, idsOf(again.added), idsOf(again.removed)], [false, [], []]);
});

t.test('a device under an old id with another key is removed and added', async (t) => {
  const replaced = { ...tablet, identityKey: generateKeyPair(random).publicKey };
  const { added, removed } = must(verify(sign([replaced], third), third));
  t.same([added[0]!.identityKey, removed[0]!.identityKey], [replaced.identityKey, tablet.identityKey]);
});

t.test('a server that goes back to an older list is refused', async (t) => {
  t.equal(codeOf(verify(first, second)), 'SIG_LIST_ROLLED_BACK');
  t.equal(codeOf(verify(second, third)), 'SIG_LIST_ROLLED_BACK');
});

t.test('two lists of one epoch, or a next one after another list, are an alarm', async (t) => {
  const otherSecond = sign([desktop, laptop], first);
  t.equal(codeOf(verify(otherSecond, second)), 'SIG_LIST_FORKED', 'the same epoch');
  t.equal(codeOf(verify(sign([desktop], otherSecond), second)), 'SIG_LIST_FORKED', 'the next epoch');
  t.equal(must(verify(sign([desktop], third), second)).list.epoch, 4, 'a jump cannot be checked');
  const resigned = sign([tablet, laptop], first);
  t.notSame(resigned, second);
  t.equal(must(verify(resigned, second)).isNew, false, 'the same list signed twice is no fork');
});

t.test('nobody but the primary device lists devices', async (t) => {
  const server = generateKeyPair(random);
  const forged = signDeviceList({ id: 1, identityKeyPair: server }, account, [laptop], undefined, random);
  t.equal(codeOf(verify(forged)), 'SIG_BAD_SIGNATURE', 'another primary device');
  t.equal(codeOf(verify(first, undefined, '999999999999999')), 'SIG_BAD_SIGNATURE', 'the list of another account');
  const added = concat(first.subarray(0, -64), deviceField(desktop), first.subarray(-64));
  t.equal(codeOf(verify(added)), 'SIG_BAD_SIGNATURE', 'one more device');
});

function deviceField({ id, identityKey }: ListedDevice): Uint8Array {
  const inner = new ProtobufWriter(40).uint32(1, id).bytes(2, identityKey).finish();
  return new ProtobufWriter(64).bytes(3, inner).finish();
}

t.test('a signature over a signed pre-key is none over a list', async (t) => {
  const body = first.subarray(0, -64);
  const bare = concat(body, xeddsaSign(primary.identityKeyPair.privateKey, body, random));
  t.equal(codeOf(verify(bare)), 'SIG_BAD_SIGNATURE', 'without the label');
});

t.test('damage is refused without a throw, and a mutated list never verifies', async (t) => {
  for (let length = 0; length < second.length; length++) {
    const outcome = codeOf(verify(second.subarray(0, length)));
    t.ok(['SIG_MALFORMED', 'SIG_BAD_SIGNATURE'].includes(outcome), `${length} bytes: ${outcome}`);
  }
  const pick = seededIntegers('device lists');
  const seen = new Set<string>();
  for (let round = 0; round < 1_500; round++) {
    const mutated = new Uint8Array(second);
    const at = pick(mutated.length);
    mutated[at]! ^= 1 << pick(8);
    seen.add(codeOf(verify(mutated)));
  }
  t.same([...seen].sort(), ['SIG_BAD_KEY', 'SIG_BAD_SIGNATURE', 'SIG_MALFORMED', 'SIG_UNSUPPORTED_VERSION']);
  t.equal(codeOf(verify(new Uint8Array(LIMITS.deviceListBytesMax + 1).fill(1))), 'SIG_MALFORMED');
  t.throws(() => verify('01' as never), TypeError);
});

/** A list of any form with a genuine signature: what a broken primary device might publish. */
function signedAnyhow(body: Uint8Array): Uint8Array {
  const label = new TextEncoder().encode('Blindbeam device list\0');
  const name = new TextEncoder().encode(account);
  const statement = concat(label, Uint8Array.of(name.length), name, body);
  return concat(body, xeddsaSign(primary.identityKeyPair.privateKey, statement, random));
}

t.test('the form is checked under a genuine signature, too', async (t) => {
  const own = { id: 1, identityKey: primary.identityKeyPair.publicKey };
  const listOf = (epoch: number, devices: readonly ListedDevice[], formerHash?: Uint8Array): Uint8Array =>
    signedAnyhow(
      concat(
        new ProtobufWriter(64).byte(1).uint32(1, epoch).bytes(2, formerHash).finish(),
        ...devices.map(deviceField),
      ),
    );
  const outcome = (bytes: Uint8Array): string => codeOf(verify(bytes));
  const hash = new Uint8Array(32);
  const five = [own, device(2), device(3), device(4), device(5)];
  t.equal(outcome(listOf(1, five)), 'ok');
  t.equal(outcome(listOf(2, five, hash)), 'ok');
  t.equal(outcome(listOf(1, [...five, device(6)])), 'SIG_MALFORMED', 'six devices');
  t.equal(outcome(listOf(1, [])), 'SIG_MALFORMED', 'none');
  t.equal(outcome(listOf(0, five)), 'SIG_MALFORMED', 'epoch 0');
  t.equal(outcome(listOf(1, five, hash)), 'SIG_MALFORMED', 'the first with a former one');
  t.equal(outcome(listOf(2, five)), 'SIG_MALFORMED', 'a later one without');
  t.equal(outcome(listOf(2, five, new Uint8Array(31))), 'SIG_MALFORMED', 'a short hash');
  t.equal(outcome(listOf(1, [own, tablet, tablet])), 'SIG_MALFORMED', 'a device twice');
  t.equal(outcome(listOf(1, [own, { ...own, id: 5 }])), 'SIG_MALFORMED', 'a key twice');
  t.equal(outcome(listOf(1, [own, laptop, tablet])), 'SIG_MALFORMED', 'out of order');
  t.equal(outcome(listOf(1, [own, device(128)])), 'SIG_MALFORMED', 'an id out of range');
  t.equal(outcome(listOf(1, [tablet, own])), 'SIG_BAD_SIGNATURE', 'the primary device is not first');
  t.equal(outcome(listOf(1, [own, { id: 5, identityKey: new Uint8Array(33).with(0, 5) }])), 'SIG_BAD_KEY');
});

t.test('wrong calls throw', async (t) => {
  t.throws(() => sign([device(2), device(3), device(4), device(5), device(6)]), RangeError, 'too many');
  t.throws(() => sign([device(1)]), RangeError, 'the primary device’s id');
  t.throws(() => sign([device(0)]), RangeError);
  t.throws(() => sign([{ id: 2, identityKey: new Uint8Array(33) }]), RangeError);
  t.throws(() => sign([], new Uint8Array(100)), RangeError, 'a former list that is none');
  t.throws(() => verify(first, new Uint8Array(100)), RangeError);
  t.throws(() => signDeviceList(primary, '', [], undefined, random), RangeError);
});

t.test('the published vectors', async (t) => {
  const file = new URL('../../../protocol/signal/vectors/device-lists-v1.json', import.meta.url);
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly account: string;
    readonly primaryPublicKey: string;
    readonly lists: readonly { readonly bytes: string; readonly epoch: number; readonly deviceIds: number[] }[];
    readonly refused: readonly { readonly bytes: string; readonly known: string | null; readonly code: string }[];
  };
  const primaryKey = fromHex(vectors.primaryPublicKey);
  let known: Uint8Array | undefined;
  for (const { bytes, epoch, deviceIds } of vectors.lists) {
    const accepted = must(verifyDeviceList(fromHex(bytes), vectors.account, primaryKey, known));
    t.same([accepted.list.epoch, idsOf(accepted.list.devices)], [epoch, deviceIds]);
    known = fromHex(bytes);
  }
  for (const { bytes, known, code } of vectors.refused) {
    const before = known === null ? undefined : fromHex(known);
    t.equal(codeOf(verifyDeviceList(fromHex(bytes), vectors.account, primaryKey, before)), code);
  }
  t.same(vectorsOf().lists, vectors.lists, 'and they are what we write');
});

/** The vectors, made again: keys and signatures come from a seed. */
function vectorsOf(): { readonly lists: readonly { bytes: string; epoch: number; deviceIds: number[] }[] } {
  const seeded = seededRandom('device list vectors');
  const identityKeyPair: KeyPair = generateKeyPair(seeded);
  const others = [2, 3].map((id) => ({ id, identityKey: generateKeyPair(seeded).publicKey }));
  const lists: { bytes: string; epoch: number; deviceIds: number[] }[] = [];
  let former: Uint8Array | undefined;
  for (const linked of [[], others.slice(0, 1), others, others.slice(1)]) {
    former = signDeviceList({ id: 1, identityKeyPair }, account, linked, former, seeded);
    lists.push({ bytes: toHex(former), epoch: lists.length + 1, deviceIds: [1, ...idsOf(linked)] });
  }
  return { lists };
}

/** FORMAT.md against the code: each example decodes, and says what the page says. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { verifyDeviceList } from './device-list.ts';
import { decodeLedger } from './group-distribution.ts';
import { acceptDistribution, decryptFromGroup } from './group-session.ts';
import { compareSafetyCode, computeSafetyNumber } from './safety-number.ts';
import { decodePreKeyMessage, decodeRatchetMessage } from './ciphertext.ts';
import { must } from './testing/outcome.ts';
import { fromHex, toHex, transcripts } from './testing/transcripts.ts';

const page = readFileSync(new URL('../../../protocol/signal/FORMAT.md', import.meta.url), 'utf8');
const examples = new Map(
  [...page.matchAll(/```hex ([a-z-]+)\n([^`]*)```/g)].map(([, name, hex]) => [
    name!,
    fromHex(hex!.replaceAll(/;.*$/gm, '').replaceAll(/\s/g, '')),
  ]),
);

t.test('the messages of a session are the first two of the first transcript', async (t) => {
  const [offer, answer] = transcripts[0]!.steps;
  t.equal(toHex(examples.get('prekey-message')!), offer!.ciphertext);
  t.match(must(decodePreKeyMessage(examples.get('prekey-message')!)), {
    ...{ versionByte: 0x34, oneTimePreKeyId: 77, registrationId: 4321, signedPreKeyId: 22 },
  });
  t.equal(toHex(examples.get('ratchet-message')!), answer!.ciphertext);
  t.match(must(decodeRatchetMessage(examples.get('ratchet-message')!)).header, { counter: 0, previousCounter: 0 });
});

t.test('a group message is read under the distribution before it', async (t) => {
  const { record } = must(acceptDistribution(undefined, examples.get('distribution')!));
  const { plaintext } = must(decryptFromGroup(record, examples.get('group-message')!));
  t.equal(new TextDecoder().decode(plaintext), 'group message 0 ');
});

t.test('the device list is of epoch 2, with two devices', async (t) => {
  const bytes = examples.get('device-list')!;
  const primaryKey = fromHex('0527c60c9515b0a11bae5ca99a86bda5bca2ef5f422348ca4643215d6a2b373832');
  const { list } = must(verifyDeviceList(bytes, '123456789012345', primaryKey, undefined));
  t.equal(list.epoch, 2);
  t.same(
    list.devices.map(({ id }) => id),
    [1, 2],
  );
});

t.test('the safety code is the first recorded one', async (t) => {
  const file = new URL('../../../protocol/signal/vectors/safety-numbers.json', import.meta.url);
  const [first] = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>[];
  const local = { stableId: first!.localId!, identityKey: fromHex(first!.localIdentityKey!) };
  const remote = { stableId: first!.remoteId!, identityKey: fromHex(first!.remoteIdentityKey!) };
  t.equal(compareSafetyCode(computeSafetyNumber(remote, local), examples.get('safety-code')!), 'match');
});

t.test('the ledger', async (t) => {
  const ledger = must(decodeLedger(examples.get('ledger')!));
  t.same([ledger.chainId, ledger.begunAtMs], [9, 1_000_000]);
  t.same([[...ledger.holders], [...ledger.awaiting]], [['a1', 'b1', 'b2'], ['c1']]);
});

t.test('there is no example that nobody reads', async (t) => {
  const read = ['device-list', 'distribution', 'group-message', 'ledger', 'prekey-message', 'ratchet-message'];
  t.same([...examples.keys()].sort(), [...read, 'safety-code']);
});

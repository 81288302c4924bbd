/** Group messages: who reads what, every refusal by its code, and that a refusal changes nothing. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { isSignalError } from './errors.ts';
import {
  acceptDistribution,
  createSenderKey,
  decryptFromGroup,
  distributionMessage,
  encryptForGroup,
  readGroupHeader,
} from './group-session.ts';
import { LIMITS } from './limits.ts';
import { encodeSenderKeyRecord } from './sender-key-codec.ts';
import { SenderKey, type SenderKeyRecord } from './sender-key.ts';
import { deriveNextChainKey } from './ratchet-keys.ts';
import { decodeDistribution, encodeDistribution } from './sender-key-message.ts';
import { codeOf, must } from './testing/outcome.ts';
import { toHex } from './testing/transcripts.ts';

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A device that sends, and what one receiver remembers of it. */
class Channel {
  key: SenderKey = createSenderKey(random(16), random);
  record: SenderKeyRecord | undefined;

  handOut(): void {
    this.record = must(acceptDistribution(this.record, distributionMessage(this.key))).record;
  }

  rotate(): void {
    this.key = createSenderKey(this.key.distributionId, random);
  }

  send(text: string): Uint8Array {
    const { senderKey, ciphertext } = must(encryptForGroup(this.key, utf8(text)));
    this.key = senderKey;
    return ciphertext;
  }

  /** The text, or the code; what fails must leave the record as it was, byte for byte. */
  read(ciphertext: Uint8Array): string {
    const before = this.record;
    const bytesBefore = before && toHex(encodeSenderKeyRecord(before));
    const outcome = decryptFromGroup(this.record, ciphertext);
    if (before && toHex(encodeSenderKeyRecord(before)) !== bytesBefore) throw new Error('changed in place');
    if (isSignalError(outcome)) return outcome.code;
    this.record = outcome.record;
    return new TextDecoder().decode(outcome.plaintext);
  }
}

function openChannel(): Channel {
  const channel = new Channel();
  channel.handOut();
  return channel;
}

t.test('messages are read in any order, each once', async (t) => {
  const channel = openChannel();
  const sent = ['a', 'b', 'c', 'd', 'e'].map((text) => channel.send(text));
  for (const [index, text] of [
    [3, 'd'],
    [0, 'a'],
    [4, 'e'],
    [2, 'c'],
    [1, 'b'],
  ] as const) {
    t.equal(channel.read(sent[index]!), text);
    t.equal(channel.read(sent[index]!), 'SIG_DUPLICATE');
  }
});

t.test('a message before its sender key waits; the key hands out nothing that was sent before it', async (t) => {
  const channel = new Channel();
  const early = channel.send('early');
  t.equal(channel.read(early), 'SIG_NO_SENDER_KEY');
  channel.handOut();
  t.equal(channel.read(early), 'SIG_DUPLICATE', 'before the hand-out: out of reach');
  t.equal(channel.read(channel.send('later')), 'later');
});

t.test('after a rotation late messages of the last five chains are read, and no older ones', async (t) => {
  const channel = openChannel();
  const late: Uint8Array[] = [];
  for (let chain = 0; chain < LIMITS.senderKeyStateCountMax + 1; chain++) {
    late.push(channel.send(`chain ${chain}`));
    if (chain < LIMITS.senderKeyStateCountMax) {
      channel.rotate();
      channel.handOut();
    }
  }
  t.equal(channel.read(late[0]!), 'SIG_NO_SENDER_KEY', 'the sixth chain pushed the first one out');
  for (let chain = 1; chain < late.length; chain++) t.equal(channel.read(late[chain]!), `chain ${chain}`);
});

t.test('a repeated distribution gives no used key back', async (t) => {
  const channel = openChannel();
  const first = distributionMessage(channel.key);
  const sent = channel.send('once');
  t.equal(channel.read(sent), 'once');
  const before = channel.record;
  channel.record = must(acceptDistribution(channel.record, first)).record;
  t.equal(channel.record, before);
  t.equal(channel.read(sent), 'SIG_DUPLICATE');
});

t.test('a chain id under another signing key replaces the former chain', async (t) => {
  const channel = openChannel();
  const former = channel.send('former');
  const other = createSenderKey(channel.key.distributionId, random);
  channel.key = new SenderKey({ ...other, chainId: channel.key.chainId });
  channel.handOut();
  t.equal(channel.record!.states.length, 1);
  t.equal(channel.read(former), 'SIG_BAD_SIGNATURE');
  t.equal(channel.read(channel.send('new')), 'new');
});

t.test('one flipped bit anywhere in a message is refused, and no state changes', async (t) => {
  const channel = openChannel();
  const sent = channel.send('untouched');
  const codes = new Set<string>();
  for (let bit = 0; bit < sent.length * 8; bit++) {
    const damaged = new Uint8Array(sent);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    codes.add(channel.read(damaged));
  }
  t.same([...codes].sort(), ['SIG_BAD_SIGNATURE', 'SIG_MALFORMED', 'SIG_NO_SENDER_KEY', 'SIG_UNSUPPORTED_VERSION']);
  t.equal(channel.read(sent), 'untouched');
});

t.test('a member who holds the chain cannot write in its owner’s name', async (t) => {
  const owner = openChannel();
  const forger = createSenderKey(owner.key.distributionId, random);
  const stolen = new SenderKey({ ...owner.key, signingKeyPair: forger.signingKeyPair });
  t.equal(owner.read(must(encryptForGroup(stolen, utf8('forged'))).ciphertext), 'SIG_BAD_SIGNATURE');
  t.equal(owner.read(owner.send('genuine')), 'genuine');
});

t.test('jumps: the bound is readable, one more is not, and the signature comes first', async (t) => {
  const channel = openChannel();
  const near = channel.send('near');
  let { chainKey } = channel.key;
  const reach = (iteration: number): Uint8Array => {
    for (let at = channel.key.iteration; at < iteration; at++) chainKey = deriveNextChainKey(chainKey);
    channel.key = new SenderKey({ ...channel.key, iteration, chainKey });
    return must(encryptForGroup(channel.key, utf8('far'))).ciphertext;
  };
  const far = reach(LIMITS.forwardJumpCountMax);
  const tooFar = reach(LIMITS.forwardJumpCountMax + 1);
  t.equal(channel.read(tooFar), 'SIG_TOO_FAR');
  t.equal(channel.read(tooFar.with(-1, tooFar.at(-1)! ^ 1)), 'SIG_BAD_SIGNATURE');
  t.equal(channel.read(far), 'far');
  t.equal(channel.read(near), 'SIG_DUPLICATE', 'forgotten: 25,000 were passed over, 2,000 are kept');
  t.equal(channel.read(tooFar), 'far', 'and the next one is near now');
});

t.test('2,000 skipped messages are kept, the oldest go first', async (t) => {
  const channel = openChannel();
  const sent = Array.from({ length: LIMITS.skippedKeyCountMax + 2 }, (_, index) => channel.send(String(index)));
  t.equal(channel.read(sent.at(-1)!), String(sent.length - 1));
  t.equal(channel.read(sent[0]!), 'SIG_DUPLICATE', 'one more than the cap');
  t.equal(channel.read(sent[1]!), '1');
});

t.test('size, exhaustion and wrong calls', async (t) => {
  const channel = openChannel();
  const largest = new Uint8Array(LIMITS.plaintextBytesMax);
  const sent = must(encryptForGroup(channel.key, largest));
  t.ok(sent.ciphertext.length <= LIMITS.messageBytesMax);
  t.equal(must(decryptFromGroup(channel.record, sent.ciphertext)).plaintext.length, largest.length);
  t.equal(codeOf(encryptForGroup(channel.key, new Uint8Array(largest.length + 1))), 'SIG_TOO_LARGE');
  const last = new SenderKey({ ...channel.key, iteration: LIMITS.uint32Max });
  t.equal(codeOf(encryptForGroup(last, largest)), 'SIG_CHAIN_EXHAUSTED');
  t.throws(() => createSenderKey(random(15), random), RangeError);
  t.throws(() => encryptForGroup(channel.key, 'text' as never), TypeError);
  t.throws(() => decryptFromGroup(channel.record, 'text' as never), TypeError);
  t.throws(() => acceptDistribution(undefined, 'text' as never), TypeError);
});

t.test('a distribution with a weak signing key is refused', async (t) => {
  const decoded = must(decodeDistribution(distributionMessage(createSenderKey(random(16), random))));
  const weak = encodeDistribution({ ...decoded, signingKey: new Uint8Array(33).with(0, 5) });
  t.equal(codeOf(acceptDistribution(undefined, weak)), 'SIG_BAD_KEY');
});

t.test('the header names the chain, and is a copy', async (t) => {
  const channel = openChannel();
  const sent = channel.send('x');
  const header = must(readGroupHeader(sent));
  sent.fill(0);
  const { distributionId, chainId } = channel.key;
  t.same(header, { distributionId, chainId, iteration: 0 });
  t.equal(codeOf(readGroupHeader(sent)), 'SIG_UNSUPPORTED_VERSION');
});

t.test('keys and records do not print what they hold', async (t) => {
  const { key, record } = openChannel();
  for (const secret of [key, record]) t.match(JSON.stringify(secret) + String(secret), /redacted/);
});

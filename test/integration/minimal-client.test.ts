/**
 * The documents are enough to write a client: the one in `minimal-client/` was, and it talks to the SDK through a real node.
 *
 * First its parts against the published vectors, which are data and not code; then the whole.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Stanza as WireStanza } from '../../protocol/wire/index.ts';
import { misfitOf, type Schema } from '../../protocol/wire/schema/index.ts';
import { newPerson, until, PATIENCE_MS } from './people.ts';
import { readDictionary, DICTIONARY } from './minimal-client/dictionary.ts';
import { keyPairOf, verifies, type IdentityKeyPair } from './minimal-client/keys.ts';
import { MinimalClient, Refused } from './minimal-client/minimal-client.ts';
import { decodePreKeyMessage } from './minimal-client/session-messages.ts';
import { Session } from './minimal-client/session.ts';
import {
  decodeMessage,
  decodeStanza,
  encodeStanza,
  stanza,
  WireRefusal,
  type Stanza,
  type Value,
} from './minimal-client/stanza-codec.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const ALICE = '+4915100000001';
const BOB = '+4915100000002';

function json(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

// --- the notation of protocol/wire/vectors/README.md --------------------------------------------------------------

type Hex = string | readonly (string | { readonly repeat: string; readonly times: number })[];

interface StanzaJson {
  readonly tag: string;
  readonly attrs?: readonly (readonly [string, Value])[];
  readonly bytes?: Hex;
  readonly children?: readonly (StanzaJson | { readonly repeat: StanzaJson; readonly times: number })[];
}

interface WireVectors {
  readonly dictionary: Readonly<Record<string, string>>;
  readonly stanzas: readonly { readonly name: string; readonly hex: Hex; readonly stanza: StanzaJson }[];
  readonly refused: readonly { readonly name: string; readonly hex: Hex }[];
  readonly messages: readonly { readonly name: string; readonly hex: Hex; readonly stanzas?: number }[];
}

function bytesFrom(hex: Hex): Buffer {
  const parts = typeof hex === 'string' ? [hex] : hex;
  const text = parts.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times)));
  return Buffer.from(text.join(''), 'hex');
}

function stanzaFrom({ tag, attrs = [], bytes, children }: StanzaJson): Stanza {
  const attributes = new Map(attrs);
  if (bytes !== undefined) return { tag, attributes, content: bytesFrom(bytes) };
  const content = children?.flatMap((child) =>
    'repeat' in child ? Array.from({ length: child.times }, () => stanzaFrom(child.repeat)) : [stanzaFrom(child)],
  );
  return { tag, attributes, content };
}

const WIRE = json('protocol/wire/vectors/v1.json') as WireVectors;

t.test('the codec written from FORMAT.md has the dictionary and reads and writes every published vector', async (t) => {
  for (const [number, word] of Object.entries(WIRE.dictionary)) t.equal(DICTIONARY.words.get(Number(number)), word);
  t.equal(DICTIONARY.words.size, Object.keys(WIRE.dictionary).length);
  t.throws(() => readDictionary('# no tables'));
  for (const { name, hex, stanza: expected } of WIRE.stanzas) {
    t.strictSame(decodeStanza(bytesFrom(hex)), stanzaFrom(expected), `decodes ${name}`);
    t.ok(encodeStanza(stanzaFrom(expected)).equals(bytesFrom(hex)), `encodes ${name}`);
  }
  for (const { name, hex } of WIRE.refused)
    t.throws(() => decodeStanza(bytesFrom(hex)), WireRefusal, `refuses ${name}`);
  for (const { name, hex, stanzas } of WIRE.messages) {
    if (stanzas === undefined) t.throws(() => decodeMessage(bytesFrom(hex)), WireRefusal, `refuses ${name}`);
    else t.equal(decodeMessage(bytesFrom(hex)).length, stanzas, name);
  }
});

interface SignatureVector {
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
  readonly valid: boolean;
}

t.test('signatures are verified as the recordings say', async (t) => {
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  for (const { publicKey, message, signature, valid } of json(
    'protocol/signal/vectors/xeddsa.json',
  ) as SignatureVector[])
    t.equal(verifies(hex(publicKey), hex(message), hex(signature)), valid, signature.slice(0, 16));
});

interface Transcript {
  readonly name: string;
  readonly bob: Readonly<Record<string, string>> & {
    readonly signedPreKeyId: number;
    readonly oneTimePreKeyId: number;
  };
  readonly steps: readonly { readonly ciphertext: string; readonly plaintextUtf8: string }[];
}

t.test('the first message of each recorded conversation is opened', async (t) => {
  const { transcripts } = json('protocol/signal/vectors/session-transcripts.json') as { transcripts: Transcript[] };
  for (const { name, bob, steps } of transcripts) {
    const pair = (name: string) => keyPairOf(Buffer.from(bob[name]!, 'hex'));
    const { signedPreKeyId, oneTimePreKeyId } = bob;
    const oneTime = oneTimePreKeyId === null ? [] : [[oneTimePreKeyId, pair('oneTimePreKeyPrivate')] as const];
    const local = {
      // Nothing is signed here.
      identity: pair('identityPrivateKey') as IdentityKeyPair,
      registration: 8765,
      signedPreKey: { id: signedPreKeyId, pair: pair('signedPreKeyPrivate') },
      oneTimePreKeys: new Map(oneTime),
    };
    const offer = decodePreKeyMessage(Buffer.from(steps[0]!.ciphertext, 'hex'));
    const forged = Buffer.from(offer.message);
    forged[forged.length - 9]! ^= 1;
    const session = Session.accept(local, offer);
    t.throws(() => session.open(forged), /wrong MAC/, `${name}: not when a bit is changed`);
    t.equal(session.open(offer.message).toString(), steps[0]!.plaintextUtf8, name);
  }
});

/** What is said by and to a client of this make, held to the published description. */
class SchemaWatch {
  readonly schema: Schema = json('protocol/wire/vectors/schema-v1.json') as Schema;
  readonly misfits: string[] = [];
  readonly seen = new Set<string>();
  readonly watch = (side: 'client' | 'server', said: Stanza): void => {
    const named = this.schema[side].map(({ element }) => element);
    const fitting = named.find((name) => misfitOf(asWireStanza(said), name, this.schema) === undefined);
    if (fitting === undefined) this.misfits.push(`${side} <${said.tag}>`);
    else this.seen.add(`${side} ${fitting}`);
  };
}

function asWireStanza({ tag, attributes, content }: Stanza): WireStanza {
  const attrs = [...attributes].flat();
  if (content === undefined || content instanceof Uint8Array) return { tag, attrs, content };
  return { tag, attrs, content: content.map(asWireStanza) };
}

t.test('one node, two clients of different make', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  const alice = await newPerson(t, server, ALICE);
  const held = new SchemaWatch();
  const bob = new MinimalClient(server.url, held.watch);
  await bob.register(BOB, () => server.code(BOB));
  await bob.login();

  t.test('the SDK writes first, is answered, and the ratchet turns at each change of the speaker', async (t) => {
    const sent = await alice.client.send(BOB, 'Is this thing on?');
    const first = await bob.receive();
    t.match(first, { id: 1, phone: ALICE, body: { kind: 'text', text: 'Is this thing on?' } });
    await sent.delivered;
    bob.markRead(first);
    await sent.read;
    for (let turn = 1; turn <= 5; turn++) {
      const id = await bob.send(first.from, `answer ${turn}`);
      await bob.receipt('delivered', first.from, id);
      await until(`answer ${turn}`, PATIENCE_MS, () => alice.received.length === turn);
      t.match(alice.received[turn - 1], { kind: 'text', text: `answer ${turn}`, phone: BOB, phoneVerified: true });
      await alice.received[turn - 1]!.markRead();
      await bob.receipt('read', first.from, id);
      await alice.client.send(BOB, `question ${turn}`);
      t.match((await bob.receive()).body, { text: `question ${turn}` });
    }
  });

  t.test('the minimal client writes first, and both write at once', async (t) => {
    const phone = '+4915100000003';
    const carol = await newPerson(t, server, phone);
    const user = await bob.find(phone);
    await Promise.all([bob.send(user, 'hello from a stranger'), carol.client.send(BOB, 'hello, stranger')]);
    t.match((await bob.receive()).body, { text: 'hello, stranger' });
    await until('the greeting', PATIENCE_MS, () => carol.received.length === 1);
    t.equal(carol.received[0]!.text, 'hello from a stranger');
    await bob.send(user, 'which session is this?');
    await carol.client.send(BOB, 'whichever was read last');
    t.match((await bob.receive()).body, { text: 'whichever was read last' });
    await until('the second message', PATIENCE_MS, () => carol.received.length === 2);
    t.equal(carol.received[1]!.text, 'which session is this?');
  });

  t.test('what was sent while the minimal client was away waits for it, in order', async (t) => {
    await bob.close();
    for (const text of ['one', 'two', 'three']) await alice.client.send(BOB, text);
    await bob.login();
    for (const text of ['one', 'two', 'three']) t.match((await bob.receive()).body, { text });
    await bob.ping(7);
  });

  t.test('a file of the SDK is fetched and opened', async (t) => {
    const file = Buffer.alloc(200_000, 'the harbour plan, page after page ');
    const attachment = await alice.client.uploadMedia(new Blob([file]), { name: 'plan.txt', caption: 'the plan' });
    await alice.client.send(BOB, { kind: 'attachment', ...attachment });
    const received = await bob.receive();
    t.match(received.body, {
      kind: 'attachment',
      attachment: { name: 'plan.txt', caption: 'the plan', bytes: 200_000 },
    });
    t.ok((await bob.fetch(received)).equals(file));
    const { body } = received;
    if (body.kind !== 'attachment') return void t.fail('expected an attachment');
    const elsewhere = { ...received, body: { ...body, attachment: { ...body.attachment, key: Buffer.alloc(32) } } };
    await t.rejects(bob.fetch(elsewhere), /wrong key/);
  });

  t.test('two minimal clients', async (t) => {
    const phone = '+4915100000004';
    const dora = new MinimalClient(server.url, held.watch);
    await dora.register(phone, () => server.code(phone));
    await dora.login();
    const user = await bob.find(phone);
    await bob.send(user, 'hello, twin');
    const received = await dora.receive();
    t.match(received, { from: bob.account.user, phone: BOB, body: { text: 'hello, twin' } });
    await dora.send(received.from, 'hello yourself');
    t.match((await bob.receive()).body, { text: 'hello yourself' });
    t.equal(bob.untaken.filter(({ tag }) => tag === 'message').length, 0, 'nothing comes twice');
    await dora.close();
  });

  t.test('refusals come with their codes', async (t) => {
    await t.rejects(bob.find('+4999999999999'), { code: 'APP_UNKNOWN_USER' });
    await t.rejects(bob.send('999999999999999', 'anybody?').catch(refusedOnly), { code: 'APP_UNKNOWN_USER' });
    await t.rejects(bob.request('get', stanza('nonsense')), /4400 WIRE_BAD_STANZA/);
    t.equal((await bob.closed()).code, 4400);
    await bob.login();
  });

  t.test('all that both said is in the published description, but for the nonsense', async (t) => {
    t.strictSame(held.misfits, ['client <iq>']);
    for (const name of ['client auth', 'client message', 'client inbox-ack', 'client read-receipt', 'client iq-get'])
      t.ok(held.seen.has(name), name);
    for (const name of ['server delivery', 'server receipt', 'server iq-result', 'server iq-error', 'server success'])
      t.ok(held.seen.has(name), name);
  });
});

function refusedOnly(error: unknown): never {
  if (error instanceof Refused) throw error;
  throw new Error('not a refusal', { cause: error });
}

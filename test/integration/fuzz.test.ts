/**
 * Nonsense at the socket of a real node: bent bytes, bent stanzas, frames that are none, and whatever the schema allows in any order. Every
 * answer has a code that the schema lists for what was said, every close a status and a reason, every request an answer; the node goes
 * on, logs no error and keeps its memory.
 *
 * `BLINDBEAM_FUZZ_ROUNDS=5000` for longer; the seed is in the name of the first test.
 */

import { connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { readProcessMemory } from '../../bench/harness/memory.ts';
import { bendMessage, vectorCorpus } from '../../protocol/wire/decode.fuzz.ts';
import { attribute, childrenOf, FrameWriter, type Stanza } from '../../protocol/wire/index.ts';
import { elementsOf, misfitOf, SCHEMA } from '../../protocol/wire/schema/index.ts';
import { arbitraryOf, bent } from '../../protocol/wire/testing/schema-stanzas.ts';
import { pause } from './people.ts';
import { newClient, RawClient, register, type Closed, type Registered } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const ROUNDS = Number(process.env['BLINDBEAM_FUZZ_ROUNDS'] ?? 120);
const SEED = Number(process.env['BLINDBEAM_FIRST_SEED'] ?? 20_261_122);
// A request that is not answered would be waited for.
t.setTimeout(480_000 + 500 * ROUNDS);

/** Stanzas on one connection: below what it may ask at once. */
const BATCH = 40;
const MIB = 1_048_576;
/** Nobody here is to meet the bounds of an address. */
const FLAGS = [
  '--workers',
  '2',
  '--address-connections',
  '0',
  '--address-connects',
  '0',
  '--address-registrations',
  '0',
];

function sampled<T>(arbitrary: fc.Arbitrary<T>, numRuns: number): T[] {
  return fc.sample(arbitrary, { numRuns, seed: SEED });
}

function bytesOf(stanzas: readonly Stanza[]): Uint8Array {
  const writer = new FrameWriter();
  for (const stanza of stanzas) writer.append(stanza);
  return writer.bytes().slice();
}

/** A connection to say anything on; logged in, if somebody is named. */
async function open(server: ServerProcess, who?: Registered): Promise<RawClient> {
  const client = new RawClient(server.url);
  if (who === undefined) {
    await client.greeted;
    return client;
  }
  const answer = await client.login(who, 7);
  if (answer.kind === 'failure') throw new Error(`login: ${answer.code}`);
  return client;
}

/**
 * What became of it: closed, or alive. Asked a moment later, since a word to a closed socket is answered by a reset, which overtakes the
 * close; and a moment is as long as the node takes to answer others, which on a busy machine is longer.
 */
async function outcomeOf(server: ServerProcess, client: RawClient): Promise<Closed | 'alive'> {
  const closed = await Promise.race([client.closed, pause(25).then(() => askElsewhere(server))]);
  if (closed !== undefined) return closed;
  const alive = client.next('pong', ({ id }) => id === PING).then(() => 'alive' as const);
  alive.catch(() => undefined);
  client.send({ kind: 'ping', id: PING });
  return Promise.race([client.closed, alive]);
}

const PING = 424_242;

/** Three questions, one after the other, that a worker answers without a connection of ours: a file that is not there. */
async function askElsewhere(server: ServerProcess): Promise<undefined> {
  const { host } = new URL(server.url);
  for (let count = 0; count < 3; count += 1) await (await fetch(`http://${host}/media/${'0'.repeat(32)}`)).text();
  return undefined;
}

/** Whether the schema has this close. 1006: on a slow moment the reset overtook it all the same. */
function isListed({ code, reason }: Closed): boolean {
  return code === 1006 || SCHEMA.closeCodes[code]?.includes(reason) === true;
}

/** The element that an `<iq>` holds, and the codes with which it may be refused. */
function requestOf(stanza: Stanza): { readonly name: string; readonly codes: readonly string[] } {
  const inner = childrenOf(stanza)[0]!;
  const type = attribute(stanza, 'type');
  const request = SCHEMA.requests.find(
    (each) => each.type === type && misfitOf(inner, each.element, SCHEMA) === undefined,
  );
  if (request === undefined) throw new Error(`no request of the schema: <${inner.tag}>`);
  return { name: request.element, codes: [...request.codes, ...SCHEMA.requestCodes] };
}

function codesOf(kind: string): readonly string[] {
  return SCHEMA.client.find((each) => each.kind === kind)!.codes;
}

/** With another value of an attribute that is there. */
function withValue(stanza: Stanza, name: string, value: string | number): Stanza {
  const attrs = stanza.attrs.map((each, at) => (at % 2 === 1 && stanza.attrs[at - 1] === name ? value : each));
  return { ...stanza, attrs };
}

t.test(`one node, ${ROUNDS} rounds of nonsense, seed ${SEED}`, async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), FLAGS);
  const alice = await newClient(server, '+4915100000001');
  const bob = await newClient(server, '+4915100000002');
  const mallory = await register(server, '+4915100000003');
  const before = readProcessMemory(server.pid)?.anonymousBytes ?? 0;

  await t.test('bent bytes: a close of the schema, or a connection that goes on', async (t) => {
    const corpus = (await vectorCorpus()).filter((bytes) => bytes.length < 1_000);
    const closes = new Set<string>();
    let alive = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const client = await open(server, round % 2 === 0 ? mallory : undefined);
      const bytes = bendMessage(corpus, SEED + round);
      client.socket.send(bytes, { binary: true });
      const outcome = await outcomeOf(server, client);
      client.close();
      if (outcome === 'alive') alive += 1;
      else if (isListed(outcome)) closes.add(outcome.reason);
      else t.fail(`${outcome.code} ${outcome.reason} after ${Buffer.from(bytes).toString('hex')}`);
    }
    t.ok(closes.size >= 5 && closes.has('WIRE_BAD_STANZA'), `${[...closes].join(' ')}; ${alive} went on`);
  });

  await t.test('bent stanzas: the same', async (t) => {
    const said = fc.oneof(...elementsOf('client').map((name) => arbitraryOf(name))).chain(bent);
    let [closed, alive] = [0, 0];
    for (const [round, stanza] of sampled(said, ROUNDS).entries()) {
      const isAllowed = elementsOf('client').some((name) => misfitOf(stanza, name, SCHEMA) === undefined);
      const client = await open(server, round % 2 === 0 ? mallory : undefined);
      client.socket.send(bytesOf([stanza]), { binary: true });
      const outcome = await outcomeOf(server, client);
      client.close();
      if (outcome === 'alive') alive += 1;
      else closed += 1;
      if (outcome !== 'alive') t.ok(isListed(outcome), `${outcome.code} ${outcome.reason}`);
      const isReset = outcome !== 'alive' && outcome.code === 1006;
      if (!isAllowed && !isReset)
        t.match(outcome, { code: 4400, reason: /^(WIRE_BAD_STANZA|APP_PROTOCOL)$/ }, `<${stanza.tag}>`);
    }
    t.ok(closed > 0 && alive > 0, `${closed} closed, ${alive} went on`);
  });

  await t.test('what the schema allows is answered, in any order, by the codes that it lists', async (t) => {
    const isFor = (kind: string): boolean => !['auth', 'resume', 'iq-get', 'iq-set'].includes(kind);
    const others = SCHEMA.client.filter(({ kind }) => isFor(kind)).map(({ element }) => arbitraryOf(element));
    const early = new Set(SCHEMA.requests.flatMap(({ when, element }) => (when === 'before-login' ? [element] : [])));
    const sets = arbitraryOf('iq-set').filter((stanza) => !early.has(requestOf(stanza).name));
    const any = fc.oneof(sets, arbitraryOf('iq-get'), arbitraryOf('message'), fc.oneof(...others));
    const known = fc.constantFrom(alice.who.user, bob.who.user, mallory.user);
    // One in three is for somebody who is there.
    const said = fc.tuple(any, fc.oneof(known, fc.constant(undefined), fc.constant(undefined)));
    const codes = new Set<string>();
    const all = sampled(said, ROUNDS);
    let answered = 0;
    for (let first = 0; first < ROUNDS; first += BATCH) {
      const client = await open(server, mallory);
      const asked = new Map<number, readonly string[]>();
      const batch = all.slice(first, first + BATCH);
      const stanzas = batch.map(([stanza, user], index) => {
        if (stanza.tag !== 'iq') return user === undefined ? stanza : withValue(stanza, 'to', user);
        asked.set(index + 1, requestOf(stanza).codes);
        return withValue(stanza, 'id', index + 1);
      });
      for (const stanza of stanzas) client.socket.send(bytesOf([stanza]), { binary: true });
      for (const [id, allowed] of asked) {
        const refused = client.next('iq-error', (each) => each.id === id);
        const result = client.next('iq-result', (each) => each.id === id);
        for (const each of [refused, result]) each.catch(() => undefined);
        const answer = await Promise.race([refused, result]);
        answered += 1;
        if (answer.kind !== 'iq-error') continue;
        codes.add(answer.code);
        t.ok(allowed.includes(answer.code), `${answer.code}: ${allowed.join(' ')}`);
      }
      t.equal(await outcomeOf(server, client), 'alive', 'nothing of it ends the connection');
      for (const message of client.inbox) {
        if (message.kind !== 'error' && message.kind !== 'group-error') continue;
        codes.add(message.code);
        const allowed = codesOf(message.kind === 'error' ? 'message' : 'group-message');
        t.ok(allowed.includes(message.code), `${message.kind} ${message.code}`);
      }
      client.close();
    }
    t.ok(answered > ROUNDS / 8 && codes.size >= 4, `${answered} answers, ${[...codes].join(' ')}`);
  });

  await t.test('bytes that are no WebSocket frames', async () => {
    const { hostname, port, host } = new URL(server.url);
    const noise = fc.uint8Array({ minLength: 1, maxLength: 300 });
    for (const bytes of sampled(noise, Math.ceil(ROUNDS / 4))) {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => undefined);
      const lines = [
        ...[
          'GET /ws HTTP/1.1',
          `Host: ${host}`,
          'Connection: Upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
        ],
        ...['Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: blindbeam.1', '', ''],
      ];
      await new Promise<void>((resolve) => socket.write(lines.join('\r\n'), () => resolve()));
      await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
      socket.destroy();
    }
  });

  await t.test('and the node goes on as before', async (t) => {
    const { client } = alice;
    const envelopes = [{ device: 1, type: 'ratchet', ciphertext: new Uint8Array(100) }] as const;
    client.send({ kind: 'message', to: bob.who.user, id: 1, envelopes });
    t.match(await bob.client.next('message', ({ from }) => from === alice.who.user), { id: 1 });
    t.strictSame(
      server.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
    const extra = (readProcessMemory(server.pid)?.anonymousBytes ?? before) - before;
    t.ok(extra < 128 * MIB, `${Math.round(extra / MIB)} MiB more`);
    for (const each of [alice, bob]) each.client.close();
  });
});

/** The published vectors, both ways. A change that breaks one of them breaks every client out there. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { decodeStanza } from './decode.ts';
import { encodeSimply } from './encode-simple.ts';
import { encode } from './encode.ts';
import { isWireError } from './errors.ts';
import { decodeMessage } from './frame.ts';
import { clientStanza, parseClientMessage, parseServerMessage, serverStanza } from './messages.ts';
import type { Stanza } from './stanza.ts';
import { bytesFrom, hexOf, plainOf, stanzaFrom, type Hex, type StanzaJson } from './testing/notation.ts';
import { DICTIONARY_VERSION, EXTENDED_BASE, EXTENDED_WORDS, WORDS, wordOf } from './tokens.ts';

interface Vectors {
  readonly format: number;
  readonly dictionaryVersion: number;
  readonly dictionary: Readonly<Record<string, string>>;
  readonly stanzas: readonly {
    name: string;
    from?: 'client' | 'server';
    kind?: string;
    hex: Hex;
    stanza: StanzaJson;
  }[];
  readonly refused: readonly { name: string; hex: Hex; code: string; offset: number }[];
  readonly messages: readonly { name: string; hex: Hex; stanzas?: number; code?: string }[];
  readonly unparsed: readonly { name: string; from: 'client' | 'server'; hex: Hex; code: string; field: string }[];
}

const file = new URL('../../../protocol/wire/vectors/v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

t.test('the dictionary keeps every released number', (t) => {
  t.equal(vectors.format, 1);
  t.equal(vectors.dictionaryVersion, DICTIONARY_VERSION);
  for (const [number, word] of Object.entries(vectors.dictionary)) t.equal(wordOf(Number(number)), word, number);
  const count = WORDS.length + EXTENDED_WORDS.length;
  t.equal(Object.keys(vectors.dictionary).length, count, 'no word without a released number');
  t.equal(wordOf(WORDS.length + 1), undefined);
  t.equal(wordOf(EXTENDED_BASE + EXTENDED_WORDS.length), undefined);
  t.end();
});

for (const { name, from, kind, hex, stanza } of vectors.stanzas) {
  t.test(`stanza: ${from ?? 'edge'}: ${name}`, (t) => {
    const bytes = bytesFrom(hex);
    const expected = stanzaFrom(stanza);
    t.equal(hexOf(encode(expected)), hexOf(bytes), 'encodes');
    t.equal(hexOf(encodeSimply(expected)), hexOf(bytes), 'encodes simply');
    const decoded = decodeStanza(bytes) as Stanza;
    t.strictSame(plainOf(decoded), plainOf(expected), 'decodes');
    if (from !== undefined) {
      const message = from === 'client' ? parseClientMessage(decoded) : parseServerMessage(decoded);
      if (isWireError(message)) return void t.fail(message.message);
      t.equal(message.kind, kind);
      const again = from === 'client' ? clientStanza(message as never) : serverStanza(message as never);
      t.equal(hexOf(encode(again)), hexOf(bytes), 'the message writes the same bytes');
    }
    t.end();
  });
}

t.test('every kind of message of both sides has a vector', (t) => {
  const kinds = (side: string): string[] =>
    [...new Set(vectors.stanzas.filter(({ from }) => from === side).map(({ kind }) => kind!))].sort();
  t.strictSame(kinds('client'), [
    'auth',
    'availability',
    'group-message',
    'group-read',
    'inbox-ack',
    'iq-get',
    'iq-set',
    'message',
    'ping',
    'receipt',
    'resume',
    'typing',
    'unsubscribe',
  ]);
  const server = [
    'ack',
    'error',
    'failure',
    'group-ack',
    'group-change',
    'group-error',
    'group-message',
    'group-pruned',
    'group-receipts',
    'iq-error',
    'iq-result',
    'message',
    'offline',
    'pong',
    'presence',
    'prekeys-low',
    'receipt',
    'stream',
  ];
  t.strictSame(kinds('server'), [...server, 'linked', 'success', 'gap', 'pruned', 'typing'].sort());
  t.end();
});

t.test('refused', (t) => {
  for (const { name, hex, code, offset } of vectors.refused) {
    t.match(decodeStanza(bytesFrom(hex)), { code, offset }, name);
  }
  t.end();
});

t.test('messages', (t) => {
  for (const { name, hex, stanzas, code } of vectors.messages) {
    const result = decodeMessage(bytesFrom(hex));
    if (stanzas === undefined) t.match(result, { code }, name);
    else t.equal((result as Stanza[]).length, stanzas, name);
  }
  t.end();
});

t.test('stanzas that are no messages', (t) => {
  for (const { name, from, hex, code, field } of vectors.unparsed) {
    const stanza = decodeStanza(bytesFrom(hex)) as Stanza;
    const result = from === 'client' ? parseClientMessage(stanza) : parseServerMessage(stanza);
    if (!isWireError(result)) return void t.fail(name);
    t.equal(result.code, code, name);
    t.ok(result.message.includes(field), `${name}: ${result.message}`);
  }
  t.end();
});

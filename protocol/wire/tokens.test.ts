/** The dictionary's promises to the format, and that this folder imports nothing. */

import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { isDigits } from './digits.ts';
import {
  EXTENDED_BASE,
  EXTENDED_WORDS,
  isName,
  nameOf,
  tokenOf,
  WORD_LENGTH_MAX,
  wordOf,
  WORDS,
  WORDS_MAX,
} from './tokens.ts';

t.test('numbers and words correspond one to one', (t) => {
  [...WORDS, ...EXTENDED_WORDS].forEach((word, index) => {
    const number = index < WORDS.length ? index + 1 : EXTENDED_BASE + index - WORDS.length;
    t.equal(tokenOf(word), number);
    t.equal(wordOf(number), word);
    t.equal(nameOf(number), isName(word) ? word : undefined);
    t.ok(word.length <= WORD_LENGTH_MAX && !isDigits(word), word);
  });
  for (const number of [
    0,
    WORDS.length + 1,
    WORDS_MAX,
    WORDS_MAX + 1,
    255,
    EXTENDED_BASE + EXTENDED_WORDS.length,
    511,
    512,
  ]) {
    t.equal(wordOf(number), undefined, String(number));
  }
  for (const word of ['', 'Message', 'constructor', '__proto__']) t.equal(tokenOf(word), undefined, word);
  t.end();
});

t.test('every tag, attribute and error code of docs/protocol.md is a word', (t) => {
  const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
  const spans = [...page.matchAll(/```\n([^`]*)```|`([^`]*)`/g)].map((match) => match[1] ?? match[2]!);
  const tags = spans.flatMap((span) => [...span.matchAll(/<\/?([a-z][a-z-]*)/g)].map((match) => match[1]!));
  const attributes = spans.flatMap((span) => [...span.matchAll(/ \[?([a-z][a-z-]*)="/g)].map((match) => match[1]!));
  const codes = spans.flatMap((span) => span.match(/\bAPP_[A-Z_]+\b/g) ?? []);
  t.ok(tags.length > 80 && attributes.length > 60 && codes.length > 15, 'the page was understood');
  for (const word of new Set([...tags, ...attributes, ...codes])) t.ok(tokenOf(word), word);
  t.end();
});

t.test('the shipped files import nothing but each other', (t) => {
  const folder = new URL('../../../protocol/wire/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !/\.(?:test|fuzz)\.ts$/.test(name));
  t.ok(files.length >= 15);
  for (const name of files) {
    const source = readFileSync(new URL(name, folder), 'utf8');
    const targets = [...source.matchAll(/(?:\bfrom |\bimport |\bimport\()'([^']+)'/g)].map((match) => match[1]!);
    for (const target of targets) t.match(target, /^\.\/[a-z-]+\.ts$/, `${name} imports ${target}`);
    t.notMatch(source, /\b(?:process\.[a-z]|Buffer\.[a-z]|require\()/, `${name} uses nothing of Node`);
  }
  t.end();
});

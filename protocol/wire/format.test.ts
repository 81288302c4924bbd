/** FORMAT.md against the code: its examples, its bounds, its refusals, its dictionary, its group changes. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { WIRE_ERRORS, type WireErrorCode } from './errors.ts';
import { decodeMessage, FrameWriter } from './frame.ts';
import { encodeGroupChange, groupChangeStatement } from './group-change.ts';
import { GROUP_REFUSALS } from './group-errors.ts';
import { LIMITS } from './limits.ts';
import { changeVectors } from './testing/group-changes.ts';
import { bytesFrom, hexOf, plainOf, stanzaFrom, type StanzaJson } from './testing/notation.ts';
import type { Stanza } from './stanza.ts';
import { EXTENDED_BASE, EXTENDED_WORDS, WORDS } from './tokens.ts';

const page = readFileSync(new URL('../../../protocol/wire/FORMAT.md', import.meta.url), 'utf8');

function fences(language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\n([^\`]*)\`\`\``, 'g'))].map((match) => match[1]!);
}

/** Cells of the table rows whose first cell matches, code marks taken off. */
function rows(first: RegExp): string[][] {
  const lines = page.split('\n').filter((line) => line.startsWith('| '));
  const cells = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return cells.filter((row) => first.test(row[0]!));
}

t.test('each worked example encodes to its bytes and decodes back', (t) => {
  const stanzas = fences('json').map((json) => stanzaFrom(JSON.parse(json) as StanzaJson));
  const bytes = fences('hex').map((hex) => bytesFrom(hex.replaceAll(/;.*$/gm, '')));
  t.equal(stanzas.length, 4);
  t.equal(bytes.length, stanzas.length);
  stanzas.forEach((stanza, index) => {
    const writer = new FrameWriter();
    t.ok(writer.append(stanza));
    t.equal(hexOf(writer.bytes()), hexOf(bytes[index]!), `example ${index + 1} encodes`);
    const decoded = decodeMessage(bytes[index]!) as Stanza[];
    t.strictSame(decoded.map(plainOf), [plainOf(stanza)], `example ${index + 1} decodes`);
  });
  t.end();
});

t.test('the table of bounds is limits.ts', (t) => {
  const table = rows(/\(`\w+`\)$/);
  t.equal(table.length, 8);
  for (const [bound, value, code] of table) {
    const name = /\(`(\w+)`\)/.exec(bound!)![1] as keyof typeof LIMITS;
    t.equal(Number(value!.replaceAll(',', '')), LIMITS[name], name);
    t.ok(code!.slice(1, -1) in WIRE_ERRORS, code);
  }
  t.end();
});

t.test('the table of refusals is the catalogue, in its order', (t) => {
  const table = rows(/^`WIRE_/).map(([code, close, meaning]) => [code!.slice(1, -1), Number(close), meaning]);
  const catalogue = Object.entries(WIRE_ERRORS).map(([code, entry]) => [code, entry.closeCode, entry.meaning]);
  t.strictSame(table, catalogue);
  t.end();
});

t.test('the printed dictionary is tokens.ts', (t) => {
  const printed = rows(/^\d+$/).filter((row) => row[1]!.startsWith('`') && row.length === 2);
  const words = (from: number, below: number): string[] =>
    printed
      .filter(([first]) => Number(first) >= from && Number(first) < below)
      .flatMap(([, cell]) => cell!.split(' ').map((word) => word.slice(1, -1)));
  t.strictSame(words(1, EXTENDED_BASE), [...WORDS]);
  t.strictSame(words(EXTENDED_BASE, 512), [...EXTENDED_WORDS]);
  for (const [first, cell] of printed) {
    const number = Number(first);
    const word = number < EXTENDED_BASE ? WORDS[number - 1] : EXTENDED_WORDS[number - EXTENDED_BASE];
    t.equal(cell!.split(' ')[0], `\`${word}\``, `row ${first}`);
  }
  t.end();
});

t.test('every code has a meaning, a cause and an action', (t) => {
  for (const code of Object.keys(WIRE_ERRORS) as WireErrorCode[]) {
    const entry = WIRE_ERRORS[code];
    for (const part of [entry.meaning, entry.cause, entry.action]) t.ok(part.length > 10, code);
    t.equal(entry.closeCode, code === 'WIRE_FRAME_TOO_LARGE' ? 4413 : 4400, code);
  }
  t.end();
});

t.test('the group change of the page is the first vector; its codes and bounds are those of the code', (t) => {
  const [example] = fences('change').map((fence) => bytesFrom(fence.replaceAll(/;.*$/gm, '')));
  const [first] = changeVectors();
  t.equal(hexOf(example!), hexOf(first!.bytes));
  t.equal(hexOf(encodeGroupChange(groupChangeStatement(first!.change), example!.subarray(-64))), hexOf(example!));
  const codes = rows(/^`GROUP_/).map(([code, meaning]) => [code!.slice(1, -1), meaning]);
  t.strictSame(
    codes,
    Object.entries(GROUP_REFUSALS).map(([code, { meaning }]) => [code, meaning]),
  );
  const bounds = rows(/^`group\w+Max`$/);
  t.equal(bounds.length, 5);
  for (const [name, value] of bounds) {
    t.equal(Number(value!.replaceAll(',', '')), LIMITS[name!.slice(1, -1) as keyof typeof LIMITS], name);
  }
  t.end();
});

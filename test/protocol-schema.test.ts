/**
 * The protocol's description as data against everything that says the same in other words: the published JSON, the page made from it,
 * docs/protocol.md, the catalogues of codes.
 *
 * `BLINDBEAM_WRITE_SCHEMA=1` writes the first two anew. What it says against the parsers is tested in protocol/wire/schema.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { APP_ERRORS } from '../actors/errors.ts';
import { SUBPROTOCOL } from '../actors/listener.ts';
import { WIRE_ERRORS } from '../protocol/wire/index.ts';
import { SCHEMA } from '../protocol/wire/schema/index.ts';
import { stanzasPage } from '../protocol/wire/schema/page.ts';
import { ROOT } from './integration/server-process.ts';

const PROTOCOL = readFileSync(join(ROOT, 'docs', 'protocol.md'), 'utf8');

/** Holds a file to what it is made from, or writes it. */
function hold(t: Tap, path: string, text: string): void {
  const file = join(ROOT, path);
  if (process.env['BLINDBEAM_WRITE_SCHEMA'] !== undefined) writeFileSync(file, text);
  t.equal(readFileSync(file, 'utf8'), text, `${path}: BLINDBEAM_WRITE_SCHEMA=1 writes it anew`);
}

type Tap = Pick<typeof t, 'equal'>;

t.test('the published description is the one of the code', async (t) => {
  hold(t, 'protocol/wire/vectors/schema-v1.json', `${JSON.stringify(SCHEMA, null, 2)}\n`);
  hold(t, 'docs/stanzas.md', stanzasPage(SCHEMA));
  t.equal(SCHEMA.subprotocol, SUBPROTOCOL);
});

t.test('its codes are those of the catalogues, and every code of the socket stands in it', async (t) => {
  const { client, requests, requestCodes, loginCodes, lossCodes, closeCodes } = SCHEMA;
  const answers = [...client, ...requests].flatMap(({ codes }) => codes);
  const said = new Set([...answers, ...requestCodes, ...loginCodes, ...lossCodes, ...Object.values(closeCodes).flat()]);
  const catalogue: Readonly<
    Record<string, { closeCode?: number; httpStatus?: string; meaning?: string; text?: string }>
  > = {
    ...APP_ERRORS,
    ...WIRE_ERRORS,
  };
  for (const code of said) t.ok(code in catalogue, `${code} is catalogued`);
  for (const [code, { httpStatus }] of Object.entries(catalogue)) {
    t.ok(said.has(code) || httpStatus !== undefined, `${code} is said somewhere`);
  }
  const closing = Object.entries(catalogue).flatMap(([code, { closeCode }]) =>
    closeCode ? [`${closeCode} ${code}`] : [],
  );
  const described = Object.entries(closeCodes).flatMap(([status, codes]) => codes.map((code) => `${status} ${code}`));
  t.strictSame(described.sort(), closing.sort(), 'each close has its status');
});

/** A stanza as the page writes it: its tag, and its attributes with whether they may be missing. */
interface Mention {
  readonly tag: string;
  readonly needed: readonly string[];
  readonly optional: readonly string[];
}

const MENTION = /<([a-z][a-z0-9-]*)((?:\s+\[?[a-z-]+="[^"]*"\]?)*)\s*\/?>/g;
/** `[list="true"]`, and the tail of `[after="user"]`. */
const ATTRIBUTE = /(\[?)([a-z-]+)="/g;

function mentionsIn(text: string): Mention[] {
  return [...text.matchAll(MENTION)].map(([, tag, attributes]) => {
    const all = [...attributes!.matchAll(ATTRIBUTE)];
    const names = (isOptional: boolean): string[] =>
      all.filter(([, bracket]) => (bracket === '[') === isOptional).map(([, , name]) => name!);
    return { tag: tag!, needed: names(false).sort(), optional: names(true).sort() };
  });
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each, at) => each === right[at]);
}

t.test('every stanza, request and answer stands in docs/protocol.md with its attributes', async (t) => {
  const mentions = mentionsIn(PROTOCOL);
  const { client, server, requests, elements } = SCHEMA;
  const named = [...client, ...server].map(({ element }) => element);
  const all = new Set([...named, ...requests.flatMap(({ element, answer }) => [element, answer])]);
  for (const name of all) {
    const { tag, fields } = elements[name]!;
    const needed = fields.flatMap(({ name: each, optional }) => (optional === true ? [] : [each])).sort();
    const optional = fields.flatMap(({ name: each, optional: may }) => (may === true ? [each] : [])).sort();
    const ofTag = mentions.filter((each) => each.tag === tag);
    // In one piece, or each attribute that may be missing in a line of its own beside the form without it.
    const isWhole = ofTag.some((each) => isSame(each.needed, needed) && isSame(each.optional, optional));
    const has = (names: readonly string[]): boolean =>
      ofTag.some((each) => isSame([...each.needed, ...each.optional].sort(), [...names].sort()));
    const isInParts = has(needed) && optional.every((each) => has([...needed, each]) || has([...needed, ...optional]));
    t.ok(isWhole || isInParts, `${name}: <${tag} ${needed.join(' ')} [${optional.join(' ')}]>`);
  }
});

t.test('and what stands there with attributes is in the description', async (t) => {
  const { elements } = SCHEMA;
  for (const { tag, needed, optional } of mentionsIn(PROTOCOL)) {
    if (needed.length + optional.length === 0) continue;
    const isKnown = Object.values(elements).some((element) => {
      const names = element.fields.map(({ name }) => name);
      return element.tag === tag && [...needed, ...optional].every((name) => names.includes(name));
    });
    t.ok(isKnown, `<${tag} ${[...needed, ...optional].join(' ')}>`);
  }
});

/** The schema against the parsers and the codec: what it allows is read and written back, what it forbids is refused, bent or not. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { decodeStanza } from '../decode.ts';
import { encode, encodedLength } from '../encode.ts';
import { isWireError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { clientStanza, parseClientMessage, parseServerMessage, serverStanza } from '../messages.ts';
import type { Stanza } from '../stanza.ts';
import { plainOf } from '../testing/notation.ts';
import { arbitraryOf, bent, boundsOf, hostOf, sampleOf } from '../testing/schema-stanzas.ts';
import { elementsOf, misfitOf, SCHEMA } from './index.ts';

const SIDES = ['client', 'server'] as const;
type Side = (typeof SIDES)[number];

/** What the typed layer makes of a stanza: the stanza that it would write itself, or the code of its refusal. */
function reread(stanza: Stanza, side: Side): Stanza | string {
  if (side === 'client') {
    const message = parseClientMessage(stanza);
    return isWireError(message) ? message.code : clientStanza(message);
  }
  const message = parseServerMessage(stanza);
  return isWireError(message) ? message.code : serverStanza(message);
}

function isAllowed(stanza: Stanza, side: Side): boolean {
  return elementsOf(side).some((name) => misfitOf(stanza, name, SCHEMA) === undefined);
}

/** Whether the codec writes it: it has bounds of its own, on children and bytes. */
function fitsMessage(stanza: Stanza): boolean {
  try {
    return encodedLength(stanza) <= LIMITS.stanzaBytesMax;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Attributes have no order to a reader. */
function sorted(stanza: Stanza): unknown {
  const { tag, attrs, children, bytes } = plainOf(stanza) as Record<string, unknown>;
  const pairs = Array.from({ length: (attrs as unknown[]).length / 2 }, (_, at) =>
    (attrs as unknown[]).slice(2 * at, 2 * at + 2),
  );
  const inner = (stanza.content as readonly Stanza[] | undefined)?.map?.((child) =>
    children === undefined ? child : sorted(child),
  );
  return {
    tag,
    attrs: pairs.sort((a, b) => String(a[0]).localeCompare(String(b[0]))),
    bytes,
    inner: children && inner,
  };
}

t.test('everything that is named is there, and everything that is there stands somewhere', async (t) => {
  for (const [name, { fields, content }] of Object.entries(SCHEMA.elements)) {
    for (const { form } of fields) t.ok(form in SCHEMA.forms, `${name}: ${form}`);
    if (content.kind === 'bytes') t.ok(content.form in SCHEMA.forms, `${name}: ${content.form}`);
    if (content.kind === 'children') {
      for (const part of content.parts.flatMap(({ of }) => of)) t.ok(part in SCHEMA.elements, `${name}: ${part}`);
    }
    t.ok(
      SIDES.some((side) => hostOf(name, sampleOf(name), side) !== undefined),
      `${name} is said by somebody`,
    );
  }
  const { elements, forms, client, requests, server } = SCHEMA;
  const used = Object.values(elements).flatMap((each) => [
    ...each.fields.map(({ form }) => form),
    ...(each.content.kind === 'bytes' ? [each.content.form] : []),
  ]);
  t.strictSame([...new Set(used)].sort(), Object.keys(forms).sort(), 'no form is left over');
  const named = [...client, ...server, ...requests].map(({ element }) => element);
  for (const name of [...named, ...requests.map(({ answer }) => answer)]) t.ok(name in elements, name);
  const inIq = (type: 'iq-get' | 'iq-set' | 'iq-result'): readonly string[] => {
    const { content } = elements[type]!;
    return content.kind === 'children' ? content.parts[0]!.of : [];
  };
  const ofType = (type: string): string[] =>
    requests.filter((each) => each.type === type).map(({ element }) => element);
  t.strictSame([...inIq('iq-get')].sort(), ofType('get').sort(), 'every get has its row');
  t.strictSame([...inIq('iq-set')].sort(), ofType('set').sort(), 'and every set');
  t.strictSame(
    [...inIq('iq-result')].sort(),
    [...new Set(requests.map(({ answer }) => answer))].sort(),
    'and every answer',
  );
});

t.test('the kinds of the schema are those of the typed layer', async (t) => {
  for (const side of SIDES) {
    for (const { kind, element } of SCHEMA[side]) {
      const parse = side === 'client' ? parseClientMessage : parseServerMessage;
      const message = parse(sampleOf(element));
      t.match(message, { kind }, `${side}: ${element}`);
    }
  }
});

t.test('each bound is allowed, and one beyond it refused with its code', async (t) => {
  let [allowed, refused] = [0, 0];
  for (const name of Object.keys(SCHEMA.elements)) {
    for (const { name: label, stanza, isAllowed: expected } of boundsOf(name)) {
      for (const side of SIDES) {
        const host = hostOf(name, stanza, side);
        // What no message has room for is the codec's to refuse, not the schema's.
        if (host === undefined || !fitsMessage(host)) continue;
        // A stanza that is no longer one kind may be another.
        const isOther = !expected && isAllowed(host, side);
        if (isOther) continue;
        const read = reread(host, side);
        if (expected) t.notOk(typeof read === 'string', `${side}: ${label}: ${String(read)}`);
        else t.equal(read, 'WIRE_BAD_STANZA', `${side}: ${label}`);
        expected ? (allowed += 1) : (refused += 1);
      }
    }
  }
  t.ok(allowed > 300 && refused > 600, `${allowed} allowed, ${refused} refused`);
});

for (const side of SIDES) {
  const anyOf = fc.oneof(...elementsOf(side).map((name) => arbitraryOf(name)));

  t.test(`${side}: every stanza that the schema allows is read, written and decoded as it was`, async () => {
    fc.assert(
      fc.property(anyOf, (stanza) => {
        const read = reread(stanza, side);
        assert.notEqual(typeof read, 'string');
        assert.deepEqual(sorted(read as Stanza), sorted(stanza));
        const decoded = decodeStanza(encode(stanza));
        assert.ok(!isWireError(decoded));
        assert.deepEqual(plainOf(decoded), plainOf(stanza));
      }),
      { numRuns: 600 },
    );
  });

  t.test(`${side}: of a bent stanza schema and parser say the same`, async (t) => {
    let [allowed, refused] = [0, 0];
    fc.assert(
      fc.property(anyOf.chain(bent), (stanza) => {
        const read = reread(stanza, side);
        const misfits = elementsOf(side).map((name) => misfitOf(stanza, name, SCHEMA));
        const isFit = misfits.includes(undefined);
        const said = `${typeof read === 'string' ? read : 'read'}, ${JSON.stringify(plainOf(stanza))}`;
        assert.equal(typeof read !== 'string', isFit, said);
        isFit ? (allowed += 1) : (refused += 1);
      }),
      { numRuns: 1_500 },
    );
    t.ok(allowed > 100 && refused > 300, `${allowed} allowed, ${refused} refused`);
  });
}

t.test('positive control: a schema that says too much or too little is noticed', async (t) => {
  const { ping } = SCHEMA.elements;
  const wider = { ...SCHEMA, elements: { ...SCHEMA.elements, ping: { ...ping!, fields: [] } } };
  const narrower = {
    ...SCHEMA,
    forms: { ...SCHEMA.forms, counter: { type: 'integer', min: 1, max: 5 } as const },
  };
  t.equal(misfitOf({ tag: 'ping', attrs: [], content: undefined }, 'ping', wider), undefined);
  t.ok(misfitOf({ tag: 'ping', attrs: [], content: undefined }, 'ping', SCHEMA));
  t.ok(misfitOf({ tag: 'ping', attrs: ['id', 6], content: undefined }, 'ping', narrower));
  t.equal(misfitOf({ tag: 'ping', attrs: ['id', 6], content: undefined }, 'ping', SCHEMA), undefined);
  t.throws(() => misfitOf(sampleOf('ping'), 'pong-pong', SCHEMA), RangeError);
});

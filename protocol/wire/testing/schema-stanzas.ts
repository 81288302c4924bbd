/**
 * Stanzas made from the schema: samples, each bound and one beyond it, random ones, and bent ones. For the tests that hold the schema
 * to the parsers, and for those that put it to a real node.
 */

import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { SCHEMA, misfitOf, type Element, type Form, type Part } from '../schema/index.ts';
import { childrenOf, type AttributeValue, type Content, type Stanza } from '../stanza.ts';

/** Texts of forms whose pattern says more than a generator of texts reads. */
const SAMPLES: Readonly<Record<string, readonly string[]>> = {
  'error-code': ['APP_OVERLOADED', 'X_1', 'ZZ9_A_B', `A_${'B'.repeat(LIMITS.errorCodeBytesMax - 2)}`],
  'https-url': ['https://', 'https://push.example.net/send/1?a=b', 'https://grüße.example/🦊'],
};

function elementOf(name: string): Element {
  return SCHEMA.elements[name]!;
}

function formOf(name: string): Form {
  return SCHEMA.forms[name]!;
}

// --- samples ----------------------------------------------------------------------------------------------------

const PATTERN_SAMPLES: Readonly<Record<string, string>> = {
  user: '123456789010000',
  group: '700000000000001',
  phone: '+4915100000001',
  'confirm-code': '004711',
  'link-id': '12345678901234567890',
  'resume-token': 'abcdefghijklmnopqrstu-',
};

/** A value of a form: `nth` values of a form that has many differ. */
function sampleValue(form: string, nth: number = 0): AttributeValue {
  const rule = formOf(form);
  if (rule.type === 'integer') return Math.min(rule.max, rule.min + nth);
  if (rule.type === 'bytes') throw new RangeError(`"form" expected one of attributes, got "${form}"`);
  if ('words' in rule) return rule.words[nth % rule.words.length]!;
  if ('bytesMin' in rule) return 'x'.repeat(Math.max(rule.bytesMin, 1));
  const text = SAMPLES[form]?.[0] ?? PATTERN_SAMPLES[form]!;
  return nth === 0 ? text : text.slice(0, -String(nth).length) + nth;
}

function sampleBytes(form: string, length?: number): Uint8Array {
  const rule = formOf(form) as Extract<Form, { readonly type: 'bytes' }>;
  return new Uint8Array(length ?? rule.min).fill(0xa5).fill(rule.first ?? 0xa5, 0, 1);
}

/** The smallest stanza of an element: what must be there and nothing else. */
export function sampleOf(name: string, nth: number = 0): Stanza {
  const { tag, fields, content } = elementOf(name);
  const needed = fields.filter(({ optional }) => optional !== true);
  const attrs = needed.flatMap(({ name: attribute, form }) => [attribute, sampleValue(form, nth)]);
  return { tag, attrs, content: sampleContent(content) };
}

function sampleContent(content: Element['content']): Content {
  if (content.kind === 'nothing') return undefined;
  if (content.kind === 'bytes') return content.optional === true ? undefined : sampleBytes(content.form);
  const children = content.parts.flatMap((part) => samplesOf(part, part.min));
  const missing = content.min - children.length;
  // Where something must be there and no part has to be: of the part that has room.
  if (missing > 0)
    return samplesOf(
      content.parts.find(({ max }) => max > 1)!,
      missing,
    );
  return children.length === 0 ? undefined : children;
}

/** `count` children of a part, all different in the attribute that must be. */
function samplesOf({ of }: Part, count: number): Stanza[] {
  return Array.from({ length: count }, (_, index) => sampleOf(of[0]!, index));
}

/** A stanza that somebody says with `inner` in it, which is of the element `name`; `undefined` if it stands nowhere in that side's. */
export function hostOf(name: string, inner: Stanza, side: 'client' | 'server'): Stanza | undefined {
  if (SCHEMA[side].some(({ element }) => element === name)) return inner;
  for (const [parent, { content }] of Object.entries(SCHEMA.elements)) {
    if (content.kind !== 'children') continue;
    const at = content.parts.findIndex(({ of }) => of.includes(name));
    if (at < 0) continue;
    const children = content.parts.flatMap((part, index) =>
      index === at ? [inner, ...samplesOf(part, Math.max(0, part.min - 1))] : samplesOf(part, part.min),
    );
    const host = hostOf(parent, { ...sampleOf(parent), content: children }, side);
    if (host !== undefined) return host;
  }
  return undefined;
}

// --- bounds -----------------------------------------------------------------------------------------------------

/** A stanza at a bound or just beyond it. */
export interface BoundCase {
  readonly name: string;
  readonly stanza: Stanza;
  readonly isAllowed: boolean;
}

/** Every bound of an element, and one beyond it. Bounds that no message has room for are left out. */
export function boundsOf(name: string): BoundCase[] {
  return [...fieldBounds(name), ...contentBounds(name)];
}

function fieldBounds(name: string): BoundCase[] {
  const sample = sampleOf(name);
  const { fields, ordered } = elementOf(name);
  return fields.flatMap(({ name: field, form, optional }) => {
    // Whatever the first of two ordered ones is, the second is not below it.
    const room = ordered?.[0] === field ? withAttribute(sample.attrs, ordered[1], LIMITS.integerMax) : sample.attrs;
    const values = valuesAround(form).map(([value, isAllowed]): BoundCase => {
      const stanza = { ...sample, attrs: withAttribute(room, field, value) };
      return { name: `${name} "${field}" ${String(value).slice(0, 40)}`, stanza, isAllowed };
    });
    const missing = { ...sample, attrs: withAttribute(sample.attrs, field, undefined) };
    return [...values, { name: `${name} without "${field}"`, stanza: missing, isAllowed: optional === true }];
  });
}

function withAttribute(attrs: readonly AttributeValue[], name: string, value: AttributeValue | undefined) {
  const rest: AttributeValue[] = [];
  for (let at = 0; at < attrs.length; at += 2) if (attrs[at] !== name) rest.push(attrs[at]!, attrs[at + 1]!);
  return value === undefined ? rest : [...rest, name, value];
}

function valuesAround(form: string): [AttributeValue, boolean][] {
  const rule = formOf(form);
  const sample = sampleValue(form);
  if (rule.type === 'integer') {
    const beyond: [AttributeValue, boolean][] = [];
    if (rule.min > 0) beyond.push([rule.min - 1, false]);
    if (rule.max < LIMITS.integerMax) beyond.push([rule.max + 1, false]);
    return [[rule.min, true], [rule.max, true], [String(sample), false], ...beyond];
  }
  if (rule.type === 'text' && 'words' in rule) {
    return [
      ...rule.words.map((word): [AttributeValue, boolean] => [word, true]),
      ['other', rule.grows === true],
      [7, false],
    ];
  }
  if (rule.type === 'text' && 'bytesMin' in rule) {
    const longest: [AttributeValue, boolean] = ['x'.repeat(rule.bytesMax), true];
    return [longest, ['', rule.bytesMin === 0], [7, false]];
  }
  const isOpen = form === 'https-url';
  return [
    [sample, true],
    [`${sample}!`, isOpen],
    [String(sample).slice(1), false],
    ['', false],
    [7, false],
  ];
}

function contentBounds(name: string): BoundCase[] {
  const { content } = elementOf(name);
  const sample = sampleOf(name);
  const make = (label: string, changed: Content, isAllowed: boolean): BoundCase => {
    return { name: `${name} ${label}`, stanza: { ...sample, content: changed }, isAllowed };
  };
  if (content.kind === 'nothing') return [make('with bytes', new Uint8Array(1), false)];
  if (content.kind === 'bytes') {
    const { min, max, first } = formOf(content.form) as Extract<Form, { readonly type: 'bytes' }>;
    const cases = [
      make('without content', undefined, content.optional === true),
      make(`of ${min} bytes`, sampleBytes(content.form), true),
      make(`of ${min - 1} bytes`, sampleBytes(content.form, min - 1), false),
      make('with a stanza', [{ tag: 'enc', attrs: [], content: undefined }], false),
    ];
    if (max <= LIMITS.reportBytesMax) {
      cases.push(make(`of ${max} bytes`, sampleBytes(content.form, max), true));
      cases.push(make(`of ${max + 1} bytes`, sampleBytes(content.form, max + 1), false));
    }
    if (first !== undefined)
      cases.push(make('of another type', sampleBytes(content.form).fill(first + 1, 0, 1), false));
    return cases;
  }
  return [...partBounds(name), make('with bytes', new Uint8Array(1), false)];
}

function partBounds(name: string): BoundCase[] {
  const { content } = elementOf(name);
  if (content.kind !== 'children') return [];
  return content.parts.flatMap((part, at) => {
    const counts = [part.min - 1, part.min, part.max, part.max + 1].filter((count) => count >= 0);
    return [...new Set(counts)].map((count): BoundCase => {
      const children = content.parts.flatMap((each, index) => samplesOf(each, index === at ? count : each.min));
      const isAllowed = count >= part.min && count <= part.max && children.length >= content.min;
      const stanza = { ...sampleOf(name), content: children.length === 0 ? undefined : children };
      return { name: `${name} with ${count} ${part.of.join(' or ')}`, stanza, isAllowed };
    });
  });
}

// --- random -----------------------------------------------------------------------------------------------------

/** Any stanza of an element, with small content. */
export function arbitraryOf(name: string): fc.Arbitrary<Stanza> {
  const { tag, fields, content } = elementOf(name);
  const pairs = fields.map(({ name: attribute, form, optional }) => {
    const pair = arbitraryValue(form).map((value): AttributeValue[] => [attribute, value]);
    return optional === true ? fc.oneof(pair, fc.constant([])) : pair;
  });
  return fc
    .tuple(fc.tuple(...pairs), arbitraryContent(content))
    .map(([attrs, inner]): Stanza => ({ tag, attrs: attrs.flat(), content: inner }))
    .filter((stanza) => misfitOf(stanza, name, SCHEMA) === undefined);
}

function arbitraryValue(form: string): fc.Arbitrary<AttributeValue> {
  const rule = formOf(form);
  if (rule.type === 'integer') {
    const { min, max } = rule;
    return fc.oneof(
      fc.integer({ min, max }),
      fc.constantFrom(min, max),
      fc.integer({ min, max: Math.min(max, min + 40) }),
    );
  }
  if (rule.type === 'bytes') throw new RangeError(`"form" expected one of attributes, got "${form}"`);
  if ('words' in rule) return fc.constantFrom(...rule.words);
  if ('bytesMin' in rule) return fc.string({ unit: 'grapheme', minLength: rule.bytesMin, maxLength: 40 });
  return SAMPLES[form] === undefined
    ? fc.stringMatching(new RegExp(`^(?:${rule.pattern})$`))
    : fc.constantFrom(...SAMPLES[form]);
}

function arbitraryContent(content: Element['content']): fc.Arbitrary<Content> {
  if (content.kind === 'nothing') return fc.constant(undefined);
  if (content.kind === 'bytes') {
    const bytes = fc.nat(40).map((more) => {
      const { min, max } = formOf(content.form) as Extract<Form, { readonly type: 'bytes' }>;
      return sampleBytes(content.form, Math.min(max, min + more));
    });
    return content.optional === true ? fc.oneof(bytes, fc.constant(undefined)) : bytes;
  }
  const parts = content.parts.map((part) => {
    const one = fc.oneof(...part.of.map((name) => arbitraryOf(name)));
    return fc.array(one, { minLength: part.min, maxLength: Math.min(part.max, part.min + 2) });
  });
  return fc.tuple(...parts).map((all) => (all.flat().length === 0 ? undefined : all.flat()));
}

/** Values that are right somewhere and wrong elsewhere. */
const TELLING: readonly AttributeValue[] = [
  ...[0, 1, 7, 127, 128, 16_380, 16_381, 2 ** 32 - 1, 2 ** 32, LIMITS.integerMax],
  ...['', '7', 'true', 'none', 'read', '123456789012345', '12345678901234', '+4915100000001', 'APP_X', 'app_x'],
];

/** How many stanzas there are, the outermost counted. */
function sizeOf(stanza: Stanza): number {
  return childrenOf(stanza).reduce((sum, child) => sum + sizeOf(child), 1);
}

/** A stanza with one thing changed somewhere in it; seldom nothing. Every change can be written to the wire. */
export function bent(stanza: Stanza): fc.Arbitrary<Stanza> {
  const change = fc.record({
    at: fc.nat(sizeOf(stanza) - 1),
    kind: fc.nat(8),
    where: fc.nat(),
    value: fc.constantFrom(...TELLING),
    length: fc.constantFrom(0, 1, 16, 31, 32, 33, 64, 65, 1_569),
  });
  return change.map(({ at, ...rest }) => changeAt(stanza, at, rest));
}

interface Change {
  readonly kind: number;
  readonly where: number;
  readonly value: AttributeValue;
  readonly length: number;
}

function changeAt(stanza: Stanza, at: number, change: Change): Stanza {
  if (at === 0) return changed(stanza, change);
  let rest = at - 1;
  const children = childrenOf(stanza).map((child) => {
    const size = sizeOf(child);
    const isHere = rest >= 0 && rest < size;
    const next = isHere ? changeAt(child, rest, change) : child;
    rest -= size;
    return next;
  });
  return { ...stanza, content: children };
}

function changed(stanza: Stanza, { kind, where, value, length }: Change): Stanza {
  const { tag, attrs, content } = stanza;
  const pairs = attrs.length / 2;
  const name = pairs === 0 ? undefined : (attrs[(where % pairs) * 2] as string);
  const children = [...childrenOf(stanza)];
  const child = children.length === 0 ? undefined : where % children.length;
  switch (kind) {
    case 0:
      return name === undefined ? stanza : { tag, attrs: withAttribute(attrs, name, undefined), content };
    case 1:
    case 2:
      return name === undefined ? stanza : { tag, attrs: withAttribute(attrs, name, value), content };
    case 3:
      return { tag, attrs: [...attrs, 'x-later', value], content };
    case 4:
      return { tag, attrs, content: undefined };
    case 5:
      return { tag, attrs, content: new Uint8Array(length).fill(5) };
    case 6:
      return child === undefined ? stanza : { tag, attrs, content: children.toSpliced(child, 0, children[child]!) };
    case 7:
      return children.length < 2 ? stanza : { tag, attrs, content: children.toReversed() };
    default:
      return children.length < 2 ? stanza : { tag, attrs, content: children.toSpliced(child!, 1) };
  }
}

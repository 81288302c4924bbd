/**
 * Whether a stanza is what the schema says: the slow twin of the parsers, driven by data alone. Tests hold the two to each other; a
 * client in another language can be written from this file and the JSON.
 */

import { utf8Length } from '../text.ts';
import { attribute, bytesOf, childrenOf, type Stanza } from '../stanza.ts';
import type { Element, Form, Part, Schema } from './language.ts';

/**
 * Compares a stanza with an element of the schema.
 *
 * @param name - In `elements`.
 * @returns What does not fit, by the names of the schema; `undefined` if all does.
 */
export function misfitOf(stanza: Stanza, name: string, schema: Schema): string | undefined {
  const element = schema.elements[name];
  if (element === undefined) throw new RangeError(`"name" expected an element of the schema, got "${name}"`);
  if (stanza.tag !== element.tag) return `${name}: the tag`;
  const { without } = element;
  if (without !== undefined && attribute(stanza, without) !== undefined) return `${name}: with "${without}"`;
  return misfitOfFields(stanza, name, element, schema) ?? misfitOfContent(stanza, name, element, schema);
}

function misfitOfFields(stanza: Stanza, name: string, element: Element, { forms }: Schema): string | undefined {
  for (const field of element.fields) {
    const value = attribute(stanza, field.name);
    if (value === undefined && field.optional === true) continue;
    if (!fitsForm(value, forms[field.form]!)) return `${name}: "${field.name}" is no ${field.form}`;
  }
  const [small, large] = element.ordered ?? [];
  if (small === undefined || large === undefined) return undefined;
  const isOrdered = (attribute(stanza, small) as number) <= (attribute(stanza, large) as number);
  return isOrdered ? undefined : `${name}: "${small}" is above "${large}"`;
}

/** Whether a value, or the bytes of a content, have a form. */
export function fitsForm(value: unknown, form: Form): boolean {
  switch (form.type) {
    case 'integer':
      return Number.isSafeInteger(value) && (value as number) >= form.min && (value as number) <= form.max;
    case 'bytes':
      return fitsBytes(value, form);
    case 'text':
      return typeof value === 'string' && fitsText(value, form);
  }
}

function fitsText(value: string, form: Extract<Form, { readonly type: 'text' }>): boolean {
  if ('words' in form) return form.grows === true || form.words.includes(value);
  if ('pattern' in form) return new RegExp(`^(?:${form.pattern})$`, 'u').test(value);
  const length = utf8Length(value);
  return length >= form.bytesMin && length <= form.bytesMax;
}

function fitsBytes(value: unknown, form: Extract<Form, { readonly type: 'bytes' }>): boolean {
  if (!(value instanceof Uint8Array) || value.length < form.min || value.length > form.max) return false;
  return form.first === undefined || value[0] === form.first;
}

function misfitOfContent(stanza: Stanza, name: string, { content }: Element, schema: Schema): string | undefined {
  if (content.kind === 'nothing') return stanza.content === undefined ? undefined : `${name}: has content`;
  if (content.kind === 'bytes') {
    if (stanza.content === undefined && content.optional === true) return undefined;
    const isFit = fitsForm(bytesOf(stanza), schema.forms[content.form]!);
    return isFit ? undefined : `${name}: its content is no ${content.form}`;
  }
  if (bytesOf(stanza) !== undefined) return `${name}: bytes in place of stanzas`;
  const children = childrenOf(stanza);
  // An empty list is nothing that can be written.
  if (children.length === 0 && stanza.content !== undefined) return `${name}: an empty list`;
  if (children.length < content.min) return `${name}: fewer than ${content.min} stanzas in it`;
  if (!areDistinct(children, content.distinct)) return `${name}: a "${content.distinct}" stands twice`;
  return misfitOfParts(children, name, content.parts, schema);
}

function misfitOfParts(all: readonly Stanza[], name: string, parts: readonly Part[], schema: Schema) {
  let next = 0;
  for (const part of parts) {
    const first = next;
    while (next < all.length && next - first < part.max && fitsOne(all[next]!, part, schema)) next += 1;
    if (next - first < part.min) return `${name}: too few ${part.of.join(' or ')}`;
    if (!areDistinct(all.slice(first, next), part.distinct)) return `${name}: a "${part.distinct}" stands twice`;
  }
  return next === all.length ? undefined : `${name}: <${all[next]!.tag}> at ${next}`;
}

function fitsOne(stanza: Stanza, { of }: Part, schema: Schema): boolean {
  return of.some((name) => misfitOf(stanza, name, schema) === undefined);
}

function areDistinct(stanzas: readonly Stanza[], name: string | undefined): boolean {
  if (name === undefined) return true;
  const values = stanzas.map((stanza) => attribute(stanza, name));
  return new Set(values).size === values.length;
}

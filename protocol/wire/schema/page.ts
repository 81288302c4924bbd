/** docs/stanzas.md, made from the schema: every stanza in one place, with its bounds and codes. A test compares. */

import type { Element, ElementContent, Form, Part, Request, Schema } from './language.ts';

export function stanzasPage(schema: Schema): string {
  const { client, requests, server, requestCodes } = schema;
  const use = usersOf(schema);
  const inner = Object.keys(schema.elements).filter((name) => use.has(name));
  return `# Every stanza

<!-- Made from protocol/wire/schema; a test compares. BLINDBEAM_WRITE_SCHEMA=1 npm test -- dist/test/protocol-schema.test.js writes it. -->

The vocabulary of [protocol.md](protocol.md) with its bounds, made from the description that is also
[\`schema-v1.json\`](../protocol/wire/vectors/schema-v1.json). What a thing means stands there; what it is made of, here. \`[…]\` may be missing. A number behind
content says how many; without one there is exactly one. A form is explained [at the end](#forms).

## What a client says

| stanza | content | when | answered by | or refused with |
|---|---|---|---|---|
${client.map((each) => `| ${head(schema, each.element)} | ${contentOf(schema, each.element)} | ${each.when} | ${[...new Set(each.answers.map((name) => tagOf(schema, name)))].join(' ')} | ${codesOf(each.codes)} |`).join('\n')}

## Requests

Each stands alone in an \`<iq type="get" id>\` or \`<iq type="set" id>\`, its answer in an \`<iq type="result" id>\`, its refusal as \`<error>\` in an \`<iq type="error" id>\`.
Any may be refused with ${codesOf(requestCodes)}. Beyond that:

| request | content | when | answer | or refused with |
|---|---|---|---|---|
${requests.map((each) => requestRow(schema, each)).join('\n')}

## Answers

| answer | content |
|---|---|
${[...new Set(requests.map(({ answer }) => answer))].map((name) => `| ${head(schema, name)} | ${contentOf(schema, name)} |`).join('\n')}

## What the server says

| stanza | content |
|---|---|
${server.map(({ element }) => `| ${head(schema, element)} | ${contentOf(schema, element)} |`).join('\n')}

## What stands within them

| element | name | content |
|---|---|---|
${inner.map((name) => `| ${head(schema, name)} | ${name} | ${contentOf(schema, name)} |`).join('\n')}

## Forms

| form | what |
|---|---|
${Object.entries(schema.forms)
  .map(([name, form]) => `| ${name} | ${describeForm(form)} |`)
  .join('\n')}
`;
}

/** Elements that stand in others and are not said by themselves, requests or answers. */
function usersOf({ elements, requests }: Schema): ReadonlySet<string> {
  const parts = Object.values(elements).flatMap(({ content }) => (content.kind === 'children' ? content.parts : []));
  const all = new Set(parts.flatMap(({ of }) => of));
  for (const { element, answer } of requests) [element, answer].forEach((name) => all.delete(name));
  return all;
}

function requestRow(schema: Schema, { type, element, when, answer, codes }: Request): string {
  const cells = [`${type} ${head(schema, element)}`, contentOf(schema, element), when, tagOf(schema, answer)];
  return `| ${cells.join(' | ')} | ${codesOf(codes)} |`;
}

function tagOf({ elements }: Schema, name: string): string {
  return `\`<${elements[name]!.tag}>\``;
}

/** The tag with its attributes and their forms. */
function head({ elements }: Schema, name: string): string {
  const { tag, fields, without, ordered } = elements[name] as Element;
  const attributes = fields.map(({ name: attribute, form, optional }) =>
    optional === true ? ` [${attribute}=${form}]` : ` ${attribute}=${form}`,
  );
  const notes = [
    ...(without === undefined ? [] : [`no \`${without}\``]),
    ...(ordered === undefined ? [] : [`\`${ordered[0]}\` ≤ \`${ordered[1]}\``]),
  ];
  return `\`<${tag}${attributes.join('')}>\`${notes.length === 0 ? '' : `, ${notes.join(', ')}`}`;
}

function contentOf({ elements }: Schema, name: string): string {
  return describeContent(elements[name]!.content);
}

function describeContent(content: ElementContent): string {
  if (content.kind === 'nothing') return '';
  if (content.kind === 'bytes') return content.optional === true ? `[${content.form}]` : content.form;
  const isRequest = content.parts.some(({ of }) => of.length > 4);
  if (isRequest) return 'one of those below';
  const parts = content.parts.map(describePart).join(', ');
  const least = content.parts.reduce((sum, { min }) => sum + min, 0) < content.min ? `; at least ${content.min}` : '';
  const distinct = content.distinct === undefined ? '' : `; each \`${content.distinct}\` once`;
  return parts + least + distinct;
}

function describePart({ of, min, max, distinct }: Part): string {
  const name = of.join(' or ');
  const count = min === 1 && max === 1 ? '' : ` ${min}–${max}`;
  if (min === 0 && max === 1) return `[${name}]`;
  return distinct === undefined ? name + count : `${name}${count}, each \`${distinct}\` once`;
}

function codesOf(codes: readonly string[]): string {
  return codes.map((code) => `\`${code}\``).join(' ');
}

function describeForm(form: Form): string {
  if (form.type === 'integer') return `an integer from ${form.min} to ${form.max}`;
  if (form.type === 'bytes') {
    const count = form.min === form.max ? `${form.min} bytes` : `${form.min} to ${form.max} bytes`;
    return form.first === undefined ? count : `${count}, the first of them ${form.first}`;
  }
  if ('words' in form) {
    const known = form.words.map((word) => `\`${word}\``).join(' or ');
    return form.grows === true ? `${known}; what has another text is left out` : known;
  }
  if ('pattern' in form) return `a text: \`${form.pattern.replaceAll('|', '\\|')}\``;
  return `a text of ${form.bytesMin} to ${form.bytesMax} bytes`;
}

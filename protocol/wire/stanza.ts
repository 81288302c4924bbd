/**
 * A stanza: the one data structure on the wire. A tag, attributes, and content that is bytes, a list of stanzas or nothing.
 *
 * Plain data without methods; what a stanza means is known to `messages.ts` only. Read next: FORMAT.md for its bytes,
 * `encode.ts`, `decode.ts`.
 *
 * Attributes are one flat list, name and value by turns, and not an object. Why: names come from the network, and a
 * list has no prototype that `__proto__` or `constructor` could reach; it keeps the order of the bytes, where an object
 * moves names such as `1` to the front; and it always has the same hidden class, where an object has one for each set of
 * names that a stranger chooses to send. It is also the fastest: see FORMAT.md, "Choices".
 */

/** A value of an attribute: text, or an unsigned integer of at most 2^53 - 1. The text `"7"` and the integer 7 differ. */
export type AttributeValue = string | number;

/**
 * Name, value, name, value … in the order of the wire. Even positions are names (1 to 32 of a-z, 0-9 and `-`, a letter
 * first), each once.
 */
export type Attributes = readonly AttributeValue[];

/** What a stanza holds: bytes, at least one child, or `undefined` for nothing. Empty bytes differ from nothing. */
export type Content = Uint8Array | readonly Stanza[] | undefined;

/** One element. Always made with its three fields in this order, so that every stanza has the same hidden class. */
export interface Stanza {
  readonly tag: string;
  readonly attrs: Attributes;
  readonly content: Content;
}

/** The attributes of a stanza that has none; shared, so that comparing and encoding it costs nothing. */
export const NO_ATTRIBUTES: Attributes = Object.freeze([]);

/** Looks up an attribute: its value, or `undefined` when the stanza has none of this name. */
export function attribute(stanza: Stanza, name: string): AttributeValue | undefined {
  const { attrs } = stanza;
  for (let index = 0; index < attrs.length; index += 2) {
    if (attrs[index] === name) return attrs[index + 1];
  }
  return undefined;
}

/** Whether content is a list of children. `Array.isArray` holds across realms, where `instanceof` does not. */
export function isChildren(content: Content): content is readonly Stanza[] {
  return Array.isArray(content);
}

/** The children, or an empty list when the content is bytes or nothing. */
export function childrenOf(stanza: Stanza): readonly Stanza[] {
  return isChildren(stanza.content) ? stanza.content : NO_CHILDREN;
}

const NO_CHILDREN: readonly Stanza[] = Object.freeze([]);

/** The content bytes, borrowed from the stanza, or `undefined` when the content is a list or nothing. */
export function bytesOf(stanza: Stanza): Uint8Array | undefined {
  return isChildren(stanza.content) ? undefined : stanza.content;
}

/**
 * Copies a stanza that is to outlive the buffer it was decoded from.
 *
 * A decoded stanza's content bytes are views into the input (borrowed); the input of a WebSocket handler is gone when the
 * handler returns. The copy owns its bytes; strings and numbers are values and are shared.
 */
export function copyStanza(stanza: Stanza): Stanza {
  return { tag: stanza.tag, attrs: stanza.attrs, content: copyContent(stanza.content) };
}

function copyContent(content: Content): Content {
  if (content === undefined) return undefined;
  if (isChildren(content)) return content.map(copyStanza);
  // Not `slice`: on a Node Buffer that is a view, the opposite of a copy.
  return new Uint8Array(content);
}

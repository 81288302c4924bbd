/**
 * Public keys inside stanzas: one-time pre-keys, signed pre-keys, and their lists.
 *
 * To the wire a key is bytes of a known length; nothing here computes with one. Read next: `requests.ts`.
 *
 *   <onetime id="n"> [33] </onetime>
 *   <signed id="n"> <key> [33] </key> <signature> [64] </signature> </signed>
 */

import { badField, badStanza, contentOf, isPreKeyId, publicKeyOf, SIGNATURE_BYTES } from './fields.ts';
import { isWireError, type WireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { attribute, childrenOf, NO_ATTRIBUTES, type Stanza } from './stanza.ts';

/** A one-time pre-key: handed out once. */
export interface OneTimeKey {
  /** 0 to 2^32 - 1, unique within its device. */
  readonly id: number;
  /** 33 bytes, the first of them 05. */
  readonly key: Uint8Array;
}

/** A pre-key signed by the identity key of its device. */
export interface SignedKey {
  readonly id: number;
  /** 33 bytes, the first of them 05. */
  readonly key: Uint8Array;
  /** 64 bytes. Not verified here: the server could not be believed, so the client must. */
  readonly signature: Uint8Array;
}

/** `<onetime>` of one key. */
export function oneTimeStanza({ id, key }: OneTimeKey): Stanza {
  return { tag: 'onetime', attrs: ['id', id], content: key };
}

/** `<signed>` of one key. */
export function signedStanza({ id, key, signature }: SignedKey): Stanza {
  return { tag: 'signed', attrs: ['id', id], content: [bytesStanza('key', key), bytesStanza('signature', signature)] };
}

/** An element that holds bytes and has no attributes. */
export function bytesStanza(tag: string, content: Uint8Array): Stanza {
  return { tag, attrs: NO_ATTRIBUTES, content };
}

/** Reads one `<onetime>`; the key is borrowed from the stanza. */
export function parseOneTime(stanza: Stanza): OneTimeKey | WireError {
  const id = attribute(stanza, 'id');
  if (stanza.tag !== 'onetime') return badStanza('onetime', 'this element');
  if (!isPreKeyId(id)) return badField('onetime', 'id', 'preKeyId');
  const key = publicKeyOf(stanza);
  return key === undefined ? badField('onetime', 'content', 'publicKey') : { id, key };
}

/**
 * Reads the `<onetime>` children from `from` to the last.
 *
 * @param parent - Names the element in a refusal, and holds the children.
 */
export function parseOneTimeList(parent: Stanza, from: number): OneTimeKey[] | WireError {
  const children = childrenOf(parent);
  if (children.length - from > LIMITS.oneTimeKeysMax) {
    return badStanza('onetime', `at most ${LIMITS.oneTimeKeysMax} of this element`);
  }
  const keys: OneTimeKey[] = [];
  const ids = new Set<number>();
  for (let index = from; index < children.length; index += 1) {
    const key = parseOneTime(children[index]!);
    if (isWireError(key)) return key;
    if (ids.has(key.id)) return badStanza('onetime', 'each "id" once');
    ids.add(key.id);
    keys.push(key);
  }
  return keys;
}

/** Reads `<signed>`; `undefined` stands for an element that is missing. Bytes are borrowed from the stanza. */
export function parseSigned(stanza: Stanza | undefined): SignedKey | WireError {
  if (stanza?.tag !== 'signed') return badStanza('signed', 'this element');
  const id = attribute(stanza, 'id');
  if (!isPreKeyId(id)) return badField('signed', 'id', 'preKeyId');
  const children = childrenOf(stanza);
  if (children.length !== 2) return badStanza('signed', '<key> and <signature>');
  const key = publicKeyIn(children[0], 'key');
  if (key === undefined) return badField('signed', 'key', 'publicKey');
  const signature = bytesIn(children[1], 'signature', SIGNATURE_BYTES);
  return signature === undefined ? badField('signed', 'signature', 'signature') : { id, key, signature };
}

/** The public key in an element, if the element is the expected one. */
export function publicKeyIn(stanza: Stanza | undefined, tag: string): Uint8Array | undefined {
  return stanza?.tag === tag ? publicKeyOf(stanza) : undefined;
}

/** The bytes in an element, if it is the expected one and they have the expected length. */
export function bytesIn(stanza: Stanza | undefined, tag: string, length: number): Uint8Array | undefined {
  return stanza?.tag === tag ? contentOf(stanza, length) : undefined;
}

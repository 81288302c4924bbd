/**
 * Public keys inside stanzas: one-time, signed and KEM pre-keys, and their lists.
 *
 * To the wire a key is bytes of a known length; nothing here computes with one. Read next: `requests.ts`.
 *
 *   <onetime id="n"> [33] </onetime>
 *   <signed id="n"> <key> [33] </key> <signature> [64] </signature> </signed>
 *   <kem id="n"> <key> [1569] </key> <signature> [64] </signature> </kem>                    handed out once
 *   <last-resort id="n"> <key> [1569] </key> <signature> [64] </signature> </last-resort>    when those have run out
 */

import { badField, badStanza, contentOf, isPreKeyId, kemKeyOf, publicKeyOf, SIGNATURE_BYTES } from './fields.ts';
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

/** A KEM pre-key signed by the identity key of its device. The server hands it out; it neither makes nor opens anything with it. */
export interface KemKey {
  readonly id: number;
  /** 1,569 bytes, the first of them 06. */
  readonly key: Uint8Array;
  /** 64 bytes. Not verified here, as above. */
  readonly signature: Uint8Array;
}

/** The KEM pre-key of a bundle, of either kind. */
export interface BundleKemKey extends KemKey {
  /** `<last-resort>` in place of `<kem>`. */
  readonly lastResort: boolean;
}

/** `<onetime>` of one key. */
export function oneTimeStanza({ id, key }: OneTimeKey): Stanza {
  return { tag: 'onetime', attrs: ['id', id], content: key };
}

/** `<signed>` of one key. */
export function signedStanza(key: SignedKey): Stanza {
  return signedKeyStanza('signed', key);
}

/** `<kem>` of one key. */
export function kemStanza(key: KemKey): Stanza {
  return signedKeyStanza('kem', key);
}

/** `<last-resort>` of one key. */
export function lastResortStanza(key: KemKey): Stanza {
  return signedKeyStanza('last-resort', key);
}

function signedKeyStanza(tag: string, { id, key, signature }: SignedKey | KemKey): Stanza {
  return { tag, attrs: ['id', id], content: [bytesStanza('key', key), bytesStanza('signature', signature)] };
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

/** Reads all of `children` as `<onetime>`: at most `oneTimeKeysMax`, ids distinct. */
export function parseOneTimeList(children: readonly Stanza[]): OneTimeKey[] | WireError {
  return parseKeys('onetime', children, LIMITS.oneTimeKeysMax, parseOneTime);
}

/** Reads all of `children` as `<kem>`: at most `kemKeysMax`, ids distinct. */
export function parseKemList(children: readonly Stanza[]): KemKey[] | WireError {
  return parseKeys('kem', children, LIMITS.kemKeysMax, (child) => parseSignedKey(child, 'kem', 'kemKey'));
}

function parseKeys<Key extends { readonly id: number }>(
  tag: string,
  children: readonly Stanza[],
  countMax: number,
  parse: (child: Stanza) => Key | WireError,
): Key[] | WireError {
  if (children.length > countMax) return badStanza(tag, `at most ${countMax} of this element`);
  const keys: Key[] = [];
  const ids = new Set<number>();
  for (const child of children) {
    const key = parse(child);
    if (isWireError(key)) return key;
    if (ids.has(key.id)) return badStanza(tag, 'each "id" once');
    ids.add(key.id);
    keys.push(key);
  }
  return keys;
}

/** Reads `<signed>`; `undefined` stands for an element that is missing. Bytes are borrowed from the stanza. */
export function parseSigned(stanza: Stanza | undefined): SignedKey | WireError {
  return parseSignedKey(stanza, 'signed', 'publicKey');
}

/** Reads `<last-resort>`. Bytes are borrowed from the stanza. */
export function parseLastResort(stanza: Stanza): KemKey | WireError {
  return parseSignedKey(stanza, 'last-resort', 'kemKey');
}

/** Reads `<kem>` or `<last-resort>`, whichever it is. Bytes are borrowed from the stanza. */
export function parseBundleKem(stanza: Stanza): BundleKemKey | WireError {
  const lastResort = stanza.tag === 'last-resort';
  const key = lastResort ? parseLastResort(stanza) : parseSignedKey(stanza, 'kem', 'kemKey');
  return isWireError(key) ? key : { ...key, lastResort };
}

function parseSignedKey(stanza: Stanza | undefined, tag: string, form: 'publicKey' | 'kemKey'): SignedKey | WireError {
  if (stanza?.tag !== tag) return badStanza(tag, 'this element');
  const id = attribute(stanza, 'id');
  if (!isPreKeyId(id)) return badField(tag, 'id', 'preKeyId');
  const children = childrenOf(stanza);
  if (children.length !== 2) return badStanza(tag, '<key> and <signature>');
  const key = children[0]!.tag === 'key' ? KEY_FORMS[form](children[0]!) : undefined;
  if (key === undefined) return badField(tag, 'key', form);
  const signature = bytesIn(children[1], 'signature', SIGNATURE_BYTES);
  return signature === undefined ? badField(tag, 'signature', 'signature') : { id, key, signature };
}

const KEY_FORMS = { publicKey: publicKeyOf, kemKey: kemKeyOf } as const;

/** The public key in an element, if the element is the expected one. */
export function publicKeyIn(stanza: Stanza | undefined, tag: string): Uint8Array | undefined {
  return stanza?.tag === tag ? publicKeyOf(stanza) : undefined;
}

/** The bytes in an element, if it is the expected one and they have the expected length. */
export function bytesIn(stanza: Stanza | undefined, tag: string, length: number): Uint8Array | undefined {
  return stanza?.tag === tag ? contentOf(stanza, length) : undefined;
}

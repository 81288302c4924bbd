/**
 * The words in which the protocol is described as data: forms of values, elements made of them, stanzas and requests that are elements.
 *
 * Plain JSON, so that a client in any language can be made or checked from it: `vectors/schema-v1.json` is the same data, written out.
 * Nothing here reads or writes stanzas. Read next: `forms.ts`, `elements.ts`, `fit.ts`.
 */

/** What a value may be. A pattern is a regular expression of ECMAScript for the whole text. */
export type Form =
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  | { readonly type: 'text'; readonly pattern: string }
  /** `grows`: there may be others later, and whoever reads an element with one of those leaves the element out. */
  | { readonly type: 'text'; readonly words: readonly string[]; readonly grows?: true }
  /** Any text, by its length in UTF-8. */
  | { readonly type: 'text'; readonly bytesMin: number; readonly bytesMax: number }
  /** Content only. `first`: what the first byte must be. */
  | { readonly type: 'bytes'; readonly min: number; readonly max: number; readonly first?: number };

/** An attribute. One that is not listed is ignored, unless the element is `without` it. */
export interface Field {
  readonly name: string;
  /** A name in `forms`. */
  readonly form: string;
  readonly optional?: true;
}

/** Children that follow each other, before those of the next part. */
export interface Part {
  /** Names in `elements`; each child is one of them. */
  readonly of: readonly string[];
  readonly min: number;
  readonly max: number;
  /** The attribute that no two of them share. */
  readonly distinct?: string;
}

export type ElementContent =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'bytes'; readonly form: string; readonly optional?: true }
  /** At least `min` children in all; none at all is no content. `distinct`: an attribute that no two children share. */
  | { readonly kind: 'children'; readonly parts: readonly Part[]; readonly min: number; readonly distinct?: string };

/** A stanza, or one within another. */
export interface Element {
  readonly tag: string;
  readonly fields: readonly Field[];
  readonly content: ElementContent;
  /** An attribute whose presence makes it another element of the same tag. */
  readonly without?: string;
  /** Two integer attributes, the first of which is not above the second. */
  readonly ordered?: readonly [string, string];
}

/** When a client may say something: at any time, before its login, or once it is logged in. */
export type When = 'always' | 'before-login' | 'after-login';

/** What a client says of itself. */
export interface ClientStanza {
  readonly kind: string;
  readonly element: string;
  readonly when: When;
  /** Elements that answer it, if any does: stanzas of the server. */
  readonly answers: readonly string[];
  /** Codes with which it may be refused while the connection stays. */
  readonly codes: readonly string[];
}

/** What the server says of itself. */
export interface ServerStanza {
  readonly kind: string;
  readonly element: string;
}

/** What stands in an `<iq>`. */
export interface Request {
  readonly kind: string;
  readonly type: 'get' | 'set';
  readonly element: string;
  readonly when: When;
  /** The element that answers it. */
  readonly answer: string;
  /** Codes with which it may be refused; `requestCodes` are not repeated. */
  readonly codes: readonly string[];
}

export interface Schema {
  /** Of this description. */
  readonly schema: 1;
  /** The subprotocol that it describes. */
  readonly subprotocol: string;
  readonly forms: Readonly<Record<string, Form>>;
  readonly elements: Readonly<Record<string, Element>>;
  readonly client: readonly ClientStanza[];
  readonly requests: readonly Request[];
  readonly server: readonly ServerStanza[];
  /** Codes with which any request may be refused. */
  readonly requestCodes: readonly string[];
  /** Codes that end a login, as `<failure>` and then as the reason of the close. */
  readonly loginCodes: readonly string[];
  /** Codes that end any connection, by the status of the close. */
  readonly closeCodes: Readonly<Record<string, readonly string[]>>;
  /** Why messages are lost: codes of `<gap>` and `<pruned>`. */
  readonly lossCodes: readonly string[];
}

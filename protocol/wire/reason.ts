/**
 * What every refusal says: a code for programs and a text for developers. `<failure>` and `<error>` carry it.
 */

import type { WireError } from './errors.ts';
import { badField, isErrorCode } from './fields.ts';
import { attribute, type Stanza } from './stanza.ts';

/** What every refusal says. */
export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** Reads `code` and `text` of `<failure>` and `<error>`. */
export function parseReason(stanza: Stanza, tag: string): Reason | WireError {
  const code = attribute(stanza, 'code');
  if (!isErrorCode(code)) return badField(tag, 'code', 'errorCode');
  const text = attribute(stanza, 'text');
  return typeof text === 'string' ? { code, text } : badField(tag, 'text', 'text');
}

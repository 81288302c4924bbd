/**
 * What is missing from a conversation for good: stanzas that name message ids which no device will get any more.
 *
 *   <pruned from device since until seq ts code/>   to a recipient, an inbox entry like a message
 *   <gap to since until ts code/>                   to a sender
 *   <gap since until code/>                         to a sender, in the answer to <receipts/>
 *
 * `code` says why, from the catalogue of refusals. The vocabulary is docs/protocol.md. Read next: `server-messages.ts`.
 */

import { isDeviceId, isUserId } from './address.ts';
import { isWireError, type WireError } from './errors.ts';
import { badField, badStanza, isCount, isCounter, isErrorCode } from './fields.ts';
import { LIMITS } from './limits.ts';
import { attribute, childrenOf, type Stanza } from './stanza.ts';

/** Ids of a conversation that are lost. */
export interface Gap {
  /** The first id. */
  readonly since: number;
  /** The last one, at least `since`. */
  readonly until: number;
  /** Why, such as APP_EXPIRED. */
  readonly code: string;
}

/** Messages to that user were not delivered and never will be. */
export interface GapMessage extends Gap {
  readonly kind: 'gap';
  readonly to: string;
  readonly ts: number;
}

/** Messages of that device to this one are gone. Acknowledged by its position, like a message. */
export interface PrunedMessage extends Gap {
  readonly kind: 'pruned';
  readonly from: string;
  readonly device: number;
  readonly seq: number;
  readonly ts: number;
}

/** `<gap to since until ts code/>` */
export function gapStanza({ to, since, until, ts, code }: Omit<GapMessage, 'kind'>): Stanza {
  return { tag: 'gap', attrs: ['to', to, 'since', since, 'until', until, 'ts', ts, 'code', code], content: undefined };
}

/** `<pruned from device since until seq ts code/>` */
export function prunedStanza(message: Omit<PrunedMessage, 'kind'>): Stanza {
  const { from, device, since, until, seq, ts, code } = message;
  const attrs = ['from', from, 'device', device, 'since', since, 'until', until, 'seq', seq, 'ts', ts, 'code', code];
  return { tag: 'pruned', attrs, content: undefined };
}

/** Reads a `<gap>` that stands alone. */
export function parseGapMessage(stanza: Stanza): GapMessage | WireError {
  const to = attribute(stanza, 'to');
  if (!isUserId(to)) return badField('gap', 'to', 'user');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('gap', 'ts', 'count');
  const gap = parseGap(stanza, 'gap');
  return isWireError(gap) ? gap : { kind: 'gap', to, ...gap, ts };
}

/** Reads a `<pruned>`. */
export function parsePruned(stanza: Stanza): PrunedMessage | WireError {
  const from = attribute(stanza, 'from');
  if (!isUserId(from)) return badField('pruned', 'from', 'user');
  const device = attribute(stanza, 'device');
  if (!isDeviceId(device)) return badField('pruned', 'device', 'device');
  const seq = attribute(stanza, 'seq');
  if (!isCounter(seq)) return badField('pruned', 'seq', 'counter');
  const ts = attribute(stanza, 'ts');
  if (!isCount(ts)) return badField('pruned', 'ts', 'count');
  const gap = parseGap(stanza, 'pruned');
  return isWireError(gap) ? gap : { kind: 'pruned', from, device, ...gap, seq, ts };
}

/** Reads what every gap says. */
export function parseGap(stanza: Stanza, tag: string): Gap | WireError {
  const until = attribute(stanza, 'until');
  if (!isCounter(until)) return badField(tag, 'until', 'counter');
  const since = attribute(stanza, 'since');
  if (!isCounter(since) || since > until) return badField(tag, 'since', 'since');
  const code = attribute(stanza, 'code');
  if (!isErrorCode(code)) return badField(tag, 'code', 'errorCode');
  return stanza.content === undefined ? { since, until, code } : badField(tag, 'content', 'nothing');
}

/** The gaps as children of an answer. */
export function gapStanzas(gaps: readonly Gap[]): Stanza[] {
  return gaps.map(({ since, until, code }) => ({
    tag: 'gap',
    attrs: ['since', since, 'until', until, 'code', code],
    content: undefined,
  }));
}

/** Reads the children of an answer: 1 to `LIMITS.gapsMax` gaps. */
export function parseGaps(stanza: Stanza): Gap[] | WireError {
  const children = childrenOf(stanza);
  if (children.length === 0 || children.length > LIMITS.gapsMax) return badStanza('receipts', '1 to 16 <gap>');
  const gaps: Gap[] = [];
  for (const child of children) {
    if (child.tag !== 'gap') return badStanza('receipts', '<gap> only');
    const gap = parseGap(child, 'gap');
    if (isWireError(gap)) return gap;
    gaps.push(gap);
  }
  return gaps;
}

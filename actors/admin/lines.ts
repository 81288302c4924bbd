/**
 * The language of the admin socket: one JSON object a line, in both directions. docs/internals/admin.md has it with examples.
 *
 *   node     {"blindbeam":"admin","version":1,"node":"blindbeam","pid":4711}      greets, once
 *   operator {"id":1,"verb":"status","parameters":{}}                             asks
 *   node     {"id":1,"result":{…}}     or     {"id":1,"error":{"code","message"}}
 *            {"id":2,"next":{…}}       of a live view, as often as it has something new; then result or error
 *   operator {"id":2,"cancel":true}                                               has seen enough
 */

import { AdminError, type AdminRefusal } from './errors.ts';
import { LIMITS } from './limits.ts';

export const ADMIN_VERSION = 1;

export interface Greeting {
  readonly blindbeam: 'admin';
  readonly version: typeof ADMIN_VERSION;
  readonly node: string;
  readonly pid: number;
}

export interface AdminRequest {
  /** Chosen by the operator's end; comes back with each answer. */
  readonly id: number;
  readonly verb: string;
  readonly parameters: object;
}

export interface AdminCancel {
  readonly id: number;
  readonly cancel: true;
}

export type AdminAnswer =
  | { readonly id: number; readonly result: object }
  | { readonly id: number; readonly next: object }
  | { readonly id: number | null; readonly error: AdminRefusal };

/** @throws {AdminError} ADM_BAD_REQUEST. */
export function readRequest(line: string): AdminRequest | AdminCancel {
  const { id, verb, parameters = {}, cancel } = parseObject(line);
  if (!Number.isSafeInteger(id)) throw new AdminError('ADM_BAD_REQUEST');
  if (cancel === true) return { id: id as number, cancel };
  if (typeof verb !== 'string' || typeof parameters !== 'object' || parameters === null) {
    throw new AdminError('ADM_BAD_REQUEST');
  }
  return { id: id as number, verb, parameters };
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new AdminError('ADM_BAD_REQUEST');
  }
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new AdminError('ADM_BAD_REQUEST');
}

/** One line, with its end. An answer that is too long becomes the refusal that says so. */
export function writeAnswer(answer: AdminAnswer): string {
  const line = `${JSON.stringify(answer)}\n`;
  if (line.length <= LIMITS.answerLineBytesMax) return line;
  const { code, message } = new AdminError('ADM_ANSWER_TOO_LONG');
  return `${JSON.stringify({ id: answer.id, error: { code, message } })}\n`;
}

/** Cuts a stream of bytes into lines; never holds more than one line of the bound. */
export class LineReader {
  readonly #bytesMax: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * @param chunk - Borrowed.
   * @returns The lines that it ends, without their ends; `undefined` if one is too long: nothing that follows makes sense.
   */
  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      const piece = chunk.subarray(from, at);
      if (this.#rest.length + piece.length > this.#bytesMax) return undefined;
      lines.push(Buffer.concat([this.#rest, piece]).toString('utf8'));
      this.#rest = Buffer.alloc(0);
      from = at + 1;
    }
    if (this.#rest.length + chunk.length - from > this.#bytesMax) return undefined;
    if (from < chunk.length) this.#rest = Buffer.concat([this.#rest, chunk.subarray(from)]);
    return lines;
  }
}

const LF = 10;

/**
 * The catalogue of what operators are refused with: `ADM_*` codes.
 *
 * As everywhere a refusal is data, compared by `code`. `docs/internals/admin.md` lists the same codes; a test compares.
 */

import { isRuntimeError } from '../../runtime/index.ts';

/** Codes are stable: they may be added, never renamed or given another meaning. */
export const ADM_ERRORS = {
  ADM_BAD_REQUEST: 'The line is no request: one JSON object with "id" and "verb".',
  ADM_LINE_TOO_LONG: 'The line is longer than a request may be; the connection ends.',
  ADM_UNKNOWN_VERB: 'This node knows no such verb: it may be older than the tool.',
  ADM_BAD_PARAMETER: 'A parameter is missing, unknown or out of its bounds; the message names it.',
  ADM_BUSY: 'Too many requests are under way: wait for one.',
  ADM_NOT_FOUND: 'What was named is not there, or no longer.',
  ADM_REFUSED: 'The node will not do this now; the message says why.',
  ADM_NO_ANSWER: 'A worker did not answer in time: it is busy or stuck.',
  ADM_ANSWER_TOO_LONG: 'The answer is longer than a line may be: ask for less.',
  ADM_FAILED: 'The verb failed; the log of the node has the reason.',
} as const;

export type AdminCode = keyof typeof ADM_ERRORS;

/** A refusal as it travels. */
export interface AdminRefusal {
  readonly code: AdminCode;
  readonly message: string;
}

/** Tells our errors across two loaded copies of this module. */
const BRAND = 'blindbeam.admin-error';

/** Thrown by verbs and by what answers for a worker; becomes an `AdminRefusal` at the edge. */
export class AdminError extends Error {
  readonly code: AdminCode;
  readonly brand: string = BRAND;

  constructor(code: AdminCode, message: string = ADM_ERRORS[code]) {
    super(message);
    this.name = 'AdminError';
    this.code = code;
  }
}

export function isAdminError(error: unknown): error is AdminError {
  return (error as { brand?: unknown } | null)?.brand === BRAND;
}

/** What it means to an operator that an actor did not answer a system request. For `catch`. */
export function explainSilence(error: unknown): never {
  if (!isRuntimeError(error)) throw error;
  if (error.code !== 'RT_CALL_TIMEOUT') throw new AdminError('ADM_NOT_FOUND', `the actor has ended: ${error.code}`);
  throw new AdminError(
    'ADM_NO_ANSWER',
    'the actor does not answer: it is busy, or a handler of it waits for something',
  );
}

/**
 * Outcomes in tests: the result that must be there, or the code that must. Test-only.
 */
import { isSignalError, type SignalError, type SignalErrorCode } from '../errors.ts';

/** The result. @throws {Error} naming the code, where there is none. */
export function must<T>(outcome: T | SignalError): T {
  if (isSignalError(outcome)) throw new Error(`unexpected ${outcome.code}`);
  return outcome;
}

/** The code of an error, or 'ok'. */
export function codeOf(outcome: unknown): SignalErrorCode | 'ok' {
  return isSignalError(outcome) ? outcome.code : 'ok';
}

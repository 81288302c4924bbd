/**
 * How a verification code reaches a phone. The server knows only this interface; an SMS gateway implements it.
 */

import type { Logger } from '../runtime/index.ts';

export interface Verifier {
  /**
   * Sends `code` to `phone` (E.164). Resolves when the carrier has taken it; a rejection is told to the client as
   * APP_VERIFIER_FAILED and the code is void. Must settle within a minute.
   */
  send(phone: string, code: string): Promise<void>;
}

/**
 * For development: prints the code to the log instead of sending it. Whoever reads the log can register any number,
 * so a node refuses to use it on an address that is not loopback unless told so (`config.ts`).
 */
export function createLogVerifier(log: Logger): Verifier {
  return {
    async send(phone, code) {
      log.info('verification_code', { phone, code });
    },
  };
}

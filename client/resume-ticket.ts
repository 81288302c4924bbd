/**
 * The ticket of the last login: it stands in for a signature at the next one, which costs this device nothing and the server
 * next to nothing, when it counts most.
 *
 * The secret never leaves again once it is here: what is sent is computed with it over the server's nonce. It is stored
 * beside the login key, which could make the same logins, and it never enters a backup. A ticket that is lost, late or
 * refused changes nothing: the login key signs.
 *
 * Source: docs/protocol.md, "Opening".
 */

import { primitives } from '../protocol/signal/primitives.ts';
import { resumeStanza } from '../protocol/wire/index.ts';
import type { ResumeTicket, Stanza } from '../protocol/wire/index.ts';
import type { Journal } from './journal.ts';
import { KEYS, TICKET } from './layout.ts';
import type { TicketRecord } from './layout.ts';

const PROOF_LABEL: Uint8Array = new TextEncoder().encode('blindbeam resume 1\0');

/** What shows the server that we hold the ticket's secret. 32 bytes, owned by the caller. */
function resumeProof(secret: Uint8Array, nonce: Uint8Array): Uint8Array {
  return primitives.hmacSha256(secret, PROOF_LABEL, nonce);
}

/** The ticket of one device, in memory and in the store. */
export class TicketHolder {
  readonly #journal: Journal;
  readonly #self: { readonly user: string; readonly device: number };
  #ticket: TicketRecord | undefined;

  private constructor(
    journal: Journal,
    self: { readonly user: string; readonly device: number },
    ticket: TicketRecord | undefined,
  ) {
    this.#journal = journal;
    this.#self = self;
    this.#ticket = ticket;
  }

  /** @throws {ClientError} (as rejection) CLI_STORE_CORRUPT. */
  static async load(
    journal: Journal,
    { user, device }: { readonly user: string; readonly device: number },
  ): Promise<TicketHolder> {
    const bytes = await journal.get(KEYS.ticket);
    return new TicketHolder(journal, { user, device }, bytes === undefined ? undefined : TICKET.decode(bytes));
  }

  /**
   * The login by ticket, if there is one that is good at `nowMs` (wall clock).
   *
   * @param features - What this client understands, for the server.
   */
  login(nonce: Uint8Array, nowMs: number, features: number): Stanza | undefined {
    if (this.#ticket === undefined || this.#ticket.expiresAtMs <= nowMs) return undefined;
    const { token, secret } = this.#ticket;
    return resumeStanza({ ...this.#self, ticket: token, proof: resumeProof(secret, nonce), features });
  }

  /**
   * Keeps what a login brought. In memory at once; in the store when there is time, for a crash before costs a signature.
   *
   * @throws {ClientError} (as rejection) CLI_STORE_FAILED.
   */
  async keep({ token, secret, expires }: ResumeTicket, nowMs: number): Promise<void> {
    this.#ticket = { token, secret, expiresAtMs: nowMs + expires * 1000 };
    const transaction = this.#journal.begin();
    transaction.put(KEYS.ticket, TICKET.encode(this.#ticket));
    await this.#journal.commit(transaction, 'eventual');
  }

  /** The server does not take it any more. What is in the store is replaced by what the signature brings. */
  forget(): void {
    this.#ticket = undefined;
  }
}

/**
 * Read receipts: what has been read, what of it is owed to its sender, and whether the person here takes part at all.
 *
 *   markRead ─▶ noted: heard.readId, and a debt ─▶ connection live? ─▶ <receipt type="read" to device id/>, debt gone
 *                  └─▶ from a stranger: withheld ─▶ accepted? a debt
 *
 * Withheld is only what a stranger would have been told otherwise. What was read while its author was left out by the choice of the person here, or
 * on another device, is no debt and never becomes one.
 *
 * A debt outlives a restart. It is paid once the inbox has been drained, since the server passes on only what it knows to be
 * delivered, and our acknowledgements go before. Receipts are cumulative, so a device is owed one at a time, and a group one. Who tells nobody
 * what he reads is shown by nobody's receipts that they read: `isShared` says for whom either holds.
 */

import type { Audience, Stanza } from '../protocol/wire/index.ts';
import { groupReadStanza, readReceiptStanza } from '../protocol/wire/index.ts';
import type { Journal, Transaction } from './journal.ts';
import { HEARD, KEYS, NEVER_HEARD, numberOfKey, userOfKey } from './layout.ts';
import { NUMBER, TEXT } from './record-codec.ts';
import type { Locks } from './locks.ts';
import { scan } from './renewal.ts';

/** What read receipts need of their engine. */
export interface ReadReceiptServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly transmit: (stanza: Stanza) => void;
  /** Notes for one's own other devices what was read. */
  readonly noteSeen: (transaction: Transaction, mark: ReadMark) => void;
  /** Whether this device has written to a user. */
  readonly isContact: (user: string) => boolean;
  /** Whether nothing may be told to a user before something is decided about them. */
  readonly isStranger: (user: string) => boolean;
}

/** Everything up to `id` from this device has been read. */
export interface ReadMark {
  readonly user: string;
  readonly device: number;
  readonly id: number;
}

/** A receipt that is owed: to the user behind a device, or to a group. */
interface Debt {
  readonly user: string | undefined;
  readonly stanza: Stanza;
}

/** With whom read receipts are exchanged, where nothing was chosen. */
const DEFAULT_AUDIENCE: Audience = 'everyone';

/** The read receipts of one account. */
export class ReadReceipts {
  readonly #services: ReadReceiptServices;
  /** By the key of their record. */
  readonly #debts = new Map<string, Debt>();
  /** How far strangers would have been told, by the key of its record. */
  readonly #withheld = new Map<string, number>();
  #audience: Audience = DEFAULT_AUDIENCE;
  #isLive = false;
  #isPaying = false;

  private constructor(services: ReadReceiptServices) {
    this.#services = services;
  }

  /** Reads the choice and the debts of earlier runs. @throws {ClientError} CLI_STORE_CORRUPT. */
  static async open(services: ReadReceiptServices): Promise<ReadReceipts> {
    const receipts = new ReadReceipts(services);
    const chosen = await services.journal.get(KEYS.readReceipts);
    if (chosen !== undefined) receipts.#audience = TEXT.decode(chosen) as Audience;
    for await (const { key, value } of scan(services.journal, KEYS.readDebts)) {
      receipts.#debts.set(key, debtOf(key, NUMBER.decode(value)));
    }
    for await (const { key, value } of scan(services.journal, KEYS.readWithheldAll)) {
      receipts.#withheld.set(key, NUMBER.decode(value));
    }
    return receipts;
  }

  get audience(): Audience {
    return this.#audience;
  }

  /** Chooses with whom read receipts are exchanged from now on. What was read before and not told, stays so. */
  async choose(audience: Audience): Promise<void> {
    const { journal } = this.#services;
    const transaction = journal.begin();
    transaction.put(KEYS.readReceipts, TEXT.encode(audience));
    for (const [key, { user }] of this.#debts) {
      if (user === undefined ? audience !== 'nobody' : isShared(audience, user, this.#services)) continue;
      this.#debts.delete(key);
      transaction.delete(key);
    }
    for (const key of this.#withheld.keys()) {
      const { user } = debtOf(key, 0);
      if (user === undefined ? audience !== 'nobody' : isIncluded(audience, user, this.#services)) continue;
      this.#forgetWithheld(transaction, key);
    }
    this.#audience = audience;
    await journal.commit(transaction);
  }

  /** Whether a user is told what we read, and we show what they say to have read. */
  isShared(user: string): boolean {
    return isShared(this.#audience, user, this.#services);
  }

  /** The same of groups, which have one answer for all their members: contacts are not told apart in them. */
  get isSharedInGroups(): boolean {
    return this.#audience !== 'nobody';
  }

  /** The inbox is drained: what is owed may be told. */
  live(): void {
    this.#isLive = true;
    this.payLater();
  }

  shut(): void {
    this.#isLive = false;
  }

  /** Notes that a message, and every earlier one of its device, has been read; tells the sender now or after the next login. */
  async mark(mark: ReadMark): Promise<void> {
    const { user, device, id } = mark;
    const { journal, locks } = this.#services;
    await locks.run([user], async () => {
      const bytes = await journal.get(KEYS.heard(user, device));
      const heard = bytes === undefined ? NEVER_HEARD : HEARD.decode(bytes);
      if (id <= heard.readId) return;
      const transaction = journal.begin();
      transaction.put(KEYS.heard(user, device), HEARD.encode({ ...heard, readId: id }));
      this.#services.noteSeen(transaction, mark);
      if (this.isShared(user)) this.#owe(transaction, mark);
      else if (isIncluded(this.#audience, user, this.#services)) {
        this.#withhold(transaction, KEYS.readWithheld(user, device), id);
      }
      await journal.commit(transaction, 'eventual');
    });
    this.payLater();
  }

  /** The same of everything received from a user. */
  async markAll(user: string): Promise<void> {
    for await (const { key, value } of scan(this.#services.journal, KEYS.heardOf(user))) {
      const { lastId } = HEARD.decode(value);
      if (lastId > 0) await this.mark({ user, device: numberOfKey(key), id: lastId });
    }
  }

  /** Tells people who are no strangers any more, and the server knows it, what of theirs had been read before. */
  async catchUp(users: ReadonlySet<string>): Promise<void> {
    if (this.#withheld.size === 0) return;
    const { journal } = this.#services;
    const transaction = journal.begin();
    for (const [key, id] of this.#withheld) {
      const user = userOfKey(key);
      if (users.has(user) && this.isShared(user)) this.#owe(transaction, { user, device: numberOfKey(key), id });
    }
    await journal.commit(transaction, 'eventual');
    this.payLater();
  }

  /** Notes that a group has been read up to a place. The caller commits, then asks for `payLater`. */
  oweGroup(transaction: Transaction, group: string, order: number): void {
    if (!this.isSharedInGroups) return;
    this.#putDebt(transaction, KEYS.groupReadDebt(group), order);
    this.#forgetWithheld(transaction, KEYS.groupReadWithheld(group));
  }

  /** The same where a stranger has brought us there. The caller commits. */
  withholdGroup(transaction: Transaction, group: string, order: number): void {
    if (this.isSharedInGroups) this.#withhold(transaction, KEYS.groupReadWithheld(group), order);
  }

  /** Tells the members of a group who may learn it from now on how far it had been read before. */
  async catchUpGroup(group: string): Promise<void> {
    const order = this.#withheld.get(KEYS.groupReadWithheld(group));
    if (order === undefined) return;
    const transaction = this.#services.journal.begin();
    this.oweGroup(transaction, group, order);
    await this.#services.journal.commit(transaction, 'eventual');
    this.payLater();
  }

  #owe(transaction: Transaction, { user, device, id }: ReadMark): void {
    this.#putDebt(transaction, KEYS.readDebt(user, device), id);
    this.#forgetWithheld(transaction, KEYS.readWithheld(user, device));
  }

  #putDebt(transaction: Transaction, key: string, upTo: number): void {
    this.#debts.set(key, debtOf(key, upTo));
    transaction.put(key, NUMBER.encode(upTo));
  }

  #withhold(transaction: Transaction, key: string, upTo: number): void {
    this.#withheld.set(key, upTo);
    transaction.put(key, NUMBER.encode(upTo));
  }

  #forgetWithheld(transaction: Transaction, key: string): void {
    if (this.#withheld.delete(key)) transaction.delete(key);
  }

  /** Tells what is owed at the end of this turn, if the inbox is drained: receipts of one turn become one. */
  payLater(): void {
    if (!this.#isLive || this.#isPaying || this.#debts.size === 0) return;
    this.#isPaying = true;
    queueMicrotask(() => {
      this.#isPaying = false;
      if (this.#isLive) this.#pay();
    });
  }

  #pay(): void {
    const { journal, transmit } = this.#services;
    const transaction = journal.begin();
    for (const [key, { stanza }] of this.#debts) {
      transmit(stanza);
      transaction.delete(key);
    }
    this.#debts.clear();
    // A debt that a crash brings back is paid twice, which is harmless; a store that fails has stopped the client already.
    journal.commit(transaction, 'eventual').catch(() => undefined);
  }
}

/** What a record of a debt, or of what is withheld, means: `read-debt/<user>/<device>`, or `read-debt/group/<group>`. */
function debtOf(key: string, upTo: number): Debt {
  const user = userOfKey(key);
  if (user === 'group') {
    const group = key.slice(key.lastIndexOf('/') + 1);
    return { user: undefined, stanza: groupReadStanza({ group, order: upTo }) };
  }
  return { user, stanza: readReceiptStanza({ to: user, device: numberOfKey(key), id: upTo }) };
}

function isShared(audience: Audience, user: string, services: ReadReceiptServices): boolean {
  return !services.isStranger(user) && isIncluded(audience, user, services);
}

/** What the person here has chosen, whether or not somebody is a stranger. */
function isIncluded(audience: Audience, user: string, { isContact }: ReadReceiptServices): boolean {
  return audience === 'everyone' || (audience === 'contacts' && isContact(user));
}

/**
 * Healing: what could not be decrypted is asked for once more, and sent once more to whoever it was meant for.
 *
 *   receiver                                              sender
 *   placeholder, and a note of it, in one commit
 *   closes the session, begins a fresh one ──retry──▶     adopts the session; looks up what it kept
 *   fills the placeholder                  ◀──resent──    under the fresh session, once
 *
 * Both travel as contents of ordinary messages: encrypted, authenticated, in the outbox until they are acknowledged. So a
 * server can neither ask for a message nor answer for one; all it can do by spoiling ciphertexts is to make two devices
 * begin a session, as often as the limits here allow. A stranger is asked for nothing: it would tell them that they were
 * delivered, and count as an answer that nobody has given. Once accepted, they are.
 *
 * Kept for it (`kept/…`): what was sent, for the newest `keptCountMax` messages of a conversation and two weeks, with the
 * identity keys of the devices that it was encrypted for. Only such a device gets it again, so that somebody who registers
 * the number anew does not collect the past. Not kept: what may be viewed once, receipts, and what heals itself; deleting for
 * everyone deletes it here, and so does the timer.
 */

import { encodeOutgoing } from './content.ts';
import type { Conversation } from './conversation.ts';
import type { Clock } from './environment.ts';
import type { ErrorCode } from './errors.ts';
import { isSameKey } from './public-keys.ts';
import type { Journal } from './journal.ts';
import { KEPT, KEYS, numberOfKey, RETRY, userOfKey } from './layout.ts';
import type { KeptRecord, RetryRecord } from './layout.ts';
import { LIMITS } from './limits.ts';
import type { Locks } from './locks.ts';
import { scan } from './renewal.ts';
import type { Sessions } from './sessions.ts';
import type { Strangers } from './strangers.ts';

/** Codes of messages that may open when they are encrypted anew. Of other ones the sender is at fault, or nobody is. */
const HEALABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SIG_BAD_MAC',
  'SIG_NO_SESSION',
  'SIG_UNKNOWN_PREKEY',
  'SIG_TOO_FAR',
  'SIG_DOWNGRADE',
  'SIG_LOCAL_IDENTITY_CHANGED',
]);

/** Whether asking for a message once more makes sense. */
export function isHealable(code: ErrorCode): boolean {
  return HEALABLE.has(code);
}

/** A peer's device could not read some messages of ours. */
export interface RetryRequest {
  readonly user: string;
  readonly device: number;
  /** What authenticated the request, 33 bytes. */
  readonly identityKey: Uint8Array;
  readonly numbers: readonly number[];
}

/** What healing needs of its client. */
export interface HealerServices {
  readonly journal: Journal;
  readonly locks: Locks;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly conversation: (user: string) => Conversation;
  readonly strangers: () => Pick<Strangers, 'isAdmitted'>;
  /** Something failed that will be tried again. */
  readonly fail: (error: unknown) => void;
}

interface Unread {
  readonly key: string;
  readonly device: number;
  readonly number: number;
  readonly record: RetryRecord;
}

/** Asks for what could not be read, and answers those who ask. */
export class Healer {
  readonly #services: HealerServices;
  /**
   * When each peer may be asked again, monotonic milliseconds, and how often it was asked in this run: the pause doubles, so that
   * two devices whose every session is spoiled do not go on asking each other.
   */
  readonly #pauses = new Map<string, { readonly untilMs: number; readonly count: number }>();
  #timer: unknown;
  #isAsking = false;
  #isStale = false;
  #isClosed = false;

  constructor(services: HealerServices) {
    this.#services = services;
  }

  /** Asks for what is due, now and later. Called at each login, whenever a placeholder was stored, and when somebody was accepted. */
  tend(): void {
    this.#isStale = true;
    if (this.#isAsking || this.#isClosed) return;
    this.#isAsking = true;
    this.#isStale = false;
    this.#ask()
      .catch((error: unknown) => this.#services.fail(error))
      .finally(() => {
        this.#isAsking = false;
        if (this.#isStale) this.tend();
      });
  }

  close(): void {
    this.#isClosed = true;
    this.#services.clock.clearTimer(this.#timer);
  }

  async #ask(): Promise<void> {
    const { clock } = this.#services;
    const due = new Map<string, Unread[]>();
    let isWaiting = false;
    for await (const { key, value } of scan(this.#services.journal, KEYS.retries)) {
      const record = RETRY.decode(value);
      const user = userOfKey(key);
      if (record.tries >= LIMITS.retryTryCountMax || !this.#services.strangers().isAdmitted(user)) continue;
      isWaiting = true;
      if (!this.#isDue(user, record)) continue;
      const unread = { key, device: deviceOfKey(key), number: numberOfKey(key), record };
      due.set(user, [...(due.get(user) ?? []), unread]);
    }
    // A conversation in which nothing can be sent is no reason to leave others unhealed, now or later.
    for (const [user, unread] of due) await this.#askUser(user, unread).catch(this.#services.fail);
    if (!isWaiting || this.#isClosed) return;
    clock.clearTimer(this.#timer);
    this.#timer = clock.setTimer(LIMITS.retryPauseMs, () => this.tend());
  }

  #isDue(user: string, { tries, askedAt }: RetryRecord): boolean {
    const { clock } = this.#services;
    if (clock.monotonicMs() < (this.#pauses.get(user)?.untilMs ?? 0)) return false;
    return tries === 0 || clock.nowMs() - askedAt >= LIMITS.retryPauseMs;
  }

  /** One request for the messages of one device; those of other devices have their turn after the pause. */
  async #askUser(user: string, unread: readonly Unread[]): Promise<void> {
    const { journal, locks, sessions, clock, conversation } = this.#services;
    const { device } = unread[0]!;
    const asked = unread.filter((each) => each.device === device).slice(0, LIMITS.retryNumberCountMax);
    const count = this.#pauses.get(user)?.count ?? 0;
    this.#pauses.set(user, {
      untilMs: clock.monotonicMs() + LIMITS.retryPauseMs * 2 ** Math.min(count, 10),
      count: count + 1,
    });
    // The session that failed is closed, so that the request begins a fresh one, and the answer comes in it.
    await locks.run([user], async () => {
      const transaction = journal.begin();
      await sessions.close(transaction, user, device);
      await journal.commit(transaction);
    });
    const numbers = asked.map(({ number }) => number);
    const body = { kind: 'retry', device, code: asked[0]!.record.code, numbers } as const;
    await conversation(user).enqueue({ body, isViewOnce: false });
    const transaction = journal.begin();
    for (const { key, record } of asked) {
      transaction.put(key, RETRY.encode({ ...record, tries: record.tries + 1, askedAt: clock.nowMs() }));
    }
    await journal.commit(transaction, 'eventual');
  }

  /** Sends again what a device could not read, as far as it was kept for that very device. */
  async answer({ user, device, identityKey, numbers }: RetryRequest): Promise<void> {
    const { journal, conversation } = this.#services;
    for (const number of numbers) {
      const bytes = await journal.get(KEYS.kept(user, number));
      const kept = bytes && KEPT.decode(bytes);
      if (kept === undefined || !this.#mayResend(kept, device, identityKey)) continue;
      const body = { kind: 'resent', number, sentAt: kept.sentAt, content: encodeOutgoing(kept.content) } as const;
      await conversation(user).enqueue({ body, isViewOnce: false });
      const transaction = journal.begin();
      transaction.delete(KEYS.kept(user, number));
      await journal.commit(transaction, 'eventual');
    }
  }

  #mayResend({ sentAt, content, recipients }: KeptRecord, device: number, identityKey: Uint8Array): boolean {
    const ageMs = this.#services.clock.nowMs() - sentAt;
    const lifeMs = content.timerSeconds === 0 ? LIMITS.keptAgeMsMax : content.timerSeconds * 1_000;
    const isMeant = recipients.some((each) => each.device === device && isSameKey(each.identityKey, identityKey));
    return isMeant && ageMs < Math.min(lifeMs, LIMITS.keptAgeMsMax);
  }

  /** Forgets what was kept too long. Once a start. */
  async sweep(): Promise<void> {
    const { journal, clock } = this.#services;
    const transaction = journal.begin();
    for await (const { key, value } of scan(journal, KEYS.keptAll)) {
      const { sentAt, content } = KEPT.decode(value);
      const timerMs = content.timerSeconds === 0 ? Infinity : content.timerSeconds * 1_000;
      if (clock.nowMs() - sentAt >= Math.min(timerMs, LIMITS.keptAgeMsMax)) transaction.delete(key);
    }
    await journal.commit(transaction, 'eventual');
  }
}

/** The device within `retry/<user>/<device>/<number>`. */
function deviceOfKey(key: string): number {
  return Number(key.split('/')[2]);
}

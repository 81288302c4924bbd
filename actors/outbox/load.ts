/**
 * What an outbox and the inbox of the same shard both know: what is in the outbox, and for whom a device has something there. Plain data of one thread.
 *
 * A device counts what is stored for it and what is on its way into the outbox. The inbox adds to the count when it passes a message on, and reads it at a login: a
 * login that is answered later than the message was passed on learns of it, stored or not.
 */

/** Of one shard. */
export interface OutboxLoad {
  /** Messages that are stored or on their way into the store: by sender's device (`senderKey`), by recipient. */
  readonly waiting: Map<string, Map<string, number>>;
  /** Messages that are stored, and their bytes. */
  count: number;
  bytes: number;
  /** When the oldest of them was taken, milliseconds of wall time; 0 for none. */
  oldestMs: number;
  /** When the store was last put in doubt, milliseconds of wall time; 0 for never. */
  doubtedMs: number;
}

export function noOutboxLoad(): OutboxLoad {
  return { waiting: new Map(), count: 0, bytes: 0, oldestMs: 0, doubtedMs: 0 };
}

/** A message is on its way into the outbox, or found there. */
export function noteWaiting({ waiting }: OutboxLoad, senderKey: string, to: string): void {
  let recipients = waiting.get(senderKey);
  if (recipients === undefined) waiting.set(senderKey, (recipients = new Map()));
  recipients.set(to, (recipients.get(to) ?? 0) + 1);
}

/** `count` of them are not any more: refused, known already, or gone on. */
export function noteGone({ waiting }: OutboxLoad, senderKey: string, to: string, count: number): void {
  const recipients = waiting.get(senderKey);
  if (recipients === undefined) return;
  const left = (recipients.get(to) ?? 0) - count;
  if (left > 0) return void recipients.set(to, left);
  recipients.delete(to);
  if (recipients.size === 0) waiting.delete(senderKey);
}

/** What is counted of one device for one recipient. */
export interface Counted {
  readonly senderKey: string;
  readonly to: string;
  readonly count: number;
}

/** What is counted so far. */
export function countsOf({ waiting }: OutboxLoad): readonly Counted[] {
  return [...waiting].flatMap(([senderKey, recipients]) =>
    [...recipients].map(([to, count]) => ({ senderKey, to, count })),
  );
}

export function waitsFor({ waiting }: OutboxLoad, senderKey: string, to: string): boolean {
  return waiting.get(senderKey)?.has(to) === true;
}

/** Whom a device has something for; `undefined` for nobody. */
export function detoursOf({ waiting }: OutboxLoad, senderKey: string): readonly string[] | undefined {
  const recipients = waiting.get(senderKey);
  return recipients && [...recipients.keys()];
}

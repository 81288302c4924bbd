/**
 * What an account does about others and about itself, at the server: blocks and acceptances, strangers, reports, quotas, push.
 *
 * The server keeps it, so it holds on every device and while none is there; of decisions about others there is a copy here (`strangers.ts`). What it means is said in
 * docs/protocol.md, "Protection". Each call waits for a connection.
 */

import type { Limit, PushTarget, Relation, RelationState, StrangersPolicy } from '../protocol/wire/index.ts';
import { LIMITS as WIRE_LIMITS } from '../protocol/wire/index.ts';
import type { Directory } from './directory.ts';
import { ClientError } from './errors.ts';
import { idOfOrdinal, type History } from './history.ts';
import type { Requests } from './requests.ts';
import type { Standing, Strangers } from './strangers.ts';

export type { Limit, PushTarget, Relation, StrangersPolicy };

export interface ProtectionServices {
  readonly requests: Requests;
  readonly directory: Directory;
  readonly history: History;
  readonly strangers: () => Strangers;
}

/** What this device is registered for, and what a browser subscribes with. */
export interface PushInfo {
  readonly platform: PushTarget['platform'];
  /** The server's key, 65 bytes: `applicationServerKey` of a subscription. Undefined where it sends no Web Push. */
  readonly key: Uint8Array | undefined;
}

/** Of one account. */
export class Protection {
  readonly #services: ProtectionServices;

  constructor(services: ProtectionServices) {
    this.#services = services;
  }

  /**
   * What somebody is to this account, as this device knows it: also without a connection.
   *
   * @param peer - A user id, or a phone number that was looked up before; `open` for any other.
   */
  async standing(peer: string): Promise<Standing> {
    const user = await this.#services.directory.resolveLocally(peer);
    return user === undefined ? 'open' : this.#services.strangers().standingOf(user);
  }

  /** Drops what a peer sends from now on. The peer is not told, and sees what it would see of somebody who is away. */
  async block(peer: string): Promise<void> {
    await this.#decide(peer, 'blocked');
  }

  /** Takes a block back, or an acceptance. Whom this account has written to is no stranger after a block. */
  async unblock(peer: string): Promise<void> {
    const user = await this.#services.directory.resolve(peer);
    await this.#services.strangers().release(user);
  }

  /**
   * Lets a stranger write, where strangers have to ask; answering them does it, too. They learn what was read until then, if
   * read receipts are exchanged with them, and from then on what is delivered and read.
   *
   * @throws {ClientError} APP_RELATIONS_FULL; as `Client.resolve`.
   */
  async accept(peer: string): Promise<void> {
    await this.#decide(peer, 'accepted');
  }

  /** Everybody about whom this account has decided, and strangers who wait. By user id. */
  async relations(): Promise<Relation[]> {
    return this.#services.strangers().list();
  }

  /** What strangers may do. */
  async strangers(): Promise<StrangersPolicy> {
    return (await this.#services.requests.askUntilAnswered({ kind: 'strangers' }, 'strangers')).policy;
  }

  /**
   * Says what strangers may do from now on. Under `ask` they have five messages and get no receipts until they are accepted. Whom this
   * account has written to is accepted with it, whom it writes to later then, and who writes in its groups, unless a stranger
   * brought it there.
   */
  async setStrangers(policy: StrangersPolicy): Promise<void> {
    await this.#services.strangers().choose(policy);
  }

  /**
   * Reports a received message to the operator: who sent it from which device under which number, and what else is given.
   *
   * The server confirms from its own records that there was such a message. What it said it cannot confirm: `evidence` is the word of
   * this account, unless it holds something that the sender signed.
   *
   * @param id - The message's `id`.
   * @param evidence - At most 8,192 bytes. Borrowed until this resolves.
   * @throws {ClientError} CLI_MESSAGE_UNKNOWN; APP_UNKNOWN_MESSAGE; APP_RATE_LIMITED with `retryAfterMs`.
   */
  async report(peer: string, id: string, evidence?: Uint8Array): Promise<void> {
    const { directory, history, requests } = this.#services;
    if (evidence !== undefined && (evidence.length === 0 || evidence.length > WIRE_LIMITS.reportBytesMax)) {
      throw new RangeError(`"evidence" expected 1 to ${WIRE_LIMITS.reportBytesMax} bytes, got ${evidence.length}`);
    }
    const user = await directory.resolve(peer);
    const ordinal = ordinalOf(id);
    const record = ordinal === undefined ? undefined : await history.get(user, ordinal);
    if (record === undefined || record.direction !== 'in') throw new ClientError('CLI_MESSAGE_UNKNOWN');
    const { device, number } = record;
    await requests.askUntilAnswered({ kind: 'report', user, device, id: number, evidence }, 'report');
  }

  /** What is left of each quota. Asking costs a request. */
  async limits(): Promise<readonly Limit[]> {
    return (await this.#services.requests.askUntilAnswered({ kind: 'limits' }, 'limits')).limits;
  }

  /** What this device is registered for. */
  async push(): Promise<PushInfo> {
    const { platform, key } = await this.#services.requests.askUntilAnswered({ kind: 'push' }, 'push');
    return { platform, key };
  }

  /** Has this device woken in this way when something waits for it; `none`: no more. @throws {ClientError} APP_BAD_PUSH. */
  async setPush(target: PushTarget): Promise<void> {
    await this.#services.requests.askUntilAnswered({ kind: 'push-change', target }, 'push');
  }

  async #decide(peer: string, state: RelationState): Promise<void> {
    const user = await this.#services.directory.resolve(peer);
    await this.#services.strangers().decide(user, state);
  }
}

/** The place in the history that a message's id names. */
function ordinalOf(id: string): number | undefined {
  const ordinal = Number(id);
  return Number.isSafeInteger(ordinal) && ordinal > 0 && idOfOrdinal(ordinal) === id ? ordinal : undefined;
}

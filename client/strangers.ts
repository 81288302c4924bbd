/**
 * Strangers: whose messages are requests, and what they learn before somebody here has decided about them.
 *
 *   policy   who was not accepted …
 *   open     writes like anybody; nobody is a stranger
 *   ask      has a few messages, and is told of no delivery and no reading until accepted
 *
 * Accepted is whom the person here accepts, or writes to, on any device; and who writes in a group into which somebody accepted has brought
 * us, for keys of the group come in a conversation of two. The server keeps the decisions and holds strangers to their bound; what stands here
 * is this device's copy, so that it is known without a connection. It is renewed at each login, and when another device says that it has decided;
 * that it has said so is kept until the server has been asked.
 *
 * What the server is asked about one user goes in turns: an acceptance that was owed does not follow a block that came after it.
 *
 *   key                    record
 *   standing/<user>        `accepted` or `blocked`
 *   standing-owed/<user>   nothing: the server has not heard it yet
 *   strangers              the policy, as the server said it last
 *   strangers-wish         the policy that the server is still to be told
 *   strangers-told         nothing: another device has decided, and the server has not been asked since
 */

import type { Relation, RelationState, StrangersPolicy } from '../protocol/wire/index.ts';
import { ClientError } from './errors.ts';
import type { ClientEvent } from './events.ts';
import { groupOfName } from './group-layout.ts';
import type { History } from './history.ts';
import type { Journal, Transaction } from './journal.ts';
import { TEXT } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { Locks } from './locks.ts';
import { scan } from './renewal.ts';
import { isPassing } from './requests.ts';
import type { Requests } from './requests.ts';

/** The keys of this file's records. */
export const STRANGER_KEYS = {
  standing: (user: string): string => `standing/${user}`,
  standings: 'standing/',
  owed: (user: string): string => `standing-owed/${user}`,
  owedAll: 'standing-owed/',
  policy: 'strangers',
  wish: 'strangers-wish',
  told: 'strangers-told',
} as const;

/** What somebody is to this account. `request`: a stranger, who waits for a decision. `open`: nothing was decided, and need not be. */
export type Standing = 'open' | 'request' | 'accepted' | 'blocked';

type Decision = 'accepted' | 'blocked';

/** What this needs of its engine. */
export interface StrangersServices {
  readonly self: string;
  readonly journal: Journal;
  readonly history: History;
  readonly requests: Requests;
  /** Notes what the account's other devices are to hear, in the transaction of it. @param user - Empty: about strangers in general. */
  readonly noteDecided: (transaction: Transaction, user: string) => void;
  readonly emit: (event: ClientEvent) => void;
  /** The server knows by now that these were accepted, here or on another device: it passes on what they may learn. */
  readonly accepted: (users: ReadonlySet<string>) => void;
  /** Something failed that will be tried again. */
  readonly fail: (error: unknown) => void;
}

/** The decisions of one account about others, as this device knows them. */
export class Strangers {
  readonly #services: StrangersServices;
  readonly #decisions = new Map<string, Decision>();
  readonly #announced = new Set<string>();
  /** For each user, one question to the server at a time. */
  readonly #turns = new Locks();
  /** For each list that the server is being asked for: about whom something was decided meanwhile. */
  readonly #overtaken = new Set<Set<string>>();
  #policy: StrangersPolicy = 'open';
  #paying: Promise<void> | undefined;
  /** Something may be owed that the present payment has passed by. */
  #isOwing = false;
  #renewing: Promise<void> | undefined;
  /** The copy may be older than what was decided on another device. */
  #isStale = false;
  /** How often another device has told of a decision in this run. */
  #toldCount = 0;

  private constructor(services: StrangersServices) {
    this.#services = services;
  }

  static async open(services: StrangersServices): Promise<Strangers> {
    const { journal } = services;
    const strangers = new Strangers(services);
    const stored = await journal.get(STRANGER_KEYS.policy);
    if (stored !== undefined) strangers.#policy = TEXT.decode(stored) as StrangersPolicy;
    for await (const { key, value } of scan(journal, STRANGER_KEYS.standings)) {
      strangers.#decisions.set(key.slice(STRANGER_KEYS.standings.length), TEXT.decode(value) as Decision);
    }
    return strangers;
  }

  standingOf(user: string): Standing {
    const decision = this.#decisions.get(user);
    if (decision !== undefined) return decision;
    const isPerson = user !== this.#services.self && groupOfName(user) === undefined;
    return this.#policy === 'ask' && isPerson ? 'request' : 'open';
  }

  /** Whether a user learns nothing yet: neither what was read nor, from the server, what was delivered. */
  isStranger(user: string): boolean {
    return this.standingOf(user) === 'request';
  }

  /** Whether a user may learn something without the person here doing it: neither a stranger nor blocked. */
  isAdmitted(user: string): boolean {
    const standing = this.standingOf(user);
    return standing === 'accepted' || standing === 'open';
  }

  /** A message of a user has come: told once in a run, where it is a request. */
  heard(user: string): void {
    if (!this.isStranger(user) || this.#announced.has(user)) return;
    this.#announced.add(user);
    this.#services.emit({ type: 'message-request', user });
  }

  /** Logged in: the server hears what it has not heard, and says what was decided on other devices. */
  async opened(): Promise<void> {
    await this.#grantWish();
    await this.#pay();
    await this.renew();
  }

  /** Another device has decided something: the server is asked what, by `renew` or at the next login, whatever comes between. */
  noteTold(transaction: Transaction): void {
    this.#toldCount += 1;
    transaction.put(STRANGER_KEYS.told, new Uint8Array(0));
  }

  /** Asks the server what the account has decided, once for all who ask meanwhile. */
  renew(): Promise<void> {
    this.#isStale = true;
    return (this.#renewing ??= this.#renewAll());
  }

  async #renewAll(): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        await this.#renewOnce();
      }
    } finally {
      this.#renewing = undefined;
    }
  }

  /** An account that has never decided anything has no list to be asked for. */
  async #renewOnce(): Promise<void> {
    const { journal, requests } = this.#services;
    const toldCount = this.#toldCount;
    const { policy } = await requests.askPatiently({ kind: 'strangers' }, 'strangers');
    await this.#setPolicy(policy);
    const isTold = (await journal.get(STRANGER_KEYS.told)) !== undefined;
    if (policy === 'ask' || isTold || this.#decisions.size > 0) await this.#adopt();
    // What was told meanwhile may be newer than the list.
    if (!isTold || toldCount !== this.#toldCount) return;
    const transaction = journal.begin();
    transaction.delete(STRANGER_KEYS.told);
    await journal.commit(transaction, 'eventual');
  }

  /** Everybody about whom the account has decided, and strangers who wait: the server's word. */
  async list(): Promise<Relation[]> {
    const relations: Relation[] = [];
    let after: string | undefined;
    do {
      const page = await this.#services.requests.askUntilAnswered({ kind: 'relations', after }, 'relations');
      relations.push(...page.relations);
      // A page that does not go on would be asked for again and again.
      if (page.next !== undefined && page.next <= (after ?? '')) throw new ClientError('CLI_PROTOCOL');
      after = page.next;
    } while (after !== undefined);
    return relations;
  }

  /** Decides about a user: holds once the server says so. */
  async decide(user: string, state: RelationState): Promise<void> {
    await this.#turns.run([user], async () => {
      await this.#services.requests.askUntilAnswered({ kind: 'relation', user, state }, 'relation');
      await this.#note(user, state === 'none' ? undefined : state, false);
    });
    if (state === 'accepted') this.#services.accepted(new Set([user]));
  }

  /** Takes a decision back. Whom the person here has written to is no stranger after a block. */
  async release(user: string): Promise<void> {
    const wasBlocked = this.#policy === 'ask' && this.#decisions.get(user) === 'blocked';
    await this.decide(user, wasBlocked && (await this.#hasWrittenTo(user)) ? 'accepted' : 'none');
  }

  /** The person here writes to a user, or a group needs it: that accepts a stranger, also without a connection. */
  async meet(user: string): Promise<void> {
    if (!this.isStranger(user)) return;
    await this.#note(user, 'accepted', true);
    void this.#pay().catch((error: unknown) => isPassing(error) || this.#services.fail(error));
  }

  /** Another device of the account has written to a user: it has accepted them as well. */
  noteMet(transaction: Transaction, user: string): void {
    if (!this.isStranger(user)) return;
    this.#set(user, 'accepted');
    transaction.put(STRANGER_KEYS.standing(user), TEXT.encode('accepted'));
  }

  /** Chooses what strangers may do. Whom this account has written to is accepted before they would become strangers. */
  async choose(policy: StrangersPolicy): Promise<void> {
    if (policy === 'ask' && this.#policy === 'open') {
      for (const user of await this.#writtenTo()) {
        if (!this.#decisions.has(user)) await this.#note(user, 'accepted', true);
      }
      await this.#pay();
    }
    await this.#services.requests.askUntilAnswered({ kind: 'strangers-change', policy }, 'strangers');
    await this.#setPolicy(policy, true);
  }

  async #writtenTo(): Promise<string[]> {
    const users: string[] = [];
    for (const peer of await this.#services.history.peers()) {
      if (groupOfName(peer) === undefined && (await this.#hasWrittenTo(peer))) users.push(peer);
    }
    return users;
  }

  /** Whether the person here has written to a user, as far as the latest messages show. */
  async #hasWrittenTo(user: string): Promise<boolean> {
    const marks = { sentId: 0, deliveredId: 0, readId: 0 };
    const items = await this.#services.history.list(user, { limit: LIMITS.scanCountMax }, marks);
    return items.some(({ direction }) => direction === 'out');
  }

  /** What was chosen for an account before its first login. */
  async #grantWish(): Promise<void> {
    const { journal } = this.#services;
    const wish = await journal.get(STRANGER_KEYS.wish);
    if (wish === undefined) return;
    await this.choose(TEXT.decode(wish) as StrangersPolicy);
    const transaction = journal.begin();
    transaction.delete(STRANGER_KEYS.wish);
    await journal.commit(transaction);
  }

  /** @param isChosen - Chosen here: the other devices are to hear of it. */
  async #setPolicy(policy: StrangersPolicy, isChosen: boolean = false): Promise<void> {
    if (policy === this.#policy) return;
    const { journal } = this.#services;
    this.#policy = policy;
    const transaction = journal.begin();
    transaction.put(STRANGER_KEYS.policy, TEXT.encode(policy));
    if (isChosen) this.#services.noteDecided(transaction, '');
    await journal.commit(transaction);
  }

  async #note(user: string, decision: Decision | undefined, isOwed: boolean): Promise<void> {
    const { journal, emit } = this.#services;
    const transaction = journal.begin();
    putDecision(transaction, user, decision);
    if (isOwed) transaction.put(STRANGER_KEYS.owed(user), new Uint8Array(0));
    else {
      transaction.delete(STRANGER_KEYS.owed(user));
      this.#services.noteDecided(transaction, user);
    }
    this.#set(user, decision);
    await journal.commit(transaction);
    emit({ type: 'standing', user, standing: this.standingOf(user) });
  }

  #set(user: string, decision: Decision | undefined): void {
    for (const overtaken of this.#overtaken) overtaken.add(user);
    if (decision === undefined) this.#decisions.delete(user);
    else this.#decisions.set(user, decision);
  }

  /** Tells the server what it has not heard; resolves when nothing is owed any more, of what became owed meanwhile either. */
  #pay(): Promise<void> {
    this.#isOwing = true;
    return (this.#paying ??= this.#payAll());
  }

  async #payAll(): Promise<void> {
    try {
      while (this.#isOwing) {
        this.#isOwing = false;
        for await (const { key } of scan(this.#services.journal, STRANGER_KEYS.owedAll)) {
          const user = key.slice(STRANGER_KEYS.owedAll.length);
          await this.#turns.run([user], () => this.#payFor(user));
        }
      }
    } finally {
      this.#paying = undefined;
    }
  }

  /** A server that has no room for an acceptance goes on taking that user for a stranger. */
  async #payFor(user: string): Promise<void> {
    const { journal, requests } = this.#services;
    const key = STRANGER_KEYS.owed(user);
    // The page that named it may be old: something else was decided since.
    if ((await journal.get(key)) === undefined) return;
    await requests.askPatiently({ kind: 'relation', user, state: 'accepted' }, 'relation').catch(givingWay);
    const transaction = journal.begin();
    transaction.delete(key);
    this.#services.noteDecided(transaction, user);
    await journal.commit(transaction, 'eventual');
    this.#services.accepted(new Set([user]));
  }

  /** Takes over what the account's devices have decided. What is owed is newer, and so is what was decided while the list was on its way. */
  async #adopt(): Promise<void> {
    const overtaken = new Set<string>();
    this.#overtaken.add(overtaken);
    try {
      const told = decisionsIn(await this.list());
      const differing = await this.#differing(told);
      this.#overtaken.delete(overtaken);
      await this.#takeOver(
        differing.filter((user) => !overtaken.has(user)),
        told,
      );
      this.#services.accepted(
        new Set(
          [...told.keys()].filter((user) => told.get(user) === 'accepted' && this.#decisions.get(user) === 'accepted'),
        ),
      );
    } finally {
      this.#overtaken.delete(overtaken);
    }
  }

  /** About whom the server says something else than this device, and is owed nothing. */
  async #differing(told: ReadonlyMap<string, Decision>): Promise<string[]> {
    const differing: string[] = [];
    for (const user of new Set([...told.keys(), ...this.#decisions.keys()])) {
      const isOwed = (await this.#services.journal.get(STRANGER_KEYS.owed(user))) !== undefined;
      if (!isOwed && told.get(user) !== this.#decisions.get(user)) differing.push(user);
    }
    return differing;
  }

  async #takeOver(users: readonly string[], told: ReadonlyMap<string, Decision>): Promise<void> {
    const { journal, emit } = this.#services;
    const transaction = journal.begin();
    for (const user of users) {
      putDecision(transaction, user, told.get(user));
      this.#set(user, told.get(user));
    }
    await journal.commit(transaction);
    for (const user of users) emit({ type: 'standing', user, standing: this.standingOf(user) });
  }
}

function decisionsIn(relations: readonly Relation[]): Map<string, Decision> {
  const told = new Map<string, Decision>();
  for (const { user, state } of relations) if (state !== 'pending') told.set(user, state);
  return told;
}

function putDecision(transaction: Transaction, user: string, decision: Decision | undefined): void {
  if (decision === undefined) transaction.delete(STRANGER_KEYS.standing(user));
  else transaction.put(STRANGER_KEYS.standing(user), TEXT.encode(decision));
}

function givingWay(error: unknown): void {
  if (!ClientError.is(error, 'APP_RELATIONS_FULL') && !ClientError.is(error, 'APP_UNKNOWN_USER')) throw error;
}

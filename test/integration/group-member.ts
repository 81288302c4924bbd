/**
 * A member of a group, stanza by stanza: keeps what it got as a client would, acknowledges it, sends again what was not
 * acknowledged, and comes back when the server does. Ciphertexts are texts: the server cannot tell.
 */

import { createHash, randomInt } from 'node:crypto';
import {
  applyGroupChange,
  decodeGroupChange,
  draftGroupChange,
  encodeGroupChange,
  FEATURES,
  groupChangeStatement,
  isGroupRefusal,
  type GroupAction,
  type GroupState,
  type ServerMessage,
} from '../../protocol/wire/index.ts';
import { pause } from './people.ts';
import { RawClient, type Registered } from './raw-client.ts';

const TAKE_MS = 2;
const RETRY_MS = 50;

function sha512(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(bytes).digest());
}

/** Something that came in the group: a message, or a change without author and text. */
export interface Row {
  readonly order: number;
  readonly text: string;
}

/** A group and its changes, signed by nobody: whoever sends them keeps the state that they lead to. */
export class GroupPlan {
  readonly group: string = String(randomInt(2 ** 47)).padStart(15, '7');
  state: GroupState | undefined = undefined;

  /** The bytes of the next change. */
  change(author: Registered, ...actions: GroupAction[]): Uint8Array {
    const { user, device } = author;
    const draft = draftGroupChange(this.state, { group: this.group, author: user, device, time: 0, actions }, sha512);
    if (isGroupRefusal(draft)) throw new Error(draft.code);
    const bytes = encodeGroupChange(groupChangeStatement(draft), new Uint8Array(64));
    const change = decodeGroupChange(bytes);
    const next = isGroupRefusal(change) ? change : applyGroupChange(this.state, change, sha512);
    if (isGroupRefusal(next)) throw new Error(next.code);
    this.state = next;
    return bytes;
  }

  get epoch(): number {
    return this.state!.roster.epoch;
  }
}

interface MemberOptions {
  /** What its client understands; groups by default. */
  readonly features?: number;
  /** Whether it knows a message by its author and id too, as clients do, where a server that lost something brings it once more; no by default. */
  readonly knowsIds?: boolean;
}

export class Member {
  readonly who: Registered;
  readonly plan: GroupPlan;
  readonly features: number;
  readonly rows: Row[] = [];
  /** Texts by message id. */
  readonly sent: string[] = [];
  readonly refusals: Extract<ServerMessage, { kind: 'group-error' }>[] = [];
  /** Words of places that are lost. */
  readonly losses: Extract<ServerMessage, { kind: 'group-pruned' }>[] = [];
  /** Highest acknowledged id. */
  acknowledged = 0;
  client: RawClient | undefined = undefined;
  /** Positions of the inbox that it has. */
  readonly #seen = new Set<number>();
  readonly #knowsIds: boolean;
  /** The last id that came of each author. */
  readonly #heard = new Map<string, number>();
  #running = true;
  #isAway = false;

  constructor(who: Registered, plan: GroupPlan, { features = FEATURES.groups, knowsIds = false }: MemberOptions = {}) {
    this.who = who;
    this.plan = plan;
    this.features = features;
    this.#knowsIds = knowsIds;
  }

  /** Connects to the server that `url` names at each try, and again when the connection is lost. */
  async run(url: () => string): Promise<void> {
    while (this.#running) {
      if (this.#isAway) {
        await pause(RETRY_MS);
        continue;
      }
      const client = new RawClient(url());
      client.socket.on('error', () => undefined);
      await this.#live(client).catch(() => undefined);
      client.close();
      this.client = undefined;
      await pause(RETRY_MS);
    }
  }

  /** Leaves its device to somebody else until `job` is done: who came back in between would put the other one out. */
  async away<T>(job: () => Promise<T>): Promise<T> {
    this.#isAway = true;
    this.client?.close();
    try {
      return await job();
    } finally {
      this.#isAway = false;
    }
  }

  stop(): void {
    this.#running = false;
    this.client?.close();
  }

  async #live(client: RawClient): Promise<void> {
    const answer = await client.login(this.who, this.features);
    if (answer.kind === 'failure') throw new Error(answer.code);
    this.client = client;
    let isClosed = false;
    void client.closed.then(() => (isClosed = true));
    for (let id = this.acknowledged + 1; id <= this.sent.length; id++) this.#send(id);
    while (!isClosed) {
      for (const message of client.inbox.splice(0)) this.#take(message, client);
      await pause(TAKE_MS);
    }
  }

  /** What was stored before is known by its position and acknowledged again. */
  #take(message: ServerMessage, client: RawClient): void {
    if (message.kind === 'group-message' || message.kind === 'group-change' || message.kind === 'group-pruned') {
      if (!this.#seen.has(message.seq)) this.#keep(message);
      this.#seen.add(message.seq);
      client.send({ kind: 'inbox-ack', seq: message.seq });
    } else if (message.kind === 'group-ack') this.acknowledged = Math.max(this.acknowledged, message.id);
    else if (message.kind === 'group-error') this.refusals.push(message);
  }

  #keep(message: Extract<ServerMessage, { kind: 'group-message' | 'group-change' | 'group-pruned' }>): void {
    if (message.kind === 'group-pruned') this.losses.push(message);
    else if (message.kind === 'group-change' || this.#isNews(message)) this.rows.push(rowOf(message));
  }

  #isNews({ from, id }: Extract<ServerMessage, { kind: 'group-message' }>): boolean {
    const isNews = !this.#knowsIds || id > (this.#heard.get(from) ?? 0);
    if (isNews) this.#heard.set(from, id);
    return isNews;
  }

  /** Sends a message; it goes again with each connection until it is acknowledged. */
  say(text: string): void {
    this.sent.push(text);
    if (this.client !== undefined) this.#send(this.sent.length);
  }

  #send(id: number): void {
    const { group, epoch } = this.plan;
    const ciphertext = new TextEncoder().encode(this.sent[id - 1]!);
    this.client?.send({ kind: 'group-message', group, id, epoch, ciphertext });
  }

  get unacknowledged(): number {
    return this.sent.length - this.acknowledged;
  }

  /** For a run that goes wrong. */
  describe(): string {
    const places = [0, ...this.rows.map(({ order }) => order)];
    const jumps = places.flatMap((order, index) => (order === (places[index - 1] ?? -1) + 1 ? [] : [order]));
    const counts = `${this.sent.length} sent, ${this.acknowledged} acknowledged, ${this.rows.length} received`;
    return `${counts}, the last at ${places.at(-1)}, first after a hole: ${jumps.join(' ')}; connected: ${this.client !== undefined}`;
  }

  texts(): string[] {
    return this.rows.map(({ text }) => text);
  }
}

function rowOf(message: Extract<ServerMessage, { kind: 'group-message' | 'group-change' }>): Row {
  const text = message.kind === 'group-change' ? 'change' : new TextDecoder().decode(message.ciphertext);
  return { order: message.order, text };
}

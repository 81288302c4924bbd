/**
 * Two shards under virtual time and one seed: Alice's, with her connections, inbox and outbox, on one worker, and that of those she writes to on another; between them
 * a line that is cut, loses what is under way, and is whole again.
 *
 * The actors are the ones of production, and so is the half of the client that sends (`client/outbox.ts`). What stands in is the world: sockets, disks, routes.
 */

import { randomBytes } from 'node:crypto';
import { Committer } from '../../actors/committer.ts';
import { connection } from '../../actors/connection.ts';
import { inbox } from '../../actors/inbox.ts';
import type { InboxArgs } from '../../actors/inbox/state.ts';
import type { ConnectionMessage, InboxMessage } from '../../actors/messages.ts';
import { outbox } from '../../actors/outbox.ts';
import { noOutboxLoad } from '../../actors/outbox/load.ts';
import type { OutboxArgs } from '../../actors/outbox/state.ts';
import { ResumeTickets } from '../../actors/resume-ticket.ts';
import type { RemoteName } from '../../actors/routes.ts';
import { decodeNotice } from '../../actors/store/loss.ts';
import { MemoryStore } from '../../actors/store/memory.ts';
import { ALICE, FakeSocket, openAdmission } from '../../actors/test-kit.ts';
import { openLane, stepLane, type Lane, type LaneAction, type LaneEvent } from '../../client/outbox.ts';
import {
  clientStanza,
  encodedLength,
  FEATURES,
  LIMITS as WIRE_LIMITS,
  type ServerMessage,
} from '../../protocol/wire/index.ts';
import type { Pid, Random } from '../../runtime/index.ts';
import { createSeededRandom, createTestWorkers, type TestWorkers } from '../../runtime/testing/index.ts';
import { loginOf, registerAll, routesToInboxes } from './users.ts';

/** Those whose shard is elsewhere; the last one's is Alice's own. */
export const FRIENDS: readonly string[] = ['100000000000002', '100000000000003', '100000000000004'];
const NEIGHBOUR = FRIENDS.at(-1)!;
/** No node can have this name. */
const NOWHERE = '-';
const HERE = 'test';

/**
 * What is left out of the real mechanism, to show that the check can fail: `behind`, no login learns what is in the outbox; `unanswered`, connections forget what a shard
 * has not answered; `opens`, every forwarded message may open its row.
 */
export type Plant = 'none' | 'behind' | 'unanswered' | 'opens';

/** A map that looks empty to who asks for its size: so a login learns nothing. */
class Forgetful extends Map<string, Map<string, number>> {
  override get size(): number {
    return 0;
  }
}

/** An inbox that believes every forwarded message to be the first of its row. */
const CREDULOUS: typeof inbox = {
  ...inbox,
  handleCast(message, state, ctx) {
    const isForwarded = message.kind === 'submit' && message.forward !== undefined;
    const believed = isForwarded ? { ...message, forward: { ...message.forward, opens: true } } : message;
    return inbox.handleCast!(believed as InboxMessage, state, ctx);
  },
};

/** A connection that does not know what it has not heard of. */
const FORGETTING: typeof connection = {
  ...connection,
  handleCast(message, state, ctx) {
    state.pending?.runs?.clear();
    return connection.handleCast!(message, state, ctx);
  },
};

/** The sending half of Alice's client: its lanes and the connection that it has. */
class Client {
  readonly lanes: Map<string, Lane> = new Map();
  readonly texts: Map<string, string[]> = new Map();
  readonly #world: DetourWorld;
  readonly #due: Map<string, number> = new Map();
  #socket: FakeSocket | undefined = undefined;
  #read = 0;
  #isOnline = false;
  #comesAtMs = 0;
  readonly problems: string[] = [];
  /** Gaps that it was told. */
  readonly lost: { readonly to: string; readonly since: number; readonly until: number }[] = [];

  constructor(world: DetourWorld) {
    this.#world = world;
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  isDone(): boolean {
    return this.#isOnline && [...this.lanes.values()].every(({ sentId, nextId }) => sentId === nextId - 1);
  }

  write(to: string): void {
    const texts = this.texts.get(to) ?? [];
    this.texts.set(to, texts);
    const lane = this.lanes.get(to) ?? this.#open();
    this.lanes.set(to, lane);
    texts.push(`${to} ${lane.nextId}`);
    this.#step(to, { type: 'queued', lastId: lane.nextId, preparedId: lane.nextId });
  }

  #open(): Lane {
    const lane = openLane({ nextId: 1, sentId: 0, deliveredId: 0, readId: 0 });
    return this.#isOnline ? stepLane(lane, { type: 'online' }).lane : lane;
  }

  /** Ends its connection as a network does; what it has said may be on its way still. */
  breakOff(afterMs: number): void {
    const { nowMs } = this.#world;
    this.#socket = undefined;
    this.#comesAtMs = nowMs + afterMs;
    if (this.#isOnline) for (const to of this.lanes.keys()) this.#step(to, { type: 'offline' });
    this.#isOnline = false;
  }

  /** Reads what came, comes again when it is time, and looks at its timers. */
  async look(): Promise<void> {
    const { nowMs, random } = this.#world;
    if (this.#socket === undefined && nowMs >= this.#comesAtMs) await this.#come();
    this.#readAll();
    if (this.#socket?.closed !== undefined) this.breakOff(random.integer(500));
    for (const [to, dueMs] of [...this.#due]) {
      if (dueMs > nowMs || !this.#due.delete(to)) continue;
      this.#step(to, { type: 'elapsed' });
    }
  }

  async #come(): Promise<void> {
    this.#socket = new FakeSocket();
    this.#read = 0;
    await this.#world.accept(this.#socket);
  }

  #readAll(): void {
    const socket = this.#socket;
    while (socket !== undefined && this.#read < socket.written.length) this.#take(socket.written[this.#read++]!);
  }

  #take(message: ServerMessage): void {
    if (message.kind === 'stream') {
      // Greeted again: nothing that is unanswered will be.
      if (this.#isOnline) for (const to of this.lanes.keys()) this.#step(to, { type: 'offline' });
      this.#isOnline = false;
      this.#world.logIn(this.#socket!, message.nonce);
    } else if (message.kind === 'success') {
      this.#isOnline = true;
      for (const to of this.lanes.keys()) this.#step(to, { type: 'online' });
    } else if (message.kind === 'ack') {
      this.#world.noteAcknowledged(message.to);
      this.#step(message.to, { type: 'acked', id: message.id });
    } else if (message.kind === 'receipt')
      this.#step(message.from, { type: 'receipt', kind: 'delivered', id: message.id });
    else if (message.kind === 'gap') this.lost.push({ to: message.to, since: message.since, until: message.until });
    else if (message.kind === 'error') {
      const { to, id, retryAfter, expected: expectedId, devices = [] } = message;
      const retryAfterMs = retryAfter === undefined ? undefined : retryAfter * 1_000;
      this.#step(to, { type: 'refused', id, code: message.code as never, retryAfterMs, expectedId, devices });
    }
  }

  #step(to: string, event: LaneEvent): void {
    const { lane, actions } = stepLane(this.lanes.get(to)!, event);
    this.lanes.set(to, lane);
    for (const action of actions) this.#act(to, action);
  }

  #act(to: string, action: LaneAction): void {
    const { nowMs, random } = this.#world;
    if (action.type === 'transmit') this.#transmit(to, action.firstId, action.lastId);
    else if (action.type === 'clear-timer') this.#due.delete(to);
    else if (action.type === 'set-timer')
      this.#due.set(to, nowMs + action.delay.floorMs + random.integer(Math.floor(action.delay.spanMs) + 1));
    else if (action.type === 'abandon')
      this.problems.push(`${to}: message ${action.firstId} is given up, ${action.code}`);
  }

  #transmit(to: string, firstId: number, lastId: number): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    for (let id = firstId; id <= lastId; id++) this.#world.carry(socket, to, id, this.texts.get(to)![id - 1]!);
  }
}

export class DetourWorld {
  readonly random: Random;
  readonly client: Client;
  readonly trace: string[] = [];
  /** Check marks that came while the recipient's shard was out of reach. */
  marksInCut: number = 0;
  readonly stores: readonly MemoryStore[] = [new MemoryStore(), new MemoryStore()];
  readonly #workers: TestWorkers;
  readonly #plant: Plant;
  readonly #tickets = new ResumeTickets('11'.repeat(32));
  /** Addresses of both inboxes, as each side has them. */
  readonly #addresses: readonly (readonly { name: string; worker: number; node: string; shard: number }[])[];
  readonly #cutOff = [false, false];
  readonly #committers: Committer[] = [];
  readonly #inboxArgs: InboxArgs[] = [];
  readonly #outboxArgs: OutboxArgs[] = [];
  readonly #admission: ReturnType<typeof openAdmission>;
  /** Frames on their way to connections. */
  #frames: { readonly dueMs: number; readonly socket: FakeSocket; readonly message: object }[] = [];
  #loses = 0;
  /** Connections that wait for the next owner of a shard. */
  #waiting: { readonly shard: number; readonly pid: Pid; readonly dueMs: number }[] = [];

  constructor(seed: number, plant: Plant = 'none') {
    this.random = createSeededRandom(seed);
    this.#plant = plant;
    this.#workers = createTestWorkers(2, { name: HERE, seed });
    this.#workers.network.fateOf = () =>
      this.#loses > 0 && this.random.integer(100) < this.#loses ? 'lost' : 'delivered';
    const row = (): { name: string; worker: number; node: string; shard: number }[] =>
      [0, 1].map((worker) => ({ name: `inbox.${worker}`, worker, node: HERE, shard: worker }));
    this.#addresses = [row(), row()];
    this.#admission = openAdmission(this.#workers.workers[0]!);
    this.client = new Client(this);
  }

  get nowMs(): number {
    return this.#workers.workers[0]!.clock.monotonicMs();
  }

  get wallMs(): number {
    return this.#workers.workers[0]!.clock.nowMs();
  }

  async start(): Promise<void> {
    for (const side of [0, 1]) {
      const users = side === 0 ? [ALICE, NEIGHBOUR] : FRIENDS.filter((user) => user !== NEIGHBOUR);
      await registerAll(users, this.stores[side]!);
      this.#prepare(side);
      this.#spawn(side);
    }
    await this.#workers.settle();
  }

  #inboxOf(side: number): (user: string) => RemoteName {
    return (user) => this.#addresses[side]![user === ALICE || user === NEIGHBOUR ? 0 : 1]!;
  }

  #prepare(side: number): void {
    const store = this.stores[side]!;
    const { node } = this.#workers.workers[side]!;
    const committer = (): Committer => {
      const made = new Committer(
        store,
        (self, message) => void node.cast(self, message),
        () => this.#cutOff[side]!,
      );
      this.#committers.push(made);
      return made;
    };
    const load = { queuedCount: 0, outbox: noOutboxLoad() };
    if (this.#plant === 'behind') Object.assign(load.outbox, { waiting: new Forgetful() });
    const common = { store, queuedBytesMax: 100_000_000, inboxOf: this.#inboxOf(side) };
    const groupsOf = (): RemoteName => ({ name: 'groups', worker: side });
    const own = { name: `outbox.${side}`, worker: side };
    this.#inboxArgs[side] = { ...common, load, groupsOf, outbox: own, wakeups: undefined, committer: committer() };
    this.#outboxArgs[side] = { ...common, load: load.outbox, committer: committer() };
  }

  #spawn(side: number): void {
    const { node } = this.#workers.workers[side]!;
    node.spawn(outbox, this.#outboxArgs[side]!, { name: `outbox.${side}` });
    node.spawn(this.#plant === 'opens' ? CREDULOUS : inbox, this.#inboxArgs[side]!, { name: `inbox.${side}` });
  }

  /** A shard has another owner: its actors end, and begin anew over what is stored. */
  async changeOwner(side: number): Promise<void> {
    const { node } = this.#workers.workers[side]!;
    for (const name of [`outbox.${side}`, `inbox.${side}`]) {
      const pid = node.whereis(name);
      if (pid !== undefined) node.exit(pid, 'kill');
    }
    await this.#workers.settle();
    this.#spawn(side);
    await this.#workers.settle();
  }

  /** Who is on one side does not find the other. */
  cut(isCut: boolean): void {
    const node = isCut ? NOWHERE : HERE;
    this.#addresses[0]![1]!.node = node;
    this.#addresses[1]![0]!.node = node;
    this.#loses = isCut ? 100 : 0;
  }

  get isCut(): boolean {
    return this.#addresses[0]![1]!.node === NOWHERE;
  }

  /** Of a hundred messages between the sides, how many are lost without anybody being told. */
  loseSome(percent: number): void {
    if (!this.isCut) this.#loses = percent;
  }

  /** Whether the log of a shard answers. */
  setCutOff(side: number, isCutOff: boolean): void {
    this.#cutOff[side] = isCutOff;
  }

  noteAcknowledged(to: string): void {
    if (this.isCut && to !== NEIGHBOUR) this.marksInCut++;
  }

  /** A client is at the door, with a ticket. */
  async accept(socket: FakeSocket): Promise<void> {
    const { node } = this.#workers.workers[0]!;
    const challenge = { nonce: new Uint8Array(randomBytes(32)), issuedAtMs: this.nowMs };
    const inboxOf = this.#inboxOf(0);
    const routes = routesToInboxes(inboxOf, (shard, _seat, pid) => this.#waitForOwner(shard, pid));
    const behavior = this.#plant === 'unanswered' ? FORGETTING : connection;
    node.spawn(behavior, { socket, challenge, routes, tickets: this.#tickets, admission: this.#admission });
    await this.#workers.settle();
    this.logIn(socket, challenge.nonce);
  }

  /** The client has been greeted, once or again, and answers with its ticket. */
  logIn(socket: FakeSocket, nonce: Uint8Array): void {
    const features = FEATURES.stagedInbox + (this.random.integer(2) === 0 ? FEATURES.secondGreeting : 0);
    this.#send(socket, loginOf(ALICE, this.#tickets, nonce, this.wallMs, features));
  }

  /** A connection has lost the owner of a shard, and is told what becomes of it. */
  #waitForOwner(shard: number, pid: Pid): void {
    this.#waiting.push({ shard, pid, dueMs: this.nowMs + this.random.integer(1_500) });
  }

  #tellWaiting(): void {
    const due = this.#waiting.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#waiting = this.#waiting.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { shard, pid } of due) {
      const isMissing = (shard === 1 && this.isCut) || this.random.integer(2) === 0;
      const kind = isMissing ? 'shard-missing' : 'shard-served';
      this.#workers.workers[0]!.node.cast(pid, { kind, shard } satisfies ConnectionMessage);
    }
  }

  /** A message is said on `socket`. */
  carry(socket: FakeSocket, to: string, id: number, text: string): void {
    const ciphertext = new TextEncoder().encode(text);
    this.#send(socket, { kind: 'message', to, id, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] });
  }

  /** What is said is on its way for up to 300 ms, behind what was said on that socket before. */
  #send(socket: FakeSocket, message: object): void {
    const before = this.#frames.findLast((frame) => frame.socket === socket)?.dueMs ?? 0;
    const delayMs = this.random.integer(10) === 0 ? this.random.integer(300) : 0;
    this.#frames.push({ dueMs: Math.max(before, this.nowMs + delayMs), socket, message });
  }

  #say(socket: FakeSocket, message: object): void {
    const stanza = clientStanza(message as Parameters<typeof clientStanza>[0]);
    const bytes = encodedLength(stanza) + WIRE_LIMITS.frameHeaderBytes;
    const frames: ConnectionMessage = { kind: 'frames', stanzas: [stanza], bytes };
    const pid: Pid | undefined = socket.pid;
    if (pid !== undefined) this.#workers.workers[0]!.node.cast(pid, frames);
  }

  /** Time passes, for everybody. */
  async run(ms: number, stepMs = 10): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      const due = this.#frames.filter(({ dueMs }) => dueMs <= this.nowMs);
      this.#frames = this.#frames.filter(({ dueMs }) => dueMs > this.nowMs);
      for (const { socket, message } of due) this.#say(socket, message);
      this.#tellWaiting();
      await this.#workers.advance(stepMs);
      await this.client.look();
      await this.#workers.settle();
    }
  }

  /** Everything is whole again. */
  heal(): void {
    this.cut(false);
    this.#cutOff.fill(false);
    for (const store of this.stores) store.releaseCommits();
  }

  /** What a friend has, in the order of his inbox: texts, and holes that he was told of. */
  inboxOf(user: string): string[] {
    const store = this.stores[user === NEIGHBOUR ? 0 : 1]!;
    return store.entries(user, 1, 0, Infinity, Infinity, Infinity).map(({ type, id, ciphertext }) => {
      if (type !== 'pruned') return new TextDecoder().decode(ciphertext);
      const { since, until, code } = decodeNotice(id, ciphertext);
      return `${code} ${since} to ${until}`;
    });
  }

  /** Messages that are in Alice's outbox. */
  get inOutbox(): number {
    return this.stores[0]!.outbox.heads(undefined, Infinity).length;
  }

  /** What is wrong when everything was whole for a while. */
  findFaults(): string[] {
    const faults = [...this.client.problems];
    if (!this.client.isDone()) faults.push('the client still waits for check marks');
    if (this.inOutbox > 0) faults.push(`${this.inOutbox} messages are in the outbox`);
    for (const [to, texts] of this.client.texts) {
      const got = this.inboxOf(to);
      if (got.join('\n') !== texts.join('\n'))
        faults.push(`${to} has ${got.length} of ${texts.length}: ${firstOdd(got, texts)}`);
    }
    return faults;
  }
}

function firstOdd(got: readonly string[], texts: readonly string[]): string {
  const at = texts.findIndex((text, index) => got[index] !== text);
  return at < 0 ? `${got[texts.length]} is too much` : `${got[at]} in place of ${texts[at]}`;
}

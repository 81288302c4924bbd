/**
 * A client that says several messages of a new conversation at once, while the owner of its recipient's shard dies: the routes may name the next owner before the
 * connection hears of the end of the former one, and what is said in between goes to the next one. An acknowledgement covers all before it, so at each of them
 * everything must be stored. Connection and inboxes are the actors of production; the client is none of ours.
 * `SIM_PIPELINED_SEEDS=2000 node dist/test/sim/pipelined.test.js` runs more seeds; `SIM_PIPELINED_FROM=17 SIM_PIPELINED_SEEDS=1` one again.
 */

import t from 'tap';
import { Committer } from '../../actors/committer.ts';
import { connection } from '../../actors/connection.ts';
import { inbox } from '../../actors/inbox.ts';
import type { ConnectionMessage, InboxMessage } from '../../actors/messages.ts';
import { noOutboxLoad } from '../../actors/outbox/load.ts';
import { ResumeTickets } from '../../actors/resume-ticket.ts';
import { MemoryStore } from '../../actors/store/memory.ts';
import { ALICE, FakeSocket, openAdmission } from '../../actors/test-kit.ts';
import { clientStanza, FEATURES, type ClientMessage, type ServerMessage } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import { createSeededRandom, createTestWorkers } from '../../runtime/testing/index.ts';
import { loginOf, registerAll, routesToInboxes } from './users.ts';

const SEED_COUNT = Number(process.env.SIM_PIPELINED_SEEDS ?? 60);
const FROM = Number(process.env.SIM_PIPELINED_FROM ?? 1);
const NODE = 'test';
/** One for each death of an owner: what matters is how a conversation begins. */
const FRIENDS = Array.from({ length: 6 }, (_, index) => String(200_000_000_000_001 + index));
const MESSAGE_COUNT = 12;
const FEATURE_SETS = [FEATURES.stagedInbox, FEATURES.stagedInbox + FEATURES.secondGreeting] as const;

/** An inbox that does not look at what must have come before: the planted fault. */
const CARELESS: typeof inbox = {
  ...inbox,
  handleCast(message, state, ctx) {
    const careless = message.kind === 'submit' ? { ...message, after: 0 } : message;
    return inbox.handleCast!(careless as InboxMessage, state, ctx);
  },
};

/** One conversation as a client sees it that waits for nothing. */
interface Row {
  acked: number;
  next: number;
}

class World {
  readonly faults: string[] = [];
  readonly random;
  readonly #workers;
  readonly #behavior: typeof inbox;
  /** Of Alice's shard, and of that of her friends, which both workers beside hers have as its owners. */
  readonly #stores = [new MemoryStore(), new MemoryStore()] as const;
  readonly #address = { name: 'inbox.1', worker: 1, node: NODE, shard: 1 };
  readonly #own = { name: 'inbox.0', worker: 0, node: NODE, shard: 0 };
  readonly #tickets = new ResumeTickets('11'.repeat(32));
  readonly #admission;
  /** The worker that is dead before anybody knows, and whether it still hears. */
  #dying: { readonly worker: number; hears: boolean } | undefined = undefined;
  readonly #owners: Pid[] = [];
  #events: { readonly dueMs: number; readonly run: () => void }[] = [];
  #socket: FakeSocket | undefined = undefined;
  #readCount = 0;
  #isIn = false;
  readonly rows: Map<string, Row> = new Map();
  logins = 0;

  constructor(seed: number, behavior: typeof inbox) {
    this.random = createSeededRandom(seed);
    this.#behavior = behavior;
    this.#workers = createTestWorkers(3, { name: NODE, seed });
    this.#admission = openAdmission(this.#workers.workers[0]!);
    this.#workers.network.fateOf = (from, to) => {
      const dying = this.#dying;
      return dying !== undefined && (from === dying.worker || (to === dying.worker && !dying.hears))
        ? 'lost'
        : 'delivered';
    };
  }

  async start(): Promise<void> {
    await registerAll([ALICE], this.#stores[0]);
    await registerAll(FRIENDS, this.#stores[1]);
    this.#serve(0, 0);
    this.#owners.push(this.#serve(1, 1));
    await this.#workers.settle();
  }

  get #nowMs(): number {
    return this.#workers.workers[0]!.clock.monotonicMs();
  }

  #serve(shard: 0 | 1, worker: number): Pid {
    const { node } = this.#workers.workers[worker]!;
    const store = this.#stores[shard];
    const args = {
      store,
      load: { queuedCount: 0, outbox: noOutboxLoad() },
      wakeups: undefined,
      queuedBytesMax: 1_000_000,
      inboxOf: (user: string) => (user === ALICE ? this.#own : this.#address),
      groupsOf: () => ({ name: 'groups', worker }),
      committer: new Committer(store, (self, message) => void node.cast(self, message)),
    };
    return node.spawn(this.#behavior, args, { name: `inbox.${shard}` });
  }

  #later(ms: number, run: () => void): void {
    this.#events.push({ dueMs: this.#nowMs + this.random.integer(ms + 1), run });
  }

  /** The owner dies and another one serves; who hears of which first is drawn. */
  async takeOver(): Promise<void> {
    const { worker } = this.#address;
    // What it has taken may be stored, and nobody is told.
    this.#dying = { worker, hears: this.random.integer(2) === 0 };
    await this.run(this.random.integer(40));
    this.#dying.hears = false;
    await this.run(this.random.integer(40) + 10);
    const next = 3 - worker;
    const former = this.#owners.pop()!;
    this.#owners.push(this.#serve(1, next));
    let left = 2;
    const done = (): void => void (--left === 0 && (this.#dying = undefined));
    this.#later(100, () => {
      this.#address.worker = next;
      done();
    });
    this.#later(100, () => {
      this.#workers.workers[worker]!.node.exit(former, 'kill');
      done();
    });
    await this.run(150);
  }

  /** Time passes; Alice's client says what it has to say and reads what it is told. */
  async run(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 10) {
      const due = this.#events.filter(({ dueMs }) => dueMs <= this.#nowMs);
      this.#events = this.#events.filter(({ dueMs }) => dueMs > this.#nowMs);
      for (const { run } of due) run();
      await this.#come();
      await this.#read();
      await this.#speak();
      await this.#workers.advance(10);
    }
  }

  async #come(): Promise<void> {
    if (this.#socket !== undefined && this.#socket.closed === undefined) return;
    const socket = new FakeSocket();
    this.#socket = socket;
    this.#readCount = 0;
    this.#isIn = false;
    const routes = routesToInboxes(
      (user) => (user === ALICE ? this.#own : this.#address),
      (shard, _seat, pid) => this.#later(200, () => this.#tellServed(shard, pid)),
    );
    const { node } = this.#workers.workers[0]!;
    const args = { socket, routes, tickets: this.#tickets, admission: this.#admission };
    node.spawn(connection, { ...args, challenge: { ...socket.greet(), issuedAtMs: this.#nowMs } });
    await this.#workers.settle();
  }

  #tellServed(shard: number, pid: Pid): void {
    this.#workers.workers[0]!.node.cast(pid, { kind: 'shard-served', shard } satisfies ConnectionMessage);
  }

  /** It reads some of what is there, so that it speaks on behind a refusal and a greeting that it does not know of. */
  async #read(): Promise<void> {
    for (let count = this.random.integer(8); count > 0; count--) {
      const message = this.#socket!.written[this.#readCount];
      if (message === undefined) return;
      this.#readCount++;
      this.#take(message);
      await this.#workers.settle();
    }
  }

  #take(message: ServerMessage): void {
    if (message.kind === 'stream') {
      this.#isIn = false;
      this.logins++;
      const features = FEATURE_SETS[this.random.integer(2)]!;
      const wallMs = this.#workers.workers[0]!.clock.nowMs();
      this.#say(loginOf(ALICE, this.#tickets, message.nonce, wallMs, features));
    } else if (message.kind === 'success') {
      this.#isIn = true;
      for (const row of this.rows.values()) row.next = row.acked + 1;
    } else if (message.kind === 'ack') this.#noteAcknowledged(message.to, message.id);
    else if (message.kind === 'error') {
      const row = this.rows.get(message.to)!;
      row.next = row.acked + 1;
    }
  }

  #noteAcknowledged(to: string, id: number): void {
    const row = this.rows.get(to)!;
    row.acked = Math.max(row.acked, id);
    row.next = Math.max(row.next, row.acked + 1);
    const stored = this.idsOf(to);
    for (let each = 1; each <= id; each++) if (stored[each - 1] !== each) return void this.#fail(to, id, stored);
  }

  #fail(to: string, id: number, stored: readonly number[]): void {
    this.faults.push(`${id} to ${to} is acknowledged, and stored is ${stored.join(' ')}`);
  }

  async #speak(): Promise<void> {
    if (!this.#isIn) return;
    for (const [to, row] of this.rows) {
      for (let count = this.random.integer(4); count > 0 && row.next <= MESSAGE_COUNT; count--) {
        const ciphertext = new TextEncoder().encode(`${to} ${row.next}`);
        this.#say({ kind: 'message', to, id: row.next++, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] });
        // Some of it is said in one frame, some of it one by one.
        if (this.random.integer(2) === 0) await this.#workers.settle();
      }
    }
  }

  #say(message: ClientMessage): void {
    const pid: Pid | undefined = this.#socket!.pid;
    const frames: ConnectionMessage = { kind: 'frames', stanzas: [clientStanza(message)], bytes: 100 };
    if (pid !== undefined) this.#workers.workers[0]!.node.cast(pid, frames);
  }

  idsOf(user: string): number[] {
    return this.#stores[1].entries(user, 1, 0, Infinity, Infinity, Infinity).map(({ id }) => id);
  }
}

async function simulate(seed: number, behavior: typeof inbox = inbox): Promise<World> {
  const world = new World(seed, behavior);
  await world.start();
  await world.run(100);
  for (const friend of FRIENDS) {
    const row = { acked: 0, next: 1 };
    if (world.random.integer(2) === 0) world.rows.set(friend, row);
    const over = world.takeOver();
    world.rows.set(friend, row);
    await over;
    await world.run(400);
  }
  // An answer that was lost ends the connection at the second look.
  for (let round = 0; round < 60 && !isDone(world); round++) await world.run(1_000);
  return world;
}

function isDone({ rows }: World): boolean {
  return [...rows.values()].every(({ acked }) => acked === MESSAGE_COUNT);
}

t.test(`${SEED_COUNT} seeds: what is acknowledged is stored, whichever owner acknowledges it`, async (t) => {
  let logins = 0;
  for (let seed = FROM; seed < FROM + SEED_COUNT; seed++) {
    const world = await simulate(seed);
    logins += world.logins;
    const expected = Array.from({ length: MESSAGE_COUNT }, (_, index) => index + 1);
    for (const friend of FRIENDS) {
      if (world.idsOf(friend).join() === expected.join() && isDone(world)) continue;
      world.faults.push(
        `${friend} has ${world.idsOf(friend).join(' ')}, ${world.rows.get(friend)!.acked} acknowledged`,
      );
    }
    if (world.faults.length > 0) return void t.strictSame(world.faults, [], `seed ${seed}`);
  }
  t.ok(logins > SEED_COUNT * FRIENDS.length, `${logins} logins`);
});

t.test('an inbox that does not look at what must have come before is found out: the check can fail', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const { faults } = await simulate(seed, CARELESS);
    if (faults.length > 0) return void t.pass(`seed ${seed}: ${faults[0]}`);
  }
  t.fail('no fault in 60 seeds');
});

/**
 * The owner of a shard changes while its pushes and their acknowledgements are under way: the actor of the connection and the inbox are those of production, the client keeps
 * its positions as the SDK does. Under many seeds everything that was accepted comes once, each conversation in order, and nothing is left or lost.
 */

import t from 'tap';
import { connection } from '../../actors/connection.ts';
import { ResumeTickets } from '../../actors/resume-ticket.ts';
import { BOB, FakeSocket, openAdmission, spawnProbe, startInbox, submission } from '../../actors/test-kit.ts';
import type { InboxFixture, Probe } from '../../actors/test-kit.ts';
import { Positions, PushOrder } from '../../client/positions.ts';
import { clientStanza, FEATURES, type ClientMessage, type ServerMessage } from '../../protocol/wire/index.ts';
import { createSeededRandom } from '../../runtime/testing/seeded-random.ts';
import { loginOf, routesToInboxes } from './users.ts';

const SEEDS = 60;
const STEPS = 150;
const SHARD = 0;
const SENDERS = ['200000000000001', '200000000000002', '200000000000003'] as const;

type Incoming = Extract<ServerMessage, { kind: 'message' }>;

/** Bob's device. It reads behind what the server says, so that it goes on acknowledging when it has been greeted and does not know. */
class Device {
  readonly got: Incoming[] = [];
  logins = 0;
  /** The planted fault: an entry that is acknowledged and not kept. */
  losesSeq = 0;
  readonly #socket: FakeSocket;
  readonly #say: (message: ClientMessage) => void;
  readonly #features: number;
  readonly #order = new PushOrder();
  #positions = new Positions(0);
  #readCount = 0;
  #isIn = false;

  constructor(socket: FakeSocket, features: number, say: (message: ClientMessage) => void) {
    this.#socket = socket;
    this.#features = features;
    this.#say = say;
  }

  get unreadCount(): number {
    return this.#socket.written.length - this.#readCount;
  }

  /** Reads one stanza. */
  read(tickets: ResumeTickets, nowMs: number): void {
    const message = this.#socket.written[this.#readCount];
    if (message === undefined) return;
    this.#readCount++;
    if (message.kind === 'stream') this.#logIn(message.nonce, tickets, nowMs);
    else if (message.kind === 'success') {
      this.#order.reset();
      this.#isIn = true;
    } else if (message.kind === 'message' && this.#isIn) this.#take(message);
  }

  #logIn(nonce: Uint8Array, tickets: ResumeTickets, nowMs: number): void {
    this.#isIn = false;
    this.logins++;
    this.#say(loginOf(BOB, tickets, nonce, nowMs, this.#features));
  }

  #take(message: Incoming): void {
    this.#order.push(message);
    if (this.#positions.has(message.seq)) return void (this.#positions = this.#positions.note(message));
    this.#positions = this.#positions.note(message);
    if (message.seq !== this.losesSeq) this.got.push(message);
  }

  acknowledge(): void {
    if (!this.#isIn) return;
    const seq = this.#order.acknowledge(this.#positions);
    if (seq !== undefined) this.#say({ kind: 'inbox-ack', seq });
  }
}

/** Somebody who writes to Bob on another connection, and says a message again until it is accepted. */
class Sender {
  readonly user: string;
  readonly #probe: Probe;
  #next = 1;
  accepted = 0;

  constructor(user: string, { test }: InboxFixture) {
    this.user = user;
    this.#probe = spawnProbe(test);
  }

  async write(fixture: InboxFixture): Promise<void> {
    await fixture.tell(submission(this.#probe.pid, this.user, BOB, this.#next));
    for (const message of this.#probe.take()) if (message.kind === 'sent') this.accepted = message.id;
    this.#next = this.accepted + 1;
  }
}

interface Outcome {
  readonly device: Device;
  readonly senders: readonly Sender[];
  readonly storedCount: number;
  readonly closed: unknown;
}

/** @param losesSeq - The planted fault. */
async function simulate(seed: number, features: number, losesSeq: number = 0): Promise<Outcome> {
  const random = createSeededRandom(seed);
  const fixture = await startInbox([BOB]);
  const { test } = fixture;
  const tickets = new ResumeTickets('11'.repeat(32));
  const target = { name: 'inbox.0', worker: 0, node: test.node.name, shard: SHARD };
  let isLost = false;
  const routes = routesToInboxes(
    () => target,
    () => (isLost = true),
  );
  const senders = SENDERS.map((user) => new Sender(user, fixture));
  for (let count = 0; count < 20; count++) await senders[random.integer(3)]!.write(fixture);
  const socket = new FakeSocket();
  const challenge = socket.greet();
  test.node.spawn(connection, { socket, challenge, routes, tickets, admission: openAdmission(test) });
  await test.settle();
  const say = (message: ClientMessage): void =>
    void test.node.cast(socket.pid!, { kind: 'frames', stanzas: [clientStanza(message)], bytes: 100 });
  const device = new Device(socket, features, say);
  device.losesSeq = losesSeq;

  const serve = async (): Promise<void> => {
    if (!isLost) return;
    isLost = false;
    test.node.cast(socket.pid!, { kind: 'shard-served', shard: SHARD });
    await test.settle();
  };
  const read = async (): Promise<void> => {
    device.read(tickets, test.clock.nowMs());
    await test.settle();
  };
  for (let step = 0; step < STEPS; step++) {
    const dice = random.integer(20);
    if (dice < 5) await senders[random.integer(3)]!.write(fixture);
    else if (dice < 13) await read();
    else if (dice < 17) device.acknowledge();
    else if (dice < 19) await serve();
    // Without settling before it: an acknowledgement may be on its way to the owner that ends.
    else await fixture.restart();
  }
  for (let round = 0; round < 5; round++) {
    await serve();
    while (device.unreadCount > 0) await read();
    device.acknowledge();
    await test.settle();
  }
  for (const sender of senders) await sender.write(fixture);
  while (device.unreadCount > 0) await read();
  device.acknowledge();
  await test.settle();
  const storedCount = fixture.store.countEntries(BOB, 1, 1_000) + fixture.store.freshCount;
  return { device, senders, storedCount, closed: socket.closed };
}

/** What is wrong, in sentences. */
function findFaults({ device, senders, storedCount, closed }: Outcome, isInOrder: boolean): string[] {
  const faults: string[] = [];
  if (closed !== undefined) faults.push(`the connection was closed: ${JSON.stringify(closed)}`);
  if (storedCount > 0) faults.push(`${storedCount} entries are left`);
  for (const { user, accepted } of senders) {
    const ids = device.got.filter(({ from }) => from === user).map(({ id }) => id);
    const sorted = isInOrder ? ids : ids.toSorted((left, right) => left - right);
    const expected = Array.from({ length: accepted }, (_, index) => index + 1);
    if (JSON.stringify(sorted) !== JSON.stringify(expected))
      faults.push(`of ${user} came ${ids.join(' ')} of ${accepted}`);
  }
  return faults;
}

const PLAIN = FEATURES.secondGreeting;
const STAGED = FEATURES.secondGreeting | FEATURES.stagedInbox;

for (const [name, features] of [
  ['in order', PLAIN],
  ['with a staged inbox', STAGED],
] as const) {
  t.test(`${SEEDS} seeds ${name}: a change of owner loses, doubles and leaves nothing`, async (t) => {
    let greetings = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await simulate(seed, features);
      greetings += outcome.device.logins - 1;
      const faults = findFaults(outcome, features === PLAIN);
      if (faults.length > 0) return void t.strictSame(faults, [], `seed ${seed}`);
    }
    t.ok(greetings > SEEDS, `${greetings} second greetings`);
  });
}

t.test('a device that acknowledges what it has not kept is found out: the check can fail', async (t) => {
  t.match(findFaults(await simulate(1, STAGED, 5), false), [/ came /]);
});

/**
 * What an idle connection takes of V8's heap, layer by layer: the actors of the server in this process, without sockets and
 * without a disk. Started by `footprint.ts` with `--expose-gc`; says one line of JSON.
 *
 *   actor     a supervised actor that does nothing, with what its supervisor keeps of it
 *   store     what the inbox keeps of a device that is there: recipient, device, window, monitor
 *   session   what a logged-in connection has beyond these two
 *
 * The same objects are made each time, so their sum is the same to a part in a hundred, on any machine with this Node.
 */

import { randomBytes } from 'node:crypto';
import { Admission } from '../../actors/admission.ts';
import { connection } from '../../actors/connection.ts';
import type { SocketHandle } from '../../actors/listener.ts';
import type { ConnectionMessage } from '../../actors/messages.ts';
import { resumeProof, ResumeTickets } from '../../actors/resume-ticket.ts';
import type { RemoteName, Routes } from '../../actors/routes.ts';
import { startInbox, type InboxFixture } from '../../actors/test-kit.ts';
import { clientStanza, encodedLength } from '../../protocol/wire/index.ts';
import type { Behavior, Pid } from '../../runtime/index.ts';
import { castStartChild, startDynamicSupervisor } from '../../supervisors/index.ts';

/** Of each kind; enough that what is made once does not show. */
const COUNT = 4_000;
const USER_FIRST = 100_000_000_000_000;

/** Bytes that the test of the check has each connection waste. */
const WASTE = Number(process.argv[2] ?? 0);

if (globalThis.gc === undefined) throw new Error('started by footprint.ts, with --expose-gc');

const INBOX: RemoteName = { name: 'inbox.0', worker: 0 };
const routes = new Proxy({ isClustered: false } as Routes, {
  get: (of, name) => (name === 'isClustered' ? of.isClustered : () => INBOX),
});
const tickets = new ResumeTickets(randomBytes(32).toString('hex'));

/** One socket for all: what a real one takes is native memory, and measured by `bench connections`. */
class Line implements SocketHandle {
  readonly address = '127.0.0.1';
  last: Pid<ConnectionMessage> | undefined = undefined;
  readonly waste: Uint8Array[] = [];

  write(): void {}
  close(): void {}
  attach(pid: Pid<ConnectionMessage>): void {
    this.last = pid;
    if (WASTE > 0) this.waste.push(new Uint8Array(WASTE));
  }
  greet(): never {
    throw new Error('nothing moves here');
  }
}

let idlePid: Pid | undefined;
const idle: Behavior<null, undefined, unknown> = {
  name: 'bench/idle',
  init: (_args, ctx) => ((idlePid = ctx.self), null),
  handleCast: () => undefined,
};

/** Time is moved by hand here: an answer comes when the actors have run. */
async function settled<Value>(answer: Value | Promise<Value>): Promise<Value> {
  await fixture.test.settle();
  return answer;
}

function userOf(index: number): string {
  return String(USER_FIRST + index);
}

async function heapBytes({ test }: InboxFixture): Promise<number> {
  await test.settle();
  for (let round = 0; round < 3; round += 1) globalThis.gc!();
  // Buffers of the waste that the check is tested with are outside of the heap.
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + (WASTE > 0 ? arrayBuffers : 0);
}

function openAdmission({ test }: InboxFixture): Admission {
  const monotonicMs = (): number => test.clock.monotonicMs();
  const services = { monotonicMs, busyMs: () => 0, isMemoryLow: () => false, integer: () => 0 };
  const none = { addressConnections: Infinity, addressConnects: Infinity, addressRegistrations: Infinity };
  return new Admission(services, { connections: Infinity, ...none });
}

const fixture = await startInbox(Array.from({ length: 2 * COUNT }, (_, index) => userOf(index)));
const { node } = fixture.test;
const line = new Line();
const admission = openAdmission(fixture);
const args = { routes, tickets, admission };
await settled(
  startDynamicSupervisor(node, { name: 'idle', child: { start: { behavior: idle }, restart: 'temporary' } }),
);
await settled(
  startDynamicSupervisor(node, {
    name: 'connections',
    child: { start: { behavior: connection, args }, restart: 'temporary' },
  }),
);

async function startIdle(): Promise<Pid[]> {
  const pids: Pid[] = [];
  for (let index = 0; index < COUNT; index += 1) {
    castStartChild(node, 'idle');
    await fixture.test.settle();
    pids.push(idlePid!);
  }
  return pids;
}

async function attachAll(pids: readonly Pid[]): Promise<void> {
  for (const [index, pid] of pids.entries()) {
    const device = { user: userOf(index), device: 1, creation: 1, staged: true, groups: true };
    await fixture.tell({ kind: 'attach', ...device, connection: pid as Pid<ConnectionMessage> });
  }
}

async function logInAll(): Promise<void> {
  for (let index = COUNT; index < 2 * COUNT; index += 1) {
    const challenge = { nonce: new Uint8Array(randomBytes(32)), issuedAtMs: fixture.test.clock.monotonicMs() };
    castStartChild(node, 'connections', { socket: line, challenge });
    await fixture.test.settle();
    const owner = { user: userOf(index), device: 1, creation: 1 };
    const { token, secret } = tickets.seal(owner, fixture.test.clock.nowMs());
    const proof = resumeProof(secret, challenge.nonce);
    const stanza = clientStanza({ kind: 'resume', user: owner.user, device: 1, ticket: token, proof, features: 7 });
    node.cast(line.last!, {
      kind: 'frames',
      stanzas: [stanza],
      bytes: encodedLength(stanza),
    } satisfies ConnectionMessage);
    await fixture.test.settle();
  }
}

// Once through all of it before: what is compiled and cached is there.
const empty = await heapBytes(fixture);
const pids = await startIdle();
const withActors = await heapBytes(fixture);
await attachAll(pids);
const withInbox = await heapBytes(fixture);
await logInAll();
const withConnections = await heapBytes(fixture);
const [actor, store, total] = [withActors - empty, withInbox - withActors, withConnections - withInbox].map(
  (bytes) => bytes / COUNT,
);
const { online } = await settled(node.call<{ readonly online: number }>('inbox.0', 'statistics', 1_000));
const session = total! - actor! - store!;
process.stdout.write(`${JSON.stringify({ online, actor, store, session, total })}\n`);
process.exit(0);

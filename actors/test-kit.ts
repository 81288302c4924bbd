/**
 * For tests of actors: a node under virtual time, an inbox over a store in memory, and connections that only listen.
 */

import { randomBytes } from 'node:crypto';
import {
  isWireError,
  parseServerMessage,
  streamStanza,
  type ServerMessage,
  type Stanza,
} from '../protocol/wire/index.ts';
import type { Behavior, Clock, Pid } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import { Admission, type AdmissionBounds } from './admission.ts';
import type { Challenge } from './auth.ts';
import { Committer } from './committer.ts';
import { inbox } from './inbox.ts';
import type { InboxArgs } from './inbox/state.ts';
import type { SocketHandle } from './listener.ts';
import type { ConnectionMessage, InboxMessage, Submit } from './messages.ts';
import { noOutboxLoad } from './outbox/load.ts';
import type { DeviceRecord, InboxStore, SenderAddress } from './store/inbox-store.ts';
import { MemoryStore } from './store/memory.ts';

export const ALICE = '100000000000001';
export const BOB = '100000000000002';

/** An actor that keeps every cast it gets. */
export interface Probe {
  readonly pid: Pid<ConnectionMessage>;
  readonly received: ConnectionMessage[];
  /** What came since the last call. */
  take(): ConnectionMessage[];
}

const probe: Behavior<ConnectionMessage[], ConnectionMessage[], ConnectionMessage> = {
  name: 'test/probe',
  init: (received) => received,
  handleCast: (message, received) => void received.push(message),
};

/** @param mailboxMax - Messages that it takes while it cannot run. */
export function spawnProbe(test: TestNode, mailboxMax?: number): Probe {
  const received: ConnectionMessage[] = [];
  const pid = test.node.spawn(probe, received, mailboxMax === undefined ? {} : { mailboxMax });
  let taken = 0;
  return {
    pid,
    received,
    take() {
      const fresh = received.slice(taken);
      taken = received.length;
      return fresh;
    },
  };
}

/** The first registration of a device, with keys that nobody uses. */
export const DEVICE: DeviceRecord = {
  creation: 1,
  registration: 1,
  loginKey: new Uint8Array(32),
  identityKey: new Uint8Array(33),
  signedPreKey: { id: 1, key: new Uint8Array(33), signature: new Uint8Array(64) },
};

/** The commits of an actor that reads `store`. */
export function committerOf(store: InboxStore, { node }: TestNode, isCutOff?: () => boolean): Committer {
  return new Committer(store, (self, message) => void node.cast(self, message), isCutOff);
}

export interface InboxFixture {
  readonly test: TestNode;
  readonly store: MemoryStore;
  /** Of its present life. */
  readonly pid: Pid<InboxMessage>;
  tell(message: InboxMessage): Promise<void>;
  /** Ends the inbox as a crash would, and starts another over the same opening of the store. */
  restart(): Promise<void>;
}

/** Starts an inbox whose store knows `users`, each with device 1. @param isCutOff - Whether its commits do not settle for now. */
export async function startInbox(
  users: readonly string[],
  options: Partial<InboxArgs> = {},
  isCutOff?: () => boolean,
): Promise<InboxFixture> {
  const test = createTestNode();
  const store = new MemoryStore();
  await store.commit((batch) => {
    for (const user of users) {
      batch.putAccount({ user, phone: `+${user}`, devices: [1], creations: 1 });
      batch.putDevice(user, 1, DEVICE);
    }
  });
  const args: InboxArgs = {
    store,
    load: { queuedCount: 0, outbox: noOutboxLoad() },
    wakeups: undefined,
    queuedBytesMax: 1_000_000,
    inboxOf: () => ({ name: 'inbox.0', worker: 0 }),
    groupsOf: () => ({ name: 'groups.0', worker: 0 }),
    committer: committerOf(store, test, isCutOff),
    ...options,
  };
  let pid = test.node.spawn(inbox, args, { name: 'inbox.0' });
  await test.settle();
  return {
    test,
    store,
    get pid() {
      return pid;
    },
    async tell(message) {
      test.node.cast(pid, message);
      await test.settle();
    },
    async restart() {
      test.node.exit(pid, 'kill');
      await test.settle();
      pid = test.node.spawn(inbox, args, { name: 'inbox.0' });
      await test.settle();
    },
  };
}

/** A message of one envelope for device 1. */
export function submission(connection: Pid, from: string, to: string, id: number, text = 'x', creation = 1): Submit {
  const sender: SenderAddress = { user: from, device: 1, creation };
  const envelopes = [{ device: 1, type: 'ratchet', ciphertext: new TextEncoder().encode(text) }] as const;
  return { kind: 'submit', connection, sender, senderKey: `${from}.1.${creation}`, to, id, envelopes };
}

/** Admission of a worker that is never busy; it refuses nobody unless `bounds` say so. */
export function openAdmission(
  { clock }: { readonly clock: Pick<Clock, 'monotonicMs'> },
  bounds: Partial<AdmissionBounds> = {},
): Admission {
  let integer = 0;
  const services = {
    monotonicMs: () => clock.monotonicMs(),
    busyMs: () => 0,
    isMemoryLow: () => false,
    integer: (bound: number) => integer++ % bound,
  };
  const unbound = { connections: Infinity, addressConnections: Infinity };
  return new Admission(services, { ...unbound, addressConnects: Infinity, addressRegistrations: Infinity, ...bounds });
}

/** A socket that keeps what is written to it, as typed messages. */
export class FakeSocket implements SocketHandle {
  readonly address = '192.0.2.1';
  readonly written: ServerMessage[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined = undefined;
  pid: Pid<ConnectionMessage> | undefined = undefined;

  write(stanza: Stanza): void {
    const message = parseServerMessage(stanza);
    if (isWireError(message)) throw new Error(message.message);
    this.written.push(message);
  }

  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
  }

  attach(pid: Pid<ConnectionMessage>): void {
    this.pid = pid;
  }

  greet(): Challenge {
    const challenge = { nonce: new Uint8Array(randomBytes(32)), issuedAtMs: 0 };
    this.write(streamStanza({ ts: 1, nonce: challenge.nonce }));
    return challenge;
  }

  /** The last message of `kind`. */
  last<K extends ServerMessage['kind']>(kind: K): Extract<ServerMessage, { kind: K }> | undefined {
    return this.written.findLast((message) => message.kind === kind) as Extract<ServerMessage, { kind: K }> | undefined;
  }
}

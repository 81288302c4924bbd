/** For tests of the outbox: one over a store in memory, an inbox of the recipients that is in reach or not, and a sender who only listens. */

import type { Test } from 'tap';
import type { Envelope } from '../../protocol/wire/index.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage } from '../messages.ts';
import { outbox } from '../outbox.ts';
import { MemoryStore } from '../store/memory.ts';
import {
  ALICE,
  BOB,
  committerOf,
  spawnProbe,
  startInbox,
  submission,
  type InboxFixture,
  type Probe,
} from '../test-kit.ts';
import { noOutboxLoad, noteWaiting, type OutboxLoad } from './load.ts';
import type { Detour } from './messages.ts';

export const AWAY = { name: 'inbox.away', worker: 0 };
const THERE = { name: 'inbox.0', worker: 0 };

export interface OutboxFixture {
  /** Of the recipients. */
  readonly inbox: InboxFixture;
  /** Of the senders. */
  readonly store: MemoryStore;
  readonly load: OutboxLoad;
  readonly alice: Probe;
  /** Whether the recipients' shard is in reach. */
  isThere: boolean;
  /** Alice's device writes a message to bob, or to whom the options say. */
  put(id: number, options?: Partial<Detour> & { readonly bytes?: number }): Promise<void>;
  wait(ms: number): Promise<void>;
  /** Ends the outbox as a crash would, and starts the next life over the same store. */
  restart(): Promise<void>;
  /** Ends the outbox, and nobody comes next. */
  end(): Promise<void>;
  /** What bob's inbox has. */
  inboxOf(device?: number): string[];
}

export async function startOutbox(devices: readonly number[] = [1]): Promise<OutboxFixture> {
  const inbox = await startInbox([ALICE, BOB]);
  await inbox.store.commit((batch) => batch.putAccount({ user: BOB, phone: `+${BOB}`, devices, creations: 1 }));
  const { test } = inbox;
  const store = new MemoryStore();
  const load = noOutboxLoad();
  // An address follows its shard.
  const address = { ...AWAY };
  const inboxOf = (user: string): typeof address => (user === ALICE ? { ...THERE } : address);
  const args = { store, load, queuedBytesMax: 1e9, inboxOf, committer: committerOf(store, test) };
  let pid = test.node.spawn(outbox, args, { name: 'outbox.0' });
  await test.settle();
  const fixture: OutboxFixture = {
    inbox,
    store,
    load,
    alice: spawnProbe(test),
    get isThere() {
      return address.name === THERE.name;
    },
    set isThere(isThere) {
      address.name = isThere ? THERE.name : AWAY.name;
    },
    async put(id, { bytes = 1, ...rest } = {}) {
      const { sender, senderKey, to } = submission(fixture.alice.pid, ALICE, BOB, id);
      const ciphertext = new Uint8Array(bytes).fill(id);
      const envelopes: Envelope[] = [{ device: 1, type: 'ratchet', ciphertext }];
      const connection = fixture.alice.pid;
      const detour: Detour = { kind: 'detour', connection, sender, senderKey, to, id, after: 0, envelopes, ...rest };
      noteWaiting(load, detour.senderKey, detour.to);
      test.node.cast(pid, detour);
      await test.settle();
    },
    wait: (ms) => test.advance(ms, LIMITS.outboxLookMs / 2),
    async end() {
      test.node.exit(pid, 'kill');
      await test.settle();
    },
    async restart() {
      await fixture.end();
      pid = test.node.spawn(outbox, args, { name: 'outbox.0' });
      await test.settle();
    },
    inboxOf: (device = 1) =>
      inbox.store
        .entries(BOB, device, 0, Infinity, Infinity, Infinity)
        .map(({ id, type, ciphertext }) => `${type} ${id}${type === 'pruned' ? ` ${ciphertext.at(-1)}` : ''}`),
  };
  return fixture;
}

export function told(messages: readonly ConnectionMessage[]): string[] {
  return messages.map((message) => {
    if (message.kind === 'sent') return `sent ${message.id}`;
    if (message.kind === 'refused') return `${message.refusal.code} ${message.id}`;
    return message.kind;
  });
}

export function isEmpty(t: Test, { load, store }: OutboxFixture): void {
  t.strictSame(store.outbox.heads(undefined, 1), []);
  t.match(load, { count: 0, bytes: 0 });
  t.equal(load.waiting.size, 0, 'and a login is told of nothing');
}

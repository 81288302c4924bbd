/** What lmdb is given to read the inbox table with, against the plain functions of the layout. */

import t from 'tap';
import { createSeededRandom } from '../../runtime/testing/seeded-random.ts';
import { inboxEntries, inboxKeys, placed, userOf } from './inbox-codec.ts';
import type { InboxEntry } from './inbox-store.ts';
import * as layout from './layout.ts';

const random = createSeededRandom(1);

function entryOf(bytes: number): InboxEntry {
  const sender = String(random.integer(2 ** 31) * 400_000 + random.integer(400_000)).padStart(15, '0');
  const numbers = {
    seq: 1 + random.integer(2 ** 31) * 60_000,
    id: random.integer(2 ** 31),
    ts: random.integer(2 ** 31),
  };
  const ciphertext = random.bytes(bytes);
  const type = (['prekey', 'ratchet', 'pruned', 'group'] as const)[random.integer(4)]!;
  return {
    ...numbers,
    sender,
    senderDevice: 1 + random.integer(127),
    senderCreation: random.integer(2 ** 31),
    type,
    ciphertext,
  };
}

t.test('an entry and its key come back as the layout reads them, whatever lies around them', async (t) => {
  for (const bytes of [
    1,
    7,
    100,
    15_360,
    16_384,
    16_385,
    65_536,
    ...Array.from({ length: 200 }, () => random.integer(900) + 1),
  ]) {
    const entry = entryOf(bytes);
    const value = inboxEntries.encode(entry);
    const lent = Buffer.concat([Buffer.alloc(5, 0xaa), value, Buffer.alloc(9, 0xbb)]).subarray(5, 5 + value.length);
    const key = Buffer.alloc(40, 0xcc);
    layout.entryKey(entry.sender, entry.senderDevice, entry.seq).copy(key, 3);
    const read = inboxKeys.readKey(key, 3);
    const decoded = placed(inboxEntries.decode(lent), read);
    // lmdb reads the next value into the same memory.
    lent.fill(0xdd);
    t.same({ ...decoded, ciphertext: [...decoded.ciphertext] }, { ...entry, ciphertext: [...entry.ciphertext] });
    t.equal(userOf(read), entry.sender);
    t.equal(read.device, entry.senderDevice);
    const written = Buffer.alloc(15);
    t.equal(inboxKeys.writeKey(read, written, 0), 15);
    t.ok(written.equals(layout.entryKey(entry.sender, entry.senderDevice, entry.seq)));
  }
});

t.test('small ciphertexts share memory and do not overlap', async (t) => {
  const entries = Array.from({ length: 2_000 }, () => entryOf(1 + random.integer(200)));
  const decoded = entries.map((entry) => inboxEntries.decode(inboxEntries.encode(entry)));
  t.ok(new Set(decoded.map(({ ciphertext }) => ciphertext.buffer)).size < 10);
  for (const [index, { ciphertext }] of decoded.entries()) {
    if (!Buffer.from(ciphertext).equals(Buffer.from(entries[index]!.ciphertext))) t.fail(`entry ${index}`);
  }
});

/**
 * The bytes of a transferred history: vectors, every prefix, damage, and what a later version may add.
 */

import t from 'tap';
import { encodeOutgoing } from './content.ts';
import { plainContent } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { RecordWriter } from './record.ts';
import { bytesOf, contentOf } from './testing/contents.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import vectors from './testing/transfer-vectors.json' with { type: 'json' };
import { ChunkWriter, decodeChunk } from './transfer-format.ts';
import type { TransferEntry } from './transfer-format.ts';

function encode(entries: readonly TransferEntry[]): Uint8Array {
  const writer = new ChunkWriter();
  for (const entry of entries) writer.add(entry);
  return writer.finish();
}

/** JSON leaves out what is undefined. */
function entriesOf(notation: unknown): TransferEntry[] {
  return (contentOf(notation) as TransferEntry[]).map((entry) =>
    entry.kind === 'message'
      ? { ...entry, message: { ...{ editedAt: undefined, failure: undefined }, ...entry.message } }
      : entry,
  );
}

t.test('every vector is written and read as it says', async (t) => {
  for (const { name, entries, hex } of vectors.chunks) {
    t.same(encode(entriesOf(entries)), bytesOf(hex), name);
    t.same(decodeChunk(bytesOf(hex)), entriesOf(entries), name);
  }
});

t.test('what no correct writer writes is refused as a whole', async (t) => {
  for (const { name, hex, code } of vectors.refused) t.equal(decodeChunk(bytesOf(hex)), code, name);
  for (const { name, hex } of vectors.chunks) {
    const whole = bytesOf(hex);
    for (let length = 0; length < whole.length; length += 1) {
      if (decodeChunk(whole.subarray(0, length)) !== 'CLI_TRANSFER_DAMAGED') t.fail(`${length} bytes of ${name}`);
    }
    t.equal(decodeChunk(Uint8Array.of(...whole, 0)), 'CLI_TRANSFER_DAMAGED', `${name}, and one byte more`);
  }
});

t.test('an entry of a later kind is passed over, and fields behind the known ones are', async (t) => {
  for (const { name, entries, hex } of vectors.later) t.same(decodeChunk(bytesOf(hex)), entriesOf(entries), name);
});

t.test('no bent piece makes a reader throw, and what it reads it could have written', async (t) => {
  const random = new SeededRandom(4);
  const outcomes = { damaged: 0, read: 0 };
  for (const { hex } of vectors.chunks) {
    const whole = bytesOf(hex);
    for (let round = 0; round < 2_000; round += 1) {
      const bent = whole.slice();
      bent[random.integer(bent.length)] = random.integer(256);
      const entries = decodeChunk(bent);
      outcomes[typeof entries === 'string' ? 'damaged' : 'read'] += 1;
      if (typeof entries !== 'string' && typeof decodeChunk(encode(entries)) === 'string') t.fail('not written again');
    }
  }
  t.ok(outcomes.damaged > 100 && outcomes.read > 100, JSON.stringify(outcomes));
});

t.test('one piece holds a message of every length that there is', async (t) => {
  const text = 'x'.repeat(LIMITS.contentBytesMax);
  const body = { kind: 'text', text } as const;
  const head = { direction: 'in', author: '', device: 1, number: 1, sentAt: 1, storedAt: 2, order: 0 } as const;
  const message = { ...head, editedAt: undefined, failure: undefined, body, reactions: [] };
  const bytes = encode([{ kind: 'message', conversation: '100000000000001', message }]);
  t.ok(LIMITS.transferChunkBytes + bytes.length < LIMITS.transferChunkBytesMax);
  t.same(decodeChunk(bytes), [{ kind: 'message', conversation: '100000000000001', message }]);
  t.ok(encodeOutgoing(plainContent(body)).length < bytes.length);
  t.equal(decodeChunk(new RecordWriter().byte(2).finish()), 'CLI_TRANSFER_VERSION');
});

/**
 * The client's decoders of foreign bytes under bent input: contents, backups and transferred histories. `BLINDBEAM_FUZZ_ROUNDS=1000000` is the long form.
 */

import t from 'tap';
import type { BackupSecret } from '../protocol/signal/index.ts';
import { fuzz } from '../protocol/signal/testing/fuzz.ts';
import type { FuzzTarget } from '../protocol/signal/testing/fuzz.ts';
import { readBackup, writeBackup } from './backup-format.ts';
import { restoreBackup } from './backup.ts';
import { decodeContent } from './content.ts';
import { CLIENT_CODES, codeOf } from './errors.ts';
import { memoryStore } from './memory-store.ts';
import { bytesOf } from './testing/contents.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import vectors from './testing/content-vectors.json' with { type: 'json' };
import transfers from './testing/transfer-vectors.json' with { type: 'json' };
import { decodeChunk } from './transfer-format.ts';

const longRounds = Number(process.env.BLINDBEAM_FUZZ_ROUNDS ?? 0);
if (longRounds > 0) t.setTimeout(0);

const SECRET: BackupSecret = { kind: 'digits', digits: '7'.repeat(64) };
const random = new SeededRandom(11);

async function makeBackup(): Promise<Uint8Array> {
  const entries = (async function* () {
    for (const key of ['account', 'history/1/1', 'peer/1']) yield { key, value: random.bytes(200) };
  })();
  const manifest = { layout: 1, madeAt: 5, phone: '+4915100000001' };
  const cost = { costLog2: 14, blockSize: 1, parallelism: 1 };
  const pieces: Uint8Array[] = [];
  for await (const piece of writeBackup(SECRET, cost, (length) => random.bytes(length), manifest, entries)) {
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/** Errors of the SDK as outcomes; anything else that is thrown stays thrown. */
async function outcomeOf(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => {
    if (codeOf(error) === 'CLI_INTERNAL') throw error;
    return { code: codeOf(error) };
  });
}

async function readAll(bytes: Uint8Array): Promise<unknown> {
  const found: unknown[] = [];
  for await (const entry of readBackup([bytes], () => SECRET)) found.push(entry);
  return { found };
}

/** What it leaves behind in the store, beside the outcome. */
async function restore(bytes: Uint8Array): Promise<unknown> {
  const store = memoryStore();
  const kept = { ...bound(store), close: async () => {} };
  const outcome = await outcomeOf(restoreBackup({ store: kept, source: [bytes], secret: SECRET }));
  const left = await store.list({ prefix: '', limit: 1 });
  if (left.length > 0 && typeof outcome === 'object' && outcome !== null && 'code' in outcome)
    throw new Error('something stayed');
  return outcome;
}

function bound(store: ReturnType<typeof memoryStore>): Pick<typeof store, 'get' | 'list' | 'write'> {
  return {
    get: (key) => store.get(key),
    list: (range) => store.list(range),
    write: (changes, durability) => store.write(changes, durability),
  };
}

const backups = [await makeBackup()];
const codes = Object.keys(CLIENT_CODES).filter((code) => code.startsWith('CLI_BACKUP_'));
const codeIn = (outcome: unknown): string | undefined => (outcome as { readonly code?: string }).code;

const TARGETS: Readonly<Record<string, FuzzTarget & { readonly rounds: number }>> = {
  'a content': {
    rounds: 20_000,
    corpus: [...vectors.contents, ...vectors.version1].map(({ hex }) => Uint8Array.of(...bytesOf(hex), 0x80, 0, 0)),
    decode: decodeContent,
    codeOf: (outcome) => ((outcome as { readonly kind: string }).kind === 'malformed' ? 'malformed' : undefined),
    codes: ['malformed'],
  },
  'a piece of a transferred history': {
    rounds: 20_000,
    corpus: transfers.chunks.map(({ hex }) => bytesOf(hex)),
    decode: decodeChunk,
    codeOf: (outcome) => (typeof outcome === 'string' ? outcome : undefined),
    codes: ['CLI_TRANSFER_DAMAGED', 'CLI_TRANSFER_VERSION'],
  },
  'a backup': { rounds: 600, corpus: backups, decode: (bytes) => outcomeOf(readAll(bytes)), codeOf: codeIn, codes },
  'a backup, restored': { rounds: 300, corpus: backups, decode: restore, codeOf: codeIn, codes },
};

for (const [name, { rounds, ...target }] of Object.entries(TARGETS)) {
  t.test(`${name}, bent, breaks no claim`, async (t) => {
    const { failure, accepted, refused } = await fuzz(target, longRounds || rounds, 20_262);
    t.equal(failure, undefined);
    t.ok(accepted > 0 && Object.keys(refused).length > 0, `${accepted} accepted, ${JSON.stringify(refused)}`);
  });
}

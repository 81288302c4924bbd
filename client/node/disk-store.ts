/**
 * The store on disk, over LevelDB: the only file that imports `classic-level`.
 *
 * Why LevelDB: a batch is one record of its log, so it is there whole or not at all after any crash, and a torn tail is
 * cut off at opening; `sync` flushes before the write resolves; the directory is locked against a second process. The
 * log is written in order, so a flushed batch takes every earlier one along, which is the promise of `eventual`.
 */

import { ClassicLevel } from 'classic-level';
import { makePrivateDirectory } from '../../runtime/private-directory.ts';
import { ClientError, type ClientCode } from '../errors.ts';
import type { Durability, Store, StoreChange, StoreEntry, StoreRange } from '../store.ts';

type Level = ClassicLevel<string, Uint8Array>;

/** Everything the store holds is ASCII, so this is beyond every key. */
const BEYOND = '\u{ffff}';

/**
 * Names a directory as the store of a client; it is opened, and made if need be, by `createClient`.
 *
 * The directory is readable for its owner only: it holds private keys and the text of messages, unencrypted.
 *
 * @param directory - A path; relative to the working directory. Its parent need not exist.
 * @returns A source that rejects with CLI_STORE_LOCKED, CLI_STORE_UNUSABLE or CLI_STORE_CORRUPT.
 */
export function diskStore(directory: string): () => Promise<Store> {
  return () => openDiskStore(directory);
}

/** Opens the store in `directory`. See `diskStore`. */
export async function openDiskStore(directory: string): Promise<Store> {
  try {
    makePrivateDirectory(directory);
    const level: Level = new ClassicLevel(directory, {
      keyEncoding: 'utf8',
      valueEncoding: 'view',
      compression: false,
    });
    await level.open();
    return new DiskStore(level);
  } catch (cause) {
    throw new ClientError(codeOfFailure(cause), { cause });
  }
}

class DiskStore implements Store {
  readonly #level: Level;

  constructor(level: Level) {
    this.#level = level;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    return this.#level.get(key);
  }

  async list(range: StoreRange): Promise<StoreEntry[]> {
    this.#assertOpen();
    const { prefix, after, limit, newestFirst = false } = range;
    const bounds = newestFirst
      ? { gte: prefix, lt: after ?? prefix + BEYOND }
      : after !== undefined && after >= prefix
        ? { gt: after, lt: prefix + BEYOND }
        : { gte: prefix, lt: prefix + BEYOND };
    const found = await this.#level.iterator({ ...bounds, limit, reverse: newestFirst }).all();
    return found.map(([key, value]) => ({ key, value }));
  }

  async write(changes: readonly StoreChange[], durability: Durability): Promise<void> {
    this.#assertOpen();
    const operations = changes.map((change) =>
      change.type === 'put' ? change : { type: 'del' as const, key: change.key },
    );
    await this.#level.batch(operations, { sync: durability === 'flushed' });
  }

  async close(): Promise<void> {
    await this.#level.close();
  }

  #assertOpen(): void {
    if (this.#level.status !== 'open') throw new ClientError('CLI_CLOSED');
  }
}

/**
 * What keeps a store from being opened. A full disk and a missing permission say nothing about what is in it: whoever took them for damage
 * would register anew, and lose an identity that is there.
 */
function codeOfFailure(error: unknown): ClientCode {
  const chain: (Error & { code?: unknown; syscall?: unknown })[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) chain.push(at);
  if (chain.some(({ code }) => code === 'LEVEL_LOCKED')) return 'CLI_STORE_LOCKED';
  if (chain.some(({ syscall }) => typeof syscall === 'string')) return 'CLI_STORE_UNUSABLE';
  // LevelDB says so as well where a file is gone that another one names; that is damage. The one that it locks it would make itself.
  const refused = chain.some(
    ({ code, message }) => code === 'LEVEL_IO_ERROR' && !/(?<!\/LOCK): No such file/.test(message),
  );
  return refused ? 'CLI_STORE_UNUSABLE' : 'CLI_STORE_CORRUPT';
}

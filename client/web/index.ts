/**
 * The Blindbeam SDK for browsers: the portable client with the browser's network, storage, clock and randomness filled in.
 *
 * ```ts
 * const client = await createClient({ url: 'wss://chat.example', store: 'alice' });
 * ```
 */

import { createClient as createPortableClient } from '../index.ts';
import type { Client, IdentityPolicy, StoreSource, StrangersPolicy } from '../index.ts';
import { indexedStore } from './indexed-store.ts';
import { socketTransport } from './socket-transport.ts';
import { browserClock, browserRandom } from './system.ts';

export * from '../index.ts';
export { deleteIndexedStore, indexedStore } from './indexed-store.ts';
export { socketTransport } from './socket-transport.ts';
export { browserClock, browserRandom } from './system.ts';

/** What a client in a browser needs to be told. */
export interface WebClientOptions {
  /** The server: `wss://…`, or `ws://127.0.0.1:port`; the path `/ws` is added. */
  readonly url: string;
  /** Name of a database of this origin, or a store of your own. */
  readonly store: string | StoreSource;
  /** Asked when a peer shows a new identity key; if not given, as `ClientOptions` says. */
  readonly trustIdentity?: IdentityPolicy;
  /** What strangers may do, for an account that is registered here; as `ClientOptions` says. */
  readonly strangers?: StrangersPolicy;
}

/**
 * Opens the store and makes a client on it, offline.
 *
 * @throws {ClientError} CLI_STORE_LOCKED when another tab uses the database; CLI_STORE_UNUSABLE; CLI_STORE_CORRUPT.
 */
export function createClient(options: WebClientOptions): Promise<Client> {
  const store = typeof options.store === 'string' ? indexedStore(options.store) : options.store;
  return createPortableClient({
    ...options,
    store,
    transport: socketTransport,
    clock: browserClock,
    random: browserRandom,
  });
}

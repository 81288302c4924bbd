/**
 * The Blindbeam SDK for Node: the portable client with Node's network, disk, clock and randomness filled in.
 *
 * ```ts
 * const client = await createClient({ url: 'ws://127.0.0.1:7400', store: './alice' });
 * ```
 */

import { createClient as createPortableClient } from '../index.ts';
import type { Client, IdentityPolicy, StoreSource, StrangersPolicy } from '../index.ts';
import { fetchUnderAuthority, holdsCertificate } from './authority-fetch.ts';
import { diskStore } from './disk-store.ts';
import { systemClock, systemRandom } from './system.ts';
import { transportUnder, wsTransport } from './ws-transport.ts';

export * from '../index.ts';
export { restoreBackupFile, writeBackupFile } from './backup-file.ts';
export { diskStore } from './disk-store.ts';
export { safeFileName } from '../file-name.ts';
export { saveFile, uploadFile } from './media-file.ts';
export { systemClock, systemRandom } from './system.ts';
export { wsTransport } from './ws-transport.ts';

/** What a client in Node needs to be told. */
export interface NodeClientOptions {
  /** The server: `ws://host:port` or `wss://…`; the path `/ws` is added. */
  readonly url: string;
  /** A directory, or a store of your own. */
  readonly store: string | StoreSource;
  /** Certificates of authorities, PEM, to trust in place of the platform's: for a server with a certificate of one's own. */
  readonly ca?: string;
  /** Asked when a peer shows a new identity key; if not given, as `ClientOptions` says. */
  readonly trustIdentity?: IdentityPolicy;
  /** What strangers may do, for an account that is registered here; as `ClientOptions` says. */
  readonly strangers?: StrangersPolicy;
}

/**
 * Opens the store and makes a client on it, offline.
 *
 * @throws {ClientError} CLI_STORE_LOCKED when another process uses the directory; CLI_STORE_UNUSABLE; CLI_STORE_CORRUPT.
 * @throws {TypeError} (as rejection) `ca` holds no certificate.
 */
export async function createClient(options: NodeClientOptions): Promise<Client> {
  if (options.ca !== undefined && !holdsCertificate(options.ca))
    throw new TypeError('"ca" expected certificates in PEM');
  const store = typeof options.store === 'string' ? diskStore(options.store) : options.store;
  return createPortableClient({
    ...options,
    store,
    transport: options.ca === undefined ? wsTransport : transportUnder(options.ca),
    ...(options.ca === undefined ? undefined : { fetch: fetchUnderAuthority(options.ca) }),
    clock: systemClock,
    random: systemRandom,
  });
}

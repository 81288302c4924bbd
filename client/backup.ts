/**
 * Backups: what goes into one, and what restoring makes of it.
 *
 * In a backup are the identity key and login key, contacts, trust, and the history. Not in it are sessions, pre-keys and
 * sender keys: a ratchet that is set back would use keys twice, so the restored device starts fresh sessions with
 * everybody. For the same reason the server must not take it for the old device, which may still be running: restoring
 * leaves the store without an account, and registering the number anew, with the restored identity, makes one. The
 * server gives a new device id and a new inbox; others see the same identity key, so nobody is asked to trust anew.
 *
 *   record of the store      in the backup  restored
 *   account                  yes            as `restored`, until the number is registered
 *   ordinal, phone, peer, heard, history, name, expiry, timer, profile, identities
 *                            yes            as it is
 *   head, marks              yes            without devices; everything before counts as sent
 *   outbox                   yes            not; the message is marked CLI_NOT_SENT in the history
 *   all others               no
 *
 * Restoring goes into an empty store, in groups, under a mark that is taken away with the last group; at any failure what
 * was written is removed again. Format: `backup-format.ts`; for people: `BACKUP.md`.
 */

import { DEFAULT_SCRYPT_COST, parseBackupDigits } from '../protocol/signal/index.ts';
import type { BackupSecret, ByteSource, ByteStream, ScryptCost } from '../protocol/signal/index.ts';
import { BACKUP_LAYOUT, readBackup, writeBackup } from './backup-format.ts';
import type { BackupManifest } from './backup-format.ts';
import type { Clock, Random } from './environment.ts';
import { ClientError } from './errors.ts';
import { GROUP_KEYS } from './group-layout.ts';
import { IDENTITY_KEYS } from './identities.ts';
import type { Journal } from './journal.ts';
import { HEAD, KEYS, MARKS, OUTBOX, userOfKey } from './layout.ts';
import { HISTORY } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import { scan } from './renewal.ts';
import type { Store, StoreChange, StoreEntry, StoreSource } from './store.ts';

/** What a backup is made with. */
export interface BackupOptions {
  readonly secret: BackupSecret;
  /** For a passphrase; 128 MiB of memory if not given. */
  readonly cost?: ScryptCost;
}

/** What restoring needs. */
export interface RestoreOptions {
  /** An empty store; it is closed at the end. */
  readonly store: StoreSource;
  readonly source: ByteSource;
  /** The secret, or how to ask for it once the file has told of which kind it is. */
  readonly secret: BackupSecret | ((kind: BackupSecret['kind']) => Promise<BackupSecret>);
}

/**
 * Prefixes of what is backed up; everything else stays. In this order: messages go on while a backup is made, so counters
 * come after what they count, and none is behind it.
 */
const BACKED_UP: readonly string[] = [
  KEYS.account,
  'phone/',
  'peer/',
  'history/',
  'name/',
  KEYS.expiries,
  'timer/',
  'profile/',
  IDENTITY_KEYS.all,
  KEYS.outboxes,
  'heard/',
  KEYS.marksAll,
  KEYS.heads,
  KEYS.ordinal,
  GROUP_KEYS.groups,
  'group-head/',
  'group-members/',
];

/**
 * Writes a backup of a store.
 *
 * @throws {ClientError} CLI_BACKUP_SECRET_WEAK; CLI_BACKUP_TOO_LARGE; CLI_STORE_FAILED.
 */
export async function* makeBackup(
  journal: Journal,
  phone: string,
  clock: Clock,
  random: Random,
  { secret, cost = DEFAULT_SCRYPT_COST }: BackupOptions,
): ByteStream<void> {
  requireStrong(secret);
  const manifest = { layout: BACKUP_LAYOUT, madeAt: clock.nowMs(), phone };
  yield* writeBackup(secret, cost, (length) => random.bytes(length), manifest, entriesOf(journal));
}

async function* entriesOf(journal: Journal): AsyncGenerator<StoreEntry, void, undefined> {
  for (const prefix of BACKED_UP) {
    const whole = prefix.endsWith('/') ? undefined : await journal.get(prefix);
    if (whole !== undefined) yield { key: prefix, value: whole };
    if (prefix.endsWith('/')) yield* scan(journal, prefix);
  }
}

function requireStrong(secret: BackupSecret): void {
  const isStrong =
    secret.kind === 'digits'
      ? parseBackupDigits(secret.digits) !== undefined
      : [...secret.passphrase].length >= LIMITS.passphraseLengthMin;
  if (!isStrong) throw new ClientError('CLI_BACKUP_SECRET_WEAK');
}

/**
 * Restores a backup into an empty store. A client on that store then has no account yet: `confirmCode` for the number of the
 * backup registers it anew, with the identity of the backup.
 *
 * @throws {ClientError} CLI_STORE_NOT_EMPTY; CLI_BACKUP_NOT_ONE; CLI_BACKUP_TOO_NEW; CLI_BACKUP_WRONG_KEY;
 * CLI_BACKUP_DAMAGED; CLI_BACKUP_TRUNCATED; CLI_STORE_LOCKED. The store is then as empty as before.
 */
export async function restoreBackup({ store: source, source: bytes, secret }: RestoreOptions): Promise<BackupManifest> {
  const store = typeof source === 'function' ? await source() : source;
  try {
    await prepare(store);
    return await fill(store, bytes, typeof secret === 'function' ? secret : () => withTidyDigits(secret));
  } finally {
    await store.close();
  }
}

/** Digits as people type them. */
function withTidyDigits(secret: BackupSecret): BackupSecret {
  if (secret.kind === 'passphrase') return secret;
  const digits = parseBackupDigits(secret.digits);
  if (digits === undefined) throw new ClientError('CLI_BACKUP_SECRET_WEAK');
  return { kind: 'digits', digits };
}

/** Leaves the store empty, or refuses. What an earlier attempt left behind goes. */
async function prepare(store: Store): Promise<void> {
  if ((await store.get(KEYS.restoring)) !== undefined) await wipe(store);
  if ((await store.list({ prefix: '', limit: 1 })).length > 0) throw new ClientError('CLI_STORE_NOT_EMPTY');
}

async function fill(
  store: Store,
  bytes: ByteSource,
  secretOf: (kind: BackupSecret['kind']) => BackupSecret | Promise<BackupSecret>,
): Promise<BackupManifest> {
  try {
    await store.write([{ type: 'put', key: KEYS.restoring, value: new Uint8Array(0) }], 'flushed');
    const manifest = await writeEntries(store, readBackup(bytes, secretOf));
    await reconcile(store);
    await store.write([{ type: 'delete', key: KEYS.restoring }], 'flushed');
    return manifest;
  } catch (error) {
    await wipe(store);
    throw error;
  }
}

async function writeEntries(
  store: Store,
  entries: AsyncGenerator<StoreEntry, BackupManifest, undefined>,
): Promise<BackupManifest> {
  let group: StoreChange[] = [];
  try {
    let step = await entries.next();
    for (; !step.done; step = await entries.next()) {
      group.push(toChange(step.value));
      if (group.length < LIMITS.restoreGroupCountMax) continue;
      await store.write(group, 'eventual');
      group = [];
    }
    await store.write(group, 'eventual');
    if ((await store.get(KEYS.restored)) === undefined) throw new ClientError('CLI_BACKUP_DAMAGED');
    return step.value;
  } finally {
    // The value does not matter: it only lets go of the source where the end was not reached.
    await entries.return(undefined as never);
  }
}

function toChange({ key, value }: StoreEntry): StoreChange {
  const isOurs = BACKED_UP.some((prefix) => (prefix.endsWith('/') ? key.startsWith(prefix) : key === prefix));
  if (!isOurs) throw new ClientError('CLI_BACKUP_DAMAGED');
  return { type: 'put', key: key === KEYS.account ? KEYS.restored : key, value };
}

/** Brings the records of sending into agreement: nothing waits, and no device of a peer is known. */
async function reconcile(store: Store): Promise<void> {
  for (const { key, value } of await listAll(store, KEYS.outboxes)) {
    const { ordinal } = OUTBOX.decode(value);
    const historyKey = KEYS.history(userOfKey(key), ordinal);
    const record = await store.get(historyKey);
    const changes: StoreChange[] = [{ type: 'delete', key }];
    if (record !== undefined) {
      const marked = HISTORY.encode({ ...HISTORY.decode(record), failure: 'CLI_NOT_SENT' });
      changes.push({ type: 'put', key: historyKey, value: marked });
    }
    await store.write(changes, 'eventual');
  }
  for (const { key, value } of await listAll(store, KEYS.heads)) {
    const [user, { nextId }] = [userOfKey(key), HEAD.decode(value)];
    const stored = await store.get(KEYS.marks(user));
    const marks = stored === undefined ? { deliveredId: 0, readId: 0 } : MARKS.decode(stored);
    const changes: StoreChange[] = [
      { type: 'put', key, value: HEAD.encode({ nextId, devices: [] }) },
      { type: 'put', key: KEYS.marks(user), value: MARKS.encode({ ...marks, sentId: nextId - 1 }) },
    ];
    await store.write(changes, 'eventual');
  }
}

/** Everything under a prefix whose records are few: conversations, and messages that waited. */
async function listAll(store: Store, prefix: string): Promise<StoreEntry[]> {
  const found: StoreEntry[] = [];
  for (;;) {
    const page = await store.list({ prefix, after: found.at(-1)?.key ?? prefix, limit: LIMITS.scanCountMax });
    found.push(...page);
    if (page.length < LIMITS.scanCountMax) return found;
  }
}

/** Removes everything; the mark of the restoration last. */
async function wipe(store: Store): Promise<void> {
  for (;;) {
    const page = await store.list({ prefix: '', limit: LIMITS.scanCountMax });
    const keys = page.map(({ key }) => key).filter((key) => key !== KEYS.restoring);
    if (keys.length === 0) break;
    await store.write(
      keys.map((key) => ({ type: 'delete', key })),
      'eventual',
    );
  }
  await store.write([{ type: 'delete', key: KEYS.restoring }], 'flushed');
}

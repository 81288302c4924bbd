/**
 * Where media lie: the contract that every store of them keeps, and `contract.test.ts` holds it to.
 *
 * A medium is a run of ciphertext bytes under an id. It has two lives: an *upload*, which belongs to an account, has a
 * declared size and grows at its end; and, from the moment its last byte is flushed, a *blob*, which never changes, belongs
 * to nobody and is read by whoever knows its id. A store knows no HTTP, no ticket and no key. Read next: `disk-store.ts`, `s3-store.ts`.
 */

/** How far an upload has come; `offset` equals `bytes` for a blob. */
export interface UploadState {
  /** The declared size. */
  readonly bytes: number;
  /** How many of them the store has. */
  readonly offset: number;
}

/**
 * Why a store does not do what it was asked.
 *
 * - `unknown`: no such id, or an upload of another account: the two must not be told apart.
 * - `busy`: another connection is appending to this upload.
 * - `offset`: the upload does not end where the caller says; `state` tells where it does.
 * - `full`: the disk has no room to spare; uploads are kept and go on later.
 * - `too-many`: the account has as many unfinished uploads as it may have.
 * - `unavailable`: what the store stands on does not answer; uploads are kept and go on later.
 */
export type MediaRefusal =
  | { readonly refused: 'unknown' | 'busy' | 'full' | 'too-many' | 'unavailable' }
  | { readonly refused: 'offset'; readonly state: UploadState };

/** The end of one upload, held by one connection. Every path must lead to `close`. */
export interface Appender {
  /** Where the next byte goes. */
  readonly offset: number;
  readonly bytes: number;
  /**
   * Writes `chunks` at the end, in order. They are borrowed until the promise settles; the next call waits for it.
   *
   * @returns `'full'` if the disk has no room to spare; nothing of these chunks counts then. `'unavailable'`, `'unknown'`: `offset`
   * tells how much of them counts.
   */
  write(chunks: readonly Uint8Array[]): Promise<'ok' | 'full' | 'unavailable' | 'unknown'>;
  /**
   * Lets go of the upload, everything written being flushed. If it is whole it is a blob when this resolves: flushed, in its
   * place, and there after a power cut.
   *
   * @returns How far it is. `unavailable`: it did not become a blob, and its last byte has to be sent again. `unknown`: what was
   * stored of it was lost, and the upload with it.
   */
  close(): Promise<UploadState | MediaRefusal>;
}

/** A blob being read. */
export interface BlobReader {
  readonly bytes: number;
  /** @returns At most `length` bytes from `position` on, owned; fewer only at the end. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What one slice of a sweep did. */
export interface SweepReport {
  readonly removed: number;
  /** Whether the round has come to its end; the next slice begins anew. */
  readonly done: boolean;
}

export interface MediaStore {
  /**
   * Begins an upload. Under an id that this account has begun before with the same size it answers how far that one is, so a
   * lost answer costs nothing.
   *
   * @param id - 32 lower-case hexadecimal digits.
   * @param owner - User id.
   * @returns `unknown` for an id that is taken.
   */
  create(id: string, owner: string, bytes: number, nowMs: number): Promise<UploadState | MediaRefusal>;
  /** How far an upload of `owner`, or a blob, is. */
  find(id: string, owner: string): Promise<UploadState | MediaRefusal>;
  /** Takes hold of the end of an upload. */
  append(id: string, owner: string, offset: number, nowMs: number): Promise<Appender | MediaRefusal>;
  /** Opens a blob; `unknown` for an upload that is not whole. What is open stays readable for hours when it is swept. */
  open(id: string): Promise<BlobReader | MediaRefusal>;
  /** Removes what has outlived its time, a bounded number of entries at a call. Rejects where that cannot be; the next call begins anew. */
  sweep(nowMs: number): Promise<SweepReport>;
  /** Removes the locks that a process left behind that was killed. For one worker of a node, before any appends. */
  clearLocks(): Promise<void>;
}

export function isRefused(result: object): result is MediaRefusal {
  return 'refused' in result;
}

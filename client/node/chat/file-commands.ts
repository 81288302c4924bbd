/**
 * `/send`, `/save` and `/backup`: files on their way in and out. They know the model only through what it is given.
 */

import { ClientError, generateBackupDigits } from '../../index.ts';
import type { Attachment, Client, MediaProgress } from '../../index.ts';
import { safeFileName } from '../../file-name.ts';
import { sizeOf } from '../../quantities.ts';
import { writeBackupFile } from '../backup-file.ts';
import { saveFile, uploadFile } from '../media-file.ts';
import { systemRandom } from '../system.ts';
import { pathIn } from './arguments.ts';
import { describeBody } from './model.ts';
import type { Notice, Peer } from './model.ts';
import { describeSystemError } from './system-error.ts';

/** Smaller files are there before anybody could read of their progress. */
const PROGRESS_BYTES_MIN = 8_388_608;

/** Sends a message to `peer`, and shows it at once as `text`. */
type Post = (peer: Peer, text: string, body: { readonly kind: 'attachment' } & Attachment) => Promise<void>;

/** Carries the commands out. What the SDK refuses is thrown; what the disk refuses is said. */
export class FileCommands {
  readonly #client: Client;
  readonly #notice: Notice;
  readonly #post: Post;

  constructor(client: Client, notice: Notice, post: Post) {
    this.#client = client;
    this.#notice = notice;
    this.#post = post;
  }

  /** Writes what this device has into a file, under a key that is shown once. */
  async backUp(path: string): Promise<void> {
    if (path === '') return this.#notice('/backup expected the name of a file', 'warning');
    const digits = generateBackupDigits((length) => systemRandom.bytes(length));
    try {
      await writeBackupFile(this.#client, path, { secret: { kind: 'digits', digits } });
      this.#notice(`Written to ${path}. Its key, which is nowhere else: ${digits.match(/.{4}/g)!.join(' ')}`);
    } catch (error) {
      if (ClientError.is(error)) throw error;
      this.#notice(`The backup could not be written: ${describeSystemError(error as Error)}`, 'warning');
    }
  }

  /** Sends a file. Before it is there, another conversation may be open: it goes to whom it was meant for. */
  async send(peer: Peer | undefined, words: string): Promise<void> {
    const path = pathIn(words);
    if (peer === undefined) return this.#notice('Nobody to send to yet. Choose with /to NUMBER.', 'warning');
    if (path === '') return this.#notice('/send expected the name of a file', 'warning');
    try {
      const attachment = await uploadFile(this.#client, path, { onProgress: this.#progressOf('Sending', path) });
      const body = { kind: 'attachment', ...attachment } as const;
      await this.#post(peer, describeBody({ kind: 'attachment', text: '', attachment }), body);
    } catch (error) {
      this.#reportFile(`${path} could not be sent`, error);
    }
  }

  /** Saves the file of that name that came in the open conversation; the last one that came, where there is none, under the name that is given. */
  async save(peer: Peer | undefined, words: string): Promise<void> {
    const path = pathIn(words);
    const history = peer === undefined ? [] : await this.#client.history(peer.user, { limit: 256 });
    const files = history.flatMap((item) =>
      item.direction === 'in' && item.kind === 'attachment' ? [item.attachment] : [],
    );
    const file = files.findLast(({ name }) => safeFileName(name) === path) ?? files.at(-1);
    if (file === undefined) return this.#notice('No file has come in this conversation.', 'warning');
    const target = path === '' ? safeFileName(file.name) : path;
    try {
      await saveFile(this.#client, file, target, { onProgress: this.#progressOf('Receiving', target) });
      this.#notice(`Saved as ${target}, ${sizeOf(file.bytes)}.`);
    } catch (error) {
      const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST' && path === '';
      this.#reportFile(`${target} could not be saved${isThere ? ' (/save NAME gives it another name)' : ''}`, error);
    }
  }

  /** Tells of each quarter of a file that takes long enough to have any. */
  #progressOf(verb: string, name: string): (progress: MediaProgress) => void {
    let told = 0;
    return ({ transferredBytes, totalBytes }) => {
      const quarter = Math.floor((4 * transferredBytes) / totalBytes);
      if (quarter <= told || totalBytes < PROGRESS_BYTES_MIN) return;
      told = quarter;
      this.#notice(`${verb} ${name}: ${quarter * 25} %`);
    };
  }

  #reportFile(what: string, error: unknown): void {
    if (ClientError.is(error)) throw error;
    this.#notice(`${what}: ${describeSystemError(error as Error)}`, 'warning');
  }
}

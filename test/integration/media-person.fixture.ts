/**
 * A person in a process of their own, moved by messages from the test: so that the memory of a transfer can be told from the
 * memory of everything else. The file that it sends is made as it is read, and what it receives is hashed as it comes.
 */

import { createHash } from 'node:crypto';
import { createClient, memoryStore, type Attachment, type Client } from '../../client/index.ts';
import { systemClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';

/** What stands over and over in the file. */
export const SECRET = 'meet me at the old harbour at noon, bring the blue envelope';

export type Command =
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'send'; readonly to: string; readonly bytes: number }
  | { readonly kind: 'receive' };

export type Report =
  | { readonly kind: 'code-wanted' | 'ready' }
  | { readonly kind: 'sent' | 'received'; readonly sha256: string; readonly bytes: number }
  | { readonly kind: 'failed'; readonly reason: string };

const PIECE_BYTES = 65_536;

/** The file, piece by piece: the secret, a counter, and the secret again. */
async function* fileOf(bytes: number, see: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array, void> {
  const line = Buffer.from(`${SECRET}\n`);
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const piece = new Uint8Array(Buffer.alloc(Math.min(PIECE_BYTES, bytes - at), line));
    new DataView(piece.buffer).setUint32(0, at);
    see(piece);
    yield piece;
  }
}

async function send(client: Client, to: string, bytes: number): Promise<Report> {
  const hash = createHash('sha256');
  const pieces = fileOf(bytes, (piece) => void hash.update(piece));
  const attachment = await client.uploadMedia({ bytes, pieces }, { name: 'plan.txt', type: 'text/plain' });
  await client.send(to, { kind: 'attachment', ...attachment });
  return { kind: 'sent', sha256: hash.digest('hex'), bytes };
}

async function receive(client: Client): Promise<Report> {
  const attachment = await nextAttachment(client);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of client.downloadMedia(attachment) as unknown as AsyncIterable<Uint8Array>) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { kind: 'received', sha256: hash.digest('hex'), bytes };
}

async function nextAttachment(client: Client): Promise<Attachment> {
  for await (const message of client.messages()) if (message.kind === 'attachment') return message.attachment;
  throw new Error('the client was closed before an attachment came');
}

/** Runs when this module is the program, which is when somebody listens. */
async function main(url: string, phone: string): Promise<void> {
  const tell = (report: Report): void => void process.send!(report);
  const random = { bytes: systemRandom.bytes, integer: (bound: number) => systemRandom.integer(Math.min(bound, 50)) };
  const client = await createClient({ url, store: memoryStore(), transport: wsTransport, clock: systemClock, random });
  await client.requestCode(phone);
  const code = new Promise<string>((resolve) =>
    process.once('message', (command: Command) => resolve(command.kind === 'code' ? command.code : '')),
  );
  tell({ kind: 'code-wanted' });
  await client.confirmCode(phone, await code);
  await client.connect();
  process.on('message', (command: Command) => {
    const work = command.kind === 'send' ? send(client, command.to, command.bytes) : receive(client);
    work.then(tell, (error: Error) => tell({ kind: 'failed', reason: error.stack ?? error.message }));
  });
  tell({ kind: 'ready' });
}

if (process.send !== undefined && process.argv[2]?.startsWith('ws:') === true) {
  await main(process.argv[2], process.argv[3]!);
}

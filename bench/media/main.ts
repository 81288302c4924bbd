/**
 * A client of `bench media` in a process of its own: the SDK as applications use it, so that its memory and its encryption are its own
 * and not the benchmark's. Started by `clients.ts` and by nothing else.
 */

import { randomBytes } from 'node:crypto';
import { createClient, memoryStore, type Attachment, type Client } from '../../client/node/index.ts';
import { LIMITS } from '../limits.ts';
import type { MediaAnswer, MediaCommand } from './control.ts';

if (process.send === undefined) throw new Error('a client is started by the benchmark, not by hand');

/** What files are made of, over and over: drawing them would be measured as well. */
const PIECE = new Uint8Array(randomBytes(LIMITS.mediaPieceBytes));
const SLICE = new Uint8Array(LIMITS.bareSliceBytes);

let client: Client | undefined;
/** It may come before the server's answer does that it was sent. */
let takeCode: (code: string) => void = () => undefined;
const codeTaken = new Promise<string>((resolve) => (takeCode = resolve));

process.on('message', (command: MediaCommand) => {
  if (command.kind === 'code') return takeCode(command.code);
  perform(command).then(tell, (error: Error) =>
    tell({ kind: 'failed', code: 'BENCH_RESULT', detail: `${command.kind}: ${error.message}` }),
  );
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

type Task = Exclude<MediaCommand, { kind: 'code' }>;

function perform(task: Task): Promise<MediaAnswer> {
  switch (task.kind) {
    case 'open':
      return open(task.url, task.phone);
    case 'upload':
      return upload(task.bytes);
    case 'download':
      return download(task.attachment);
    case 'bare-upload':
      return sendBare(task.url, task.bytes);
    case 'bare-download':
      return fetchBare(task.url, task.bytes);
  }
}

async function open(url: string, phone: string): Promise<MediaAnswer> {
  client = await createClient({ url, store: memoryStore() });
  await client.requestCode(phone);
  await client.confirmCode(phone, await codeTaken);
  await client.connect();
  return { kind: 'opened' };
}

async function upload(bytes: number): Promise<MediaAnswer> {
  return { kind: 'uploaded', attachment: await client!.uploadMedia({ bytes, pieces: piecesOf(bytes) }) };
}

async function* piecesOf(bytes: number): AsyncGenerator<Uint8Array, void> {
  for (let left = bytes; left > 0; left -= PIECE.length) yield PIECE.subarray(0, left);
}

/** The stream errors unless the file is the one that was sent: its digest is in the attachment. */
async function download(attachment: Attachment): Promise<MediaAnswer> {
  return { kind: 'downloaded', bytes: await countBytes(client!.downloadMedia(attachment)) };
}

async function sendBare(url: string, bytes: number): Promise<MediaAnswer> {
  for (let left = bytes; left > 0; left -= SLICE.length) {
    const response = await fetch(url, { method: 'PATCH', body: SLICE.subarray(0, left) as unknown as BodyInit });
    if (response.status !== 204) throw new Error(`status ${response.status}`);
  }
  return { kind: 'sent' };
}

async function fetchBare(url: string, bytes: number): Promise<MediaAnswer> {
  const response = await fetch(`${url}?bytes=${bytes}`);
  return { kind: 'downloaded', bytes: await countBytes(response.body!) };
}

async function countBytes(stream: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const piece of stream as unknown as AsyncIterable<Uint8Array>) bytes += piece.length;
  return bytes;
}

function tell(answer: MediaAnswer): void {
  process.send!(answer);
}

/**
 * Files from the disk to a chat and back. Encrypted and decrypted in the page; a file that is not whole never reaches the disk
 * under its name.
 */

import { safeFileName } from '../../file-name.ts';
import { sizeOf } from '../../quantities.ts';
import type { Attachment, MediaProgress } from '../index.ts';
import { browserClock } from '../system.ts';
import { button, make } from './dom.ts';
import type { Session } from './session.ts';

/** The longer side of the small picture that travels within the message. */
const THUMBNAIL_PX = 160;
/** Small enough for the message that carries it, beside a caption. */
const THUMBNAIL_BYTES_MAX = 6_144;
/** A picture beyond this is saved and not shown: it would have to be held in memory whole. */
const PICTURE_BYTES_MAX = 32 * 2 ** 20;

/** Uploads files one after the other and sends each as a message of its own. @param viewOnce - Whether they can be viewed once only. */
export async function sendFiles(
  session: Session,
  peer: string,
  files: readonly File[],
  viewOnce: boolean,
): Promise<void> {
  for (const file of files) {
    let told = session.tellProgress(undefined, `Sending ${file.name} …`);
    const onProgress = ({ transferredBytes, totalBytes }: MediaProgress): void =>
      void (told = session.tellProgress(
        told,
        `Sending ${file.name}: ${Math.floor((100 * transferredBytes) / totalBytes)} %`,
      ));
    try {
      const attachment = await session.client.uploadMedia(file, {
        name: file.name,
        type: file.type,
        onProgress,
        ...(await sketch(file)),
      });
      await session.client.enqueue(peer, { kind: 'attachment', ...attachment, viewOnce });
    } finally {
      session.dismiss(told);
    }
  }
}

/** Size and small picture of an image; nothing of another file, or of one that the browser cannot read. */
async function sketch(file: File): Promise<{ width?: number; height?: number; thumbnail?: Uint8Array }> {
  if (!file.type.startsWith('image/')) return {};
  try {
    const image = await createImageBitmap(file);
    const { width, height } = image;
    const scale = Math.min(1, THUMBNAIL_PX / Math.max(width, height));
    const canvas = make('canvas', {
      width: Math.max(1, Math.round(width * scale)),
      height: Math.max(1, Math.round(height * scale)),
    });
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.6));
    if (blob === null || blob.size > THUMBNAIL_BYTES_MAX) return { width, height };
    return { width, height, thumbnail: new Uint8Array(await blob.arrayBuffer()) };
  } catch {
    return {};
  }
}

/** The small picture that came with a message. A broken one shows nothing. */
function thumbnailOf({ thumbnail, name }: Attachment): HTMLElement | undefined {
  if (thumbnail.length === 0) return undefined;
  return picture(new Blob([thumbnail as Uint8Array<ArrayBuffer>], { type: 'image/jpeg' }), name);
}

/** An image from memory, released when it has been drawn. */
function picture(blob: Blob, alt: string): HTMLImageElement {
  const url = URL.createObjectURL(blob);
  const release = (): void => URL.revokeObjectURL(url);
  return make('img', { src: url, alt, onload: release, onerror: release });
}

/** Downloads an image and shows it large. */
async function showPicture(session: Session, attachment: Attachment, report: (text: string) => void): Promise<void> {
  if (attachment.bytes > PICTURE_BYTES_MAX) return openFile(session, attachment, report);
  const blob = await fetchWhole(session, attachment, report);
  const dialog = make(
    'dialog',
    { onclose: () => dialog.remove(), onclick: () => dialog.close() },
    picture(blob, attachment.name),
  );
  document.body.append(dialog);
  dialog.showModal();
}

/** Downloads a file and hands it to the browser to save. */
async function openFile(session: Session, attachment: Attachment, report: (text: string) => void): Promise<void> {
  const url = URL.createObjectURL(await fetchWhole(session, attachment, report));
  make('a', { href: url, download: safeFileName(attachment.name) }).click();
  // The browser reads it in its own time; a minute is enough to begin.
  browserClock.setTimer(60_000, () => URL.revokeObjectURL(url));
}

/** The whole file, checked: the stream errors before its end if it is not the one that was sent. */
async function fetchWhole(session: Session, attachment: Attachment, report: (text: string) => void): Promise<Blob> {
  const stream = session.client.downloadMedia(attachment, {
    onProgress: ({ transferredBytes, totalBytes }) => report(`${Math.floor((100 * transferredBytes) / totalBytes)} %`),
  });
  // Never as a type that a browser would run: it is only ever saved, or drawn as an image.
  const type =
    attachment.type.startsWith('image/') && attachment.type !== 'image/svg+xml'
      ? attachment.type
      : 'application/octet-stream';
  const pieces: BlobPart[] = [];
  for await (const piece of piecesOf(stream)) pieces.push(piece as Uint8Array<ArrayBuffer>);
  report('');
  return new Blob(pieces, { type });
}

/** Streams are no iterables in every browser yet. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
}

/** A file that came: its small picture, and how to get the rest. */
export function fileParts(session: Session, attachment: Attachment): (HTMLElement | undefined)[] {
  const { name, bytes, type } = attachment;
  const progress = make('small', { role: 'status' });
  const small = thumbnailOf(attachment);
  const isPicture = /^image\/(png|jpeg|gif|webp|avif)$/.test(type);
  return [
    small,
    make(
      'p',
      {},
      button(`${isPicture ? 'Show' : 'Save'} ${name || 'file'}`, () =>
        session.attempt(async () => {
          const report = (text: string): void => void (progress.textContent = text);
          if (isPicture) await showPicture(session, attachment, report);
          else await openFile(session, attachment, report);
        }),
      ),
      ' ',
      make('small', {}, sizeOf(bytes)),
      ' ',
      progress,
    ),
  ];
}

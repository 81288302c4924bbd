/**
 * Sealed streams as web streams: what `fetch`, `Blob` and `pipeThrough` speak, the same in browsers and in Node.
 *
 * A stream that turns out wrong errors with the `SignalError` as its reason, so that whoever pipes it into a file does not
 * take a part for the whole. Backpressure is kept: nothing is encrypted before it is asked for. Read next: `media.ts`.
 */
import { isSignalError, type SignalError } from './errors.ts';
import { decryptMedia, type MediaEncryption, type MediaReference } from './media.ts';
import type { ByteStream } from './sealed-stream.ts';

/** Something to `pipeThrough`. */
export interface ByteTransform {
  readonly writable: WritableStream<Uint8Array>;
  readonly readable: ReadableStream<Uint8Array>;
}

/**
 * Encrypts what is piped through: `blob.stream().pipeThrough(transform)`.
 *
 * @param encryption - Unused so far.
 * @returns With `outcome`, which resolves once the last byte has been taken; it never rejects for what `encrypt` returns.
 */
export function mediaEncryptionTransform(
  encryption: MediaEncryption,
): ByteTransform & { readonly outcome: Promise<MediaReference | SignalError> } {
  const inlet = new TransformStream<Uint8Array, Uint8Array>();
  const { readable, outcome } = toReadableStream(encryption.encrypt(fromReadableStream(inlet.readable)));
  return { writable: inlet.writable, readable, outcome };
}

/** Decrypts what is piped through: `(await fetch(url)).body.pipeThrough(transform)`. Errors as `decryptMedia` returns. */
export function mediaDecryptionTransform(reference: MediaReference): ByteTransform {
  const inlet = new TransformStream<Uint8Array, Uint8Array>();
  const { readable, outcome } = toReadableStream(decryptMedia(reference, fromReadableStream(inlet.readable)));
  outcome.catch(() => undefined); // the readable side says it
  return { writable: inlet.writable, readable };
}

/**
 * A generator as a readable stream.
 *
 * @returns The stream, and what the generator returned. `outcome` rejects where the source failed or the reader left.
 */
export function toReadableStream<Outcome>(pieces: ByteStream<Outcome>): {
  readonly readable: ReadableStream<Uint8Array>;
  readonly outcome: Promise<Outcome>;
} {
  let settle!: (outcome: Outcome | PromiseLike<Outcome>) => void;
  const outcome = new Promise<Outcome>((resolve) => (settle = resolve));
  outcome.catch(() => undefined); // the readable side fails as well; nobody need listen twice
  const readable = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const step = await pieces.next().catch((reason: unknown) => {
          settle(Promise.reject(reason as Error));
          throw reason;
        });
        if (!step.done) return controller.enqueue(step.value);
        settle(step.value);
        if (isSignalError(step.value)) controller.error(step.value);
        else controller.close();
      },
      async cancel(reason) {
        settle(Promise.reject(reason as Error));
        await pieces.return(undefined as never);
      },
    },
    { highWaterMark: 0 },
  );
  return { readable, outcome };
}

/** A readable stream as a source; cancelled when the source is left early. Not every browser iterates streams itself. */
export async function* fromReadableStream(readable: ReadableStream<Uint8Array>): ByteStream<void> {
  const reader = readable.getReader();
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

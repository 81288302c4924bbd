/** The adapter to a collector: one POST by the platform's `fetch`, which keeps connections open. Follows no redirect, reads a bounded answer, gives up in time. */

import type { PostTraces } from './exporter.ts';
import { LIMITS } from './limits.ts';

/** @param headers - To send beside the content type, as for authorization. */
export function postTo(url: string, headers: Readonly<Record<string, string>>): PostTraces {
  const head = Object.assign({ 'content-type': 'application/json' }, headers);
  return async (body) => {
    const signal = AbortSignal.timeout(LIMITS.requestMsMax);
    const response = await fetch(url, { method: 'POST', headers: head, body, redirect: 'manual', signal });
    const retryAfter = response.headers.get('retry-after') ?? undefined;
    return { status: response.status, retryAfter, body: await readBounded(response) };
  };
}

async function readBounded(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (reader !== undefined && length < LIMITS.answerBytesMax) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  // What is left of an endless answer is not waited for.
  if (length >= LIMITS.answerBytesMax) await reader?.cancel();
  return Buffer.concat(parts).toString('utf8');
}

/**
 * What the server says in one WebSocket message. A generator takes nothing on trust: what does not decode ends the run.
 */

import { decodeMessage, isWireError, parseServerMessage, type ServerMessage } from '../../protocol/wire/index.ts';
import { BenchError } from '../errors.ts';

/**
 * Reads the messages in `bytes` from `start` to `end`. @param bytes - Borrowed.
 *
 * @throws {BenchError} BENCH_UNEXPECTED where they are none of the protocol.
 */
export function readServerMessages(bytes: Uint8Array, start: number, end: number): ServerMessage[] {
  const stanzas = decodeMessage(bytes.subarray(start, end));
  if (isWireError(stanzas)) throw new BenchError('BENCH_UNEXPECTED', stanzas.message);
  return stanzas.map((stanza) => {
    const message = parseServerMessage(stanza);
    if (isWireError(message)) throw new BenchError('BENCH_UNEXPECTED', message.message);
    return message;
  });
}

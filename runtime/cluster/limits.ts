/**
 * Every bound of the cluster, with its unit in the name and its reason beside it.
 */

import assert from 'node:assert/strict';

import { LIMITS as RUNTIME } from '../limits.ts';

export const LIMITS: Readonly<{
  nodeNameCharsMax: number;
  clusterNameCharsMax: number;
  nodeCountMax: number;
  beatMs: number;
  silenceMsMax: number;
  suspectMs: number;
  desertedMs: number;
  desertedAnswerMs: number;
  beatBytesMax: number;
  frameBytesMax: number;
  gatherMs: number;
  windowBytes: number;
  acknowledgeBytes: number;
  tickMs: number;
  retryMs: number;
  lostMs: number;
  busPingMs: number;
  busReconnectMs: number;
  busConnectMsMax: number;
}> = Object.freeze({
  /** Characters of a node's name. It is part of a subject, and of the text of every link to an actor there. */
  nodeNameCharsMax: 32,
  clusterNameCharsMax: 32,
  /** Nodes of a cluster. Every worker has a channel to every other: 500 nodes with 15 workers are 7,500 channels. */
  nodeCountMax: 500,
  /** Milliseconds between two signs of life of a node. Four and a bit of them fit into the silence below. */
  beatMs: 250,
  /**
   * Milliseconds of silence after which a node is down. Shorter, and a long collection of garbage ends all its channels;
   * longer, and everybody who waits for that node waits.
   */
  silenceMsMax: 1_250,
  /** Milliseconds of silence after which the bus is asked whether anybody listens there: two signs of life are missing. */
  suspectMs: 500,
  /**
   * Milliseconds for which nobody has listened there, by two answers at least, after which the node is down without waiting for the rest of its silence. A process that
   * was killed is noticed after 0.75 to 1 s so; one whose NATS server died is with another one after a tenth of that.
   */
  desertedMs: 200,
  /** Milliseconds to wait for the bus to say that nobody listens: it says so at once or not at all. */
  desertedAnswerMs: 200,
  /** Bytes of a sign of life. It names the workers of its node, and what the application says of it. */
  beatBytesMax: 16 * 1024,
  /** Bytes of one frame at most; less if the bus takes less. Larger ones save nothing and delay what comes after them. */
  frameBytesMax: 256 * 1024,
  /**
   * Milliseconds between two departures of frames, at least: a lone message leaves at once, and under load a frame has more in it.
   * Three nodes on one machine carried 12,000 messages a second at a median of 18.5 ms with 0, 14.7 with 1, 12.4 and 13.4 with 2,
   * 18.6 with 4 (2 cores, AMD EPYC, virtual, 2026-11).
   */
  gatherMs: 2,
  /**
   * Bytes that one channel may have under way. At 2 ms a round 1 MiB allows 500 MB a second; and a NATS server drops a
   * reader that is 64 MiB behind, which takes 64 full channels to one worker.
   */
  windowBytes: 1024 * 1024,
  /** Received bytes after which an acknowledgement goes out without waiting for a frame to travel with. */
  acknowledgeBytes: 128 * 1024,
  /** Milliseconds between two looks at the channels that have something open: greetings, acknowledgements, repetitions. */
  tickMs: 100,
  /** Milliseconds without progress after which everything that is under way is sent again. */
  retryMs: 500,
  /** Milliseconds without progress, on a bus that works, after which a channel is given up. Far above a stuck worker. */
  lostMs: 10_000,
  /** Milliseconds between two questions to the NATS server whether it is there; two without an answer end the connection. */
  busPingMs: 500,
  /** Milliseconds between two attempts to connect, each to the next server; up to as much again is added at random. */
  busReconnectMs: 100,
  /** Milliseconds for one attempt. */
  busConnectMsMax: 2_000,
});

assert.ok(LIMITS.silenceMsMax >= 4 * LIMITS.beatMs, 'one lost sign of life, or two, do not end a node');
assert.ok(LIMITS.suspectMs >= 2 * LIMITS.beatMs, 'one lost sign of life makes nobody suspect');
assert.ok(LIMITS.retryMs >= 2 * LIMITS.tickMs, 'a repetition leaves time for the acknowledgement');
assert.ok(
  RUNTIME.workerPacketBytesMax + 64 <= LIMITS.frameBytesMax && LIMITS.frameBytesMax <= LIMITS.windowBytes,
  'the largest packet fits into a frame, and a frame into the window',
);

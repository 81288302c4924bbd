/**
 * Every bound of what nodes of a cluster ask of each other for their operators, with its reason. Units stand in the names.
 */

import assert from 'node:assert/strict';
import { LIMITS as RUNTIME_LIMITS } from '../../runtime/index.ts';

export const LIMITS = {
  /** How long one node waits for the answer of another: a moment longer than that one waits for its own workers. */
  answerMs: 3_000,
  /** Shards in one answer. Between threads and nodes a row takes about 250 bytes, and a packet holds 128 KiB. */
  shardRowsMax: 256,
  /** A node that was silent for so long, three signs of life, is shown as suspect; a little later it is down. */
  suspectMs: 800,
  /** A challenge is answered at once, or never. */
  nonceAgeMs: 10_000,
  /** Challenges that are open at a time for one node; its next one takes the place of its oldest. An order holds one for a round trip. */
  nonceCountMax: 16,
  /** As `nonceCountMax`, for all nodes together: names of nodes can be made up by who may speak on the bus. */
  nonceTotalMax: 4_096,
  /** Orders of other nodes that are carried out at a time: operators do one thing after the other. */
  orderCountMax: 16,
  /** Orders that are kept in mind, with those that have ended; of these the oldest are forgotten first. */
  outcomeCountMax: 256,
  /** What became of an order can be asked for so long after its end. */
  outcomeAgeMs: 60_000,
  /** Stages of an order that wait to be asked for; beyond it the oldest is lost. */
  stageCountMax: 100,
  /** Bytes of an order as JSON: a name and a few settings. */
  orderBytesMax: 4_096,
  /** Between two questions what has become of an order. */
  pollMs: 200,
  /** A node that does not answer for so long while it carries out an order is given up. */
  lostMs: 10_000,
  /** A node that is to go back and is silent or busy is asked again for so long; a busy one for as long as a reload takes in addition. */
  backAgainMs: 15_000,
  /** Between two such questions. */
  backPauseMs: 500,
  /** Rows about shards that are believed of another node: more than a cluster has shards. */
  copyRowsMax: 1_024,
  /** How long a node that drains waits for others to take its shards: a copy may have to be made first. */
  handOverMs: 60_000,
  /** A node that was asked to end answers first. */
  endPauseMs: 200,
} as const;

assert.ok(LIMITS.shardRowsMax * 250 < RUNTIME_LIMITS.workerPacketBytesMax, 'an answer travels in one packet');
assert.ok(
  LIMITS.orderCountMax < LIMITS.outcomeCountMax,
  'what became of an order is not forgotten before it is asked for',
);
assert.ok(LIMITS.pollMs * 10 < LIMITS.lostMs, 'some lost questions are no lost node');

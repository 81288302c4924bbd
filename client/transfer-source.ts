/**
 * Reads the history for another own device: newest first over all conversations, piece by piece, from any point on.
 *
 * Local numbers ascend over all conversations, so one of them is a cursor: everything from it on was dealt with before. Of each conversation
 * only the number of its next message is held; so memory is bounded by the piece, and a piece can be made again after any crash.
 *
 * What does not travel: messages that disappear or may be viewed once, placeholders of what could not be read, and what the server has
 * not acknowledged yet (the other device hears of it when it is). Read next: `transfer-sink.ts`.
 */

import { groupOfName } from './group-layout.ts';
import type { Journal } from './journal.ts';
import { KEYS, MARKS, numberOfKey, PEER, userOfKey } from './layout.ts';
import { HISTORY } from './history-layout.ts';
import { NUMBER } from './record-codec.ts';
import type { MarksRecord } from './layout.ts';
import type { HistoryRecord } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import { scan } from './renewal.ts';
import { ChunkWriter } from './transfer-format.ts';

/** One piece and where the next one begins. */
export interface GatheredChunk {
  readonly bytes: Uint8Array;
  readonly next: number;
  readonly isLast: boolean;
  /** Messages that were dealt with. */
  readonly count: number;
}

/** How many messages there are. */
export async function countMessages(journal: Journal): Promise<number> {
  let count = 0;
  for await (const _ of scan(journal, HISTORIES)) count += 1;
  return count;
}

const HISTORIES = 'history/';

/** The next message of one conversation. */
interface Head {
  readonly conversation: string;
  ordinal: number;
}

/**
 * Makes a piece.
 *
 * @param cursor - Messages from this local number on were dealt with; 0: none were.
 */
export async function gatherChunk(
  journal: Journal,
  self: { readonly device: number },
  cursor: number,
): Promise<GatheredChunk> {
  const writer = new ChunkWriter();
  const heads = await headsBelow(journal, cursor);
  const described = new Map<string, MarksRecord>();
  let [next, count] = [cursor, 0];
  while (heads.length > 0 && writer.length < LIMITS.transferChunkBytes) {
    const head = heads.reduce((newest, each) => (each.ordinal > newest.ordinal ? each : newest));
    const { conversation, ordinal } = head;
    const [entry, following] = await newestBelow(journal, conversation, ordinal + 1, 2);
    next = ordinal;
    count += 1;
    if (following === undefined) heads.splice(heads.indexOf(head), 1);
    else head.ordinal = numberOfKey(following.key);
    const record = HISTORY.decode(entry!.value);
    const marks = described.get(conversation) ?? (await marksOf(journal, conversation));
    if (!isTravelling(conversation, record, marks, self.device)) continue;
    if (!described.has(conversation)) await describe(journal, writer, conversation, marks, self.device);
    described.set(conversation, marks);
    writer.add({ kind: 'message', conversation, message: record });
  }
  return { bytes: writer.finish(), next, isLast: heads.length === 0, count };
}

async function headsBelow(journal: Journal, cursor: number): Promise<Head[]> {
  const heads: Head[] = [];
  for (let after = HISTORIES; ;) {
    const [first] = await journal.list({ prefix: HISTORIES, after, limit: 1 });
    if (first === undefined) return heads;
    const conversation = userOfKey(first.key);
    const [newest] = await newestBelow(journal, conversation, cursor === 0 ? Number.MAX_SAFE_INTEGER : cursor, 1);
    if (newest !== undefined) heads.push({ conversation, ordinal: numberOfKey(newest.key) });
    // Behind every digit.
    after = `${KEYS.historyOf(conversation)}~`;
  }
}

function newestBelow(
  journal: Journal,
  conversation: string,
  ordinal: number,
  limit: number,
): ReturnType<Journal['list']> {
  const prefix = KEYS.historyOf(conversation);
  return journal.list({ prefix, after: KEYS.history(conversation, ordinal), limit, newestFirst: true });
}

async function marksOf(journal: Journal, conversation: string): Promise<MarksRecord> {
  const stored = await journal.get(KEYS.marks(conversation));
  return stored === undefined ? { sentId: 0, deliveredId: 0, readId: 0 } : MARKS.decode(stored);
}

function isTravelling(conversation: string, record: HistoryRecord, marks: MarksRecord, device: number): boolean {
  const { body, expiresAt, isViewOnce, direction, number, order, failure } = record;
  if (expiresAt !== undefined || isViewOnce || body.kind === 'view-once' || body.kind === 'undecryptable') return false;
  const isOurs = direction === 'out' && record.device === device && failure === undefined;
  const isAcknowledged = groupOfName(conversation) === undefined ? number <= marks.sentId : order > 0;
  return !isOurs || isAcknowledged;
}

/** What belongs to a conversation beside its messages: once in each piece that has any of them. */
async function describe(
  journal: Journal,
  writer: ChunkWriter,
  conversation: string,
  marks: MarksRecord,
  device: number,
): Promise<void> {
  const peer = await journal.get(KEYS.peer(conversation));
  if (peer !== undefined) writer.add({ kind: 'contact', user: conversation, ...PEER.decode(peer) });
  const timer = await journal.get(KEYS.timer(conversation));
  if (timer !== undefined) writer.add({ kind: 'timer', conversation, seconds: NUMBER.decode(timer) });
  if (groupOfName(conversation) !== undefined) return;
  if (marks.sentId > 0) writer.add({ kind: 'marks', conversation, device, ...marks });
  for await (const { key, value } of scan(journal, KEYS.twinMarksTo(conversation))) {
    writer.add({ kind: 'marks', conversation, device: numberOfKey(key), ...MARKS.decode(value) });
  }
}

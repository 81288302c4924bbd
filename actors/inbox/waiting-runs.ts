/**
 * The bookkeeping of what waits, and of what is lost, conversation by conversation.
 *
 * A *run* is what waits of one conversation for one device, a *gap* is what no device will get of it. Both stand in the record
 * of the conversation, which a commit that adds or removes entries writes anyway, so a long queue is known by its conversations
 * without looking through it. A commit that fails takes its changes back: `touch` comes before the first of them.
 *
 * Knows no disk and no connections. Read next: `staged-drain.ts`, which reads the runs, and `plan-losses.ts`, which makes gaps.
 */

import { LIMITS } from '../limits.ts';
import type { Conversation, Device, Recipient } from './recipients.ts';
import type { ConversationRecord, WaitingRun } from '../store/inbox-store.ts';
import { isInDoubt, settledGaps } from '../store/doubt.ts';
import type { GapRecord } from '../store/loss.ts';

/** A run that a commit changes. */
export type MutableRun = { -readonly [Field in keyof WaitingRun]: WaitingRun[Field] };

/** What a conversation was before the commit under way. */
export interface Former {
  readonly recipient: Recipient;
  readonly waiting: MutableRun[];
  readonly gaps: readonly GapRecord[];
}

/** The conversations whose runs or gaps a commit changes. */
export type Touched = Map<Conversation, Former>;

/** Notes what `conversation` was, once a commit: what is changed afterwards can be taken back. */
export function touch(touched: Touched, conversation: Conversation, recipient: Recipient): void {
  if (touched.has(conversation)) return;
  touched.set(conversation, { recipient, waiting: conversation.waiting, gaps: conversation.gaps });
  conversation.waiting = conversation.waiting.map((run) => ({ ...run }));
}

/** Takes the changes of a commit back. */
export function restore(touched: Touched): void {
  for (const [conversation, { waiting, gaps }] of touched) {
    conversation.waiting = waiting;
    conversation.gaps = gaps;
  }
}

/** The run of a device, if anything waits for it. */
export function runOf(conversation: Conversation, device: number): MutableRun | undefined {
  for (const run of conversation.waiting) if (run.device === device) return run;
  return undefined;
}

/** An entry joins its run: at the end, or at the front when it was fresh and is moved behind what waits. The conversation is touched. */
export function addToRun(conversation: Conversation, device: number, seq: number, bytes: number): void {
  const run = runOf(conversation, device);
  if (run === undefined) {
    conversation.waiting.push({ device, first: seq, last: seq, count: 1, bytes });
    return;
  }
  run.first = Math.min(run.first, seq);
  run.last = Math.max(run.last, seq);
  run.count++;
  run.bytes += bytes;
}

/**
 * An entry leaves its run. The conversation is touched.
 *
 * @param isFront - Nothing of the run stands before it.
 */
export function takeFromRun(
  conversation: Conversation,
  device: number,
  seq: number,
  bytes: number,
  isFront: boolean,
): void {
  const run = runOf(conversation, device);
  if (run === undefined) return;
  run.count--;
  run.bytes -= bytes;
  if (isFront) run.first = Math.max(run.first, seq + 1);
  if (run.count <= 0) dropRun(conversation, device);
}

/** Nothing waits for the device any more. The conversation is touched. */
export function dropRun(conversation: Conversation, device: number): void {
  conversation.waiting = conversation.waiting.filter((run) => run.device !== device);
}

/**
 * Notes that messages of a conversation are lost to `device`. Lost to the conversation, and told to its sender, is what no device
 * has acknowledged and no other device can get. The conversation is touched.
 *
 * @returns The gap that the sender is told, if it is one.
 */
export function noteGap(
  conversation: Conversation,
  recipient: Recipient,
  device: Device,
  { since, until, code }: GapRecord,
): GapRecord | undefined {
  const first = Math.max(since, conversation.delivered + 1);
  if (first > until || isHeldForOthers(conversation, recipient, device)) return undefined;
  const gap = { since: first, until, code };
  conversation.gaps = mergeGap(conversation.gaps, gap);
  conversation.gapsTold = false;
  return gap;
}

/** Whether another device of the recipient has messages of the conversation: those in doubt are not lost yet. */
function isHeldForOthers(conversation: Conversation, recipient: Recipient, device: Device): boolean {
  for (const other of recipient.devices) {
    if (other !== device && (other.fresh.length > 0 || runOf(conversation, other.id) !== undefined)) return true;
  }
  return false;
}

/**
 * What is lost in one piece and for one reason is one gap. Of too many the oldest go: their sender was told long ago. A doubt, which is
 * about what comes after all others, stays the last.
 */
export function mergeGap(gaps: readonly GapRecord[], gap: GapRecord): readonly GapRecord[] {
  if (isInDoubt({ gaps })) return [...mergeGap(settledGaps(gaps), gap), gaps.at(-1)!].slice(-LIMITS.gapCountMax);
  const last = gaps.at(-1);
  if (last !== undefined && last.code === gap.code && gap.since <= last.until + 1) {
    const merged = { since: Math.min(last.since, gap.since), until: Math.max(last.until, gap.until), code: gap.code };
    return gaps.with(-1, merged);
  }
  return [...gaps, gap].slice(-LIMITS.gapCountMax);
}

/** The record of a conversation as a commit writes it. */
export function recordOf({ accepted, waiting, gaps }: Conversation, delivered: number): ConversationRecord {
  if (waiting.length === 0 && gaps.length === 0) return { accepted, delivered };
  return { accepted, delivered, waiting, gaps };
}

/**
 * Notes, on this thread, when a message reaches a stage. Shell, never reloaded: actors of every version write to the same memory.
 *
 * Off until a thread is given memory; actors ask `tracing.isOn` first, and that is all that tracing costs then. Otherwise each stage of each
 * message makes its key, some sixty multiplications, and only what is sampled looks into the table.
 *
 * Write-only for those who serve: nothing decides by it. What the table is, `trace-table.ts` says.
 */

import { add, gauge } from '../metrics/meter.ts';
import { LIMITS } from './limits.ts';
import { TraceTable, type Outcome, type Stage } from './trace-table.ts';

export { STAGES, type Stage } from './trace-table.ts';

/** Whether this thread traces. */
export const tracing: { readonly isOn: boolean } = { isOn: false };

/** A device by the user, its number and which of its registrations: a `SenderAddress`. */
interface Sender {
  readonly user: string;
  readonly device: number;
  readonly creation: number;
}

/** A traced message of this thread's connections that has no answer yet. */
interface Unanswered {
  readonly id: number;
  readonly slot: number;
  readonly high: number;
  readonly low: number;
}

const MISSED = gauge('blindbeam_traces_missed_total');

let table: TraceTable | undefined;
let nowUs: () => number = () => 0;
let seedHigh = 0;
let seedLow = 0;
/** By conversation, since answers are cumulative: what waits in others, or will wait for ever, is not looked at. */
let unanswered = new Map<number, Unanswered[]>();
let unansweredCount = 0;
let sweptAtUs = -Infinity;

/**
 * From now on this thread notes there.
 *
 * @param clock - Microseconds from a start that all threads of the process have in common; never 0.
 */
export function useTraceMemory(memory: SharedArrayBuffer, clock: () => number): void {
  table = new TraceTable(memory);
  [seedHigh, seedLow] = table.seeds;
  nowUs = clock;
  unanswered = new Map();
  unansweredCount = 0;
  sweptAtUs = -Infinity;
  setOn(true);
}

function setOn(isOn: boolean): void {
  (tracing as { isOn: boolean }).isOn = isOn;
}

/** Runs `run` without a trace: for what is only tried (`runtime/reload/`). */
export function traceAside<Result>(run: () => Result): Result {
  const wasOn = tracing.isOn;
  setOn(false);
  try {
    return run();
  } finally {
    setOn(wasOn);
  }
}

/** A connection has read a message: here a trace begins. Before anybody else has the message. */
export function noteReceived({ user, device, creation }: Sender, to: string, id: number): void {
  if (table === undefined) return;
  hashConversation(user, device, creation, to);
  const conversation = conversationKey();
  hashId(id);
  if (!table.isSampled(keyHigh)) return;
  // One that is sent again is followed from its first time.
  if (table.find(keyHigh, keyLow) >= 0) return;
  const slot = makeRoom() ? table.claim(keyHigh, keyLow, nowUs()) : -1;
  if (slot < 0) return add(MISSED);
  const waiting = unanswered.get(conversation);
  const message = { id, slot, high: keyHigh, low: keyLow };
  if (waiting === undefined) unanswered.set(conversation, [message]);
  else waiting.push(message);
  unansweredCount += 1;
}

/** A message has reached `stage`. */
export function noteStage(stage: Stage, user: string, device: number, creation: number, to: string, id: number): void {
  if (table === undefined) return;
  hashConversation(user, device, creation, to);
  hashId(id);
  if (!table.isSampled(keyHigh)) return;
  const slot = table.find(keyHigh, keyLow);
  if (slot >= 0) table.stamp(slot, stage, nowUs());
}

/** The sender was told that everything up to `id` is stored. */
export function noteStored(sender: Sender, to: string, id: number): void {
  if (unansweredCount > 0) answer(sender, to, 0, id, 'stored');
}

/** The sender was told that this one is refused. */
export function noteRefused(sender: Sender, to: string, id: number): void {
  if (unansweredCount > 0) answer(sender, to, id, id, 'refused');
}

function answer({ user, device, creation }: Sender, to: string, first: number, last: number, outcome: Outcome): void {
  hashConversation(user, device, creation, to);
  const conversation = conversationKey();
  const waiting = unanswered.get(conversation);
  if (waiting === undefined) return;
  keepThose(conversation, waiting, (each) => {
    if (each.id < first || each.id > last) return true;
    if (isOpen(each)) table!.answer(each.slot, outcome, nowUs());
    return false;
  });
}

function isOpen({ slot, high, low }: Unanswered): boolean {
  return table!.isOpen(slot, high, low);
}

function keepThose(conversation: number, waiting: Unanswered[], stays: (each: Unanswered) => boolean): void {
  const kept = waiting.filter(stays);
  unansweredCount -= waiting.length - kept.length;
  if (kept.length === 0) unanswered.delete(conversation);
  else unanswered.set(conversation, kept);
}

/** Those whose connection ended are never answered: their slots have been collected, though nothing more since the last look if that was just now. */
function makeRoom(): boolean {
  if (unansweredCount < LIMITS.unansweredMax) return true;
  const now = nowUs();
  if (now - sweptAtUs < LIMITS.collectMs * 1_000) return false;
  sweptAtUs = now;
  for (const [conversation, waiting] of unanswered) keepThose(conversation, waiting, isOpen);
  return unansweredCount < LIMITS.unansweredMax;
}

// --- keys ---------------------------------------------------------------------------------------------------------

/** The two halves of the key, made here without an object for each message. Of one message at a time. */
let keyHigh = 0;
let keyLow = 0;

/** FNV-1a twice, under two seeds. Source: Fowler, Noll, Vo; the prime of 32 bits. */
const PRIME = 0x0100_0193;

function hashConversation(user: string, device: number, creation: number, to: string): void {
  keyHigh = seedHigh;
  keyLow = seedLow;
  hashText(user);
  hashNumber(device);
  hashNumber(creation);
  hashText(to);
}

/** Of the hash of a conversation as much as one number holds: 53 bits. */
function conversationKey(): number {
  return (keyHigh >>> 0) * 2 ** 21 + (keyLow >>> 11);
}

function hashText(text: string): void {
  for (let index = 0; index < text.length; index++) hashUnit(text.charCodeAt(index));
}

function hashNumber(number: number): void {
  hashUnit(number | 0);
  hashUnit((number / 2 ** 32) | 0);
}

function hashUnit(unit: number): void {
  keyHigh = Math.imul(keyHigh ^ unit, PRIME);
  keyLow = Math.imul(keyLow ^ unit, PRIME);
}

function hashId(id: number): void {
  hashNumber(id);
  keyHigh = finish(keyHigh);
  keyLow = finish(keyLow);
}

/** So that the ids of one conversation, which follow each other, fall anywhere. Source: MurmurHash3, fmix32. */
function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85eb_ca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}

/**
 * What people notice when a node is killed: pairs of them, with the SDK, on nodes that live on, write to each other the whole time. Some have
 * their shard on the node that dies.
 *
 * Every message that its sender was told to be stored must arrive, once.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { createClient, memoryStore, type Client } from '../../client/index.ts';
import { systemClock as clientClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';

/** +49 152 …: numbers that no other phase uses. */
const PHONE_PREFIX = '+49152000000';
const CODE_MS_MAX = 10_000;

export interface TakeOverPlan {
  /** Nodes that live on: senders on the first, recipients on the second. */
  readonly senderUrl: string;
  readonly recipientUrl: string;
  readonly pairs: number;
  /** Before the kill, after it, and for what is still under way then. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly settleMsMax: number;
  readonly kill: () => void;
  /** The code that was last sent to a number. */
  readonly codeOf: (phone: string) => string | undefined;
}

export interface TakeOverResult {
  /** From the kill until every recipient had a message that was written after it. */
  readonly takeOverMs: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
}

interface Pair {
  readonly sender: Client;
  readonly recipient: Client;
  readonly to: string;
  /** When the message with this number was begun. */
  readonly begunMs: number[];
  readonly acknowledged: Set<number>;
  readonly received: number[];
  firstAfterMs: number | undefined;
}

/** @throws {BenchError} BENCH_LOST if somebody hears nothing after the kill. */
export async function measureTakeOver(plan: TakeOverPlan): Promise<TakeOverResult> {
  const pairs = await Promise.all(Array.from({ length: plan.pairs }, (_, index) => openPair(plan, index)));
  let killedMs = Infinity;
  let writing = true;
  for (const pair of pairs) void receive(pair, () => killedMs);
  const writers = pairs.map((pair) => write(pair, () => writing));
  await delay(plan.beforeMs);
  killedMs = systemClock.nowMs();
  plan.kill();
  await delay(plan.afterMs);
  writing = false;
  const deadline = systemClock.nowMs() + plan.settleMsMax;
  const missing = (): number => pairs.reduce((sum, pair) => sum + countMissing(pair), 0);
  await Promise.race([Promise.all(writers), delay(plan.settleMsMax)]);
  while (missing() > 0 && systemClock.nowMs() < deadline) await delay(20);
  await Promise.all(pairs.flatMap(({ sender, recipient }) => [sender.close(), recipient.close()]));
  const firsts = pairs.map(({ firstAfterMs }) => firstAfterMs);
  if (firsts.includes(undefined)) throw new BenchError('BENCH_LOST', 'somebody got nothing after a node was killed');
  return {
    takeOverMs: Math.max(...(firsts as number[])) - killedMs,
    acknowledged: pairs.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0),
    lost: missing(),
    doubled: pairs.reduce((sum, { received }) => sum + received.length - new Set(received).size, 0),
  };
}

async function openPair(plan: TakeOverPlan, index: number): Promise<Pair> {
  const phone = (end: number): string => PHONE_PREFIX + String(2 * index + end).padStart(3, '0');
  const sender = await signIn(plan.senderUrl, phone(0), plan.codeOf);
  const recipient = await signIn(plan.recipientUrl, phone(1), plan.codeOf);
  const counts = { begunMs: [], acknowledged: new Set<number>(), received: [] };
  return { sender, recipient, to: phone(1), ...counts, firstAfterMs: undefined };
}

async function signIn(url: string, phone: string, codeOf: TakeOverPlan['codeOf']): Promise<Client> {
  const outside = { transport: wsTransport, clock: clientClock, random: systemRandom };
  const client = await createClient({ url, store: memoryStore(), ...outside });
  await client.requestCode(phone);
  for (let waitedMs = 0; codeOf(phone) === undefined; waitedMs += 10) {
    if (waitedMs > CODE_MS_MAX) throw new BenchError('BENCH_REGISTRATION', `no code for ${phone}`);
    await delay(10);
  }
  await client.confirmCode(phone, codeOf(phone)!);
  await client.connect();
  return client;
}

/** One message after the other; the next when the last is stored. */
async function write(pair: Pair, goesOn: () => boolean): Promise<void> {
  for (let number = 0; goesOn(); number += 1) {
    pair.begunMs[number] = systemClock.nowMs();
    await pair.sender.send(pair.to, String(number));
    pair.acknowledged.add(number);
    await delay(5);
  }
}

async function receive(pair: Pair, killedMs: () => number): Promise<void> {
  for await (const { text } of pair.recipient.messages()) {
    const number = Number(text);
    pair.received.push(number);
    if (pair.firstAfterMs === undefined && pair.begunMs[number]! > killedMs()) pair.firstAfterMs = systemClock.nowMs();
  }
}

function countMissing({ acknowledged, received }: Pair): number {
  const got = new Set(received);
  return [...acknowledged].filter((number) => !got.has(number)).length;
}

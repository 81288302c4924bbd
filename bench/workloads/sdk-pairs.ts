/**
 * Pairs of people with the SDK, who come again by themselves when their connection ends: for phases in which nodes come and go. What they saw is kept
 * message by message.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { createClient, memoryStore, type Client } from '../../client/index.ts';
import { systemClock as clientClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';

const CODE_MS_MAX = 10_000;

export interface PairsPlan {
  readonly pairs: number;
  /** Where the two of the pair with this index connect. */
  readonly senderUrl: (index: number) => string;
  readonly recipientUrl: (index: number) => string;
  /** Three digits are added; numbers that no other phase uses. */
  readonly phonePrefix: string;
  /** The code that was last sent to a number. */
  readonly codeOf: (phone: string) => string | undefined;
}

/** Its messages are numbered from 0. */
export interface Pair {
  readonly sender: Client;
  readonly recipient: Client;
  readonly to: string;
  /** When the message with this number was begun, or should have been. */
  readonly begunMs: number[];
  /** Stored, as its sender was told. */
  readonly acknowledged: Set<number>;
  /** When the message with this number came first. */
  readonly receivedMs: Map<number, number>;
  doubled: number;
  /** How often one of the two connected again. */
  comings: number;
  /** How often one of the two logged in again, on a new connection or after a second greeting. */
  logins: number;
}

/** Registers and connects them; what comes is noted from now on. */
export function openPairs(plan: PairsPlan): Promise<Pair[]> {
  return Promise.all(Array.from({ length: plan.pairs }, (_, index) => openPair(plan, index)));
}

export async function closePairs(pairs: readonly Pair[]): Promise<void> {
  await Promise.all(pairs.flatMap(({ sender, recipient }) => [sender.close(), recipient.close()]));
}

/** Messages that their senders were told to be stored, and that have not come. */
export function countLost(pairs: readonly Pair[]): number {
  return pairs.reduce((sum, pair) => sum + countMissing(pair), 0);
}

export function countAcknowledged(pairs: readonly Pair[]): number {
  return pairs.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
}

export function countDoubled(pairs: readonly Pair[]): number {
  return pairs.reduce((sum, { doubled }) => sum + doubled, 0);
}

/** Messages that were begun and of which no sender was told that they are stored. */
export function countUnstored(pairs: readonly Pick<Pair, 'begunMs' | 'acknowledged'>[]): number {
  return pairs.reduce((sum, { begunMs, acknowledged }) => sum + begunMs.length - acknowledged.size, 0);
}

/** Waits until all that was acknowledged has come, but no longer than until `deadlineMs`. */
export async function untilNothingIsMissing(pairs: readonly Pair[], deadlineMs: number): Promise<void> {
  while (countLost(pairs) > 0 && systemClock.nowMs() < deadlineMs) await delay(20);
}

function countMissing({ acknowledged, receivedMs }: Pair): number {
  let missing = 0;
  for (const number of acknowledged) if (!receivedMs.has(number)) missing += 1;
  return missing;
}

async function openPair(plan: PairsPlan, index: number): Promise<Pair> {
  const phone = (end: number): string => plan.phonePrefix + String(2 * index + end).padStart(3, '0');
  const sender = await signIn(plan.senderUrl(index), phone(0), plan.codeOf);
  const recipient = await signIn(plan.recipientUrl(index), phone(1), plan.codeOf);
  const counts = { begunMs: [], acknowledged: new Set<number>(), receivedMs: new Map<number, number>() };
  const pair: Pair = { sender, recipient, to: phone(1), ...counts, doubled: 0, comings: 0, logins: 0 };
  for (const end of [sender, recipient]) {
    end.onState((state) => {
      pair.comings += state === 'connecting' ? 1 : 0;
      pair.logins += state === 'authenticating' ? 1 : 0;
    });
  }
  void receive(pair);
  return pair;
}

async function signIn(url: string, phone: string, codeOf: PairsPlan['codeOf']): Promise<Client> {
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

async function receive(pair: Pair): Promise<void> {
  for await (const { text } of pair.recipient.messages()) {
    const number = Number(text);
    if (pair.receivedMs.has(number)) pair.doubled += 1;
    else pair.receivedMs.set(number, systemClock.nowMs());
  }
}

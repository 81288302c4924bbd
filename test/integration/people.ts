/**
 * People for integration tests: the real SDK over real sockets, with a memory or disk store, registered and connected.
 *
 * Their randomness is the system's, but waits before a reconnect are drawn from at most 50 ms: a test that kills the
 * server twenty times has no use for the patience that the backoff shows a real one.
 */

import type { Test } from 'tap';
import {
  createClient,
  memoryStore,
  type Client,
  type ClientEvent,
  type Random,
  type ReceivedMessage,
  type StoreSource,
} from '../../client/index.ts';
import { systemClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import type { ServerProcess } from './server-process.ts';

const WAIT_MS_MAX = 50;

/**
 * How long a test waits for what must come before it gives up. It says nothing of how long that takes: on a machine that does much
 * else, seconds are no measure, so no test waits less.
 */
export const PATIENCE_MS = 120_000;

function impatientRandom(waitMsMax: number): Random {
  return {
    bytes: (length) => systemRandom.bytes(length),
    integer: (bound) => systemRandom.integer(Math.min(bound, waitMsMax)),
  };
}

export interface Person {
  readonly phone: string;
  readonly client: Client;
  /** Every message that the application got, in order. */
  readonly received: ReceivedMessage[];
}

/**
 * Registers `phone` with the server's code and connects.
 *
 * @param waitMsMax - The longest wait between two attempts: longer for who has to outlast a restart in a bounded number of them.
 */
export async function newPerson(
  t: Test,
  server: Pick<ServerProcess, 'url' | 'code'>,
  phone: string,
  store?: StoreSource,
  waitMsMax?: number,
): Promise<Person> {
  const client = await openClient(server.url, store, waitMsMax);
  t.teardown(() => client.close());
  await persist(() => client.requestCode(phone));
  const code = await server.code(phone);
  await persist(() => client.confirmCode(phone, code));
  await client.connect();
  return attend(phone, client);
}

/** Asks again what is refused for a while: a node of a cluster that was held up for a second has lost its lease for a moment. */
export async function persist<Result>(ask: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const { retryAfterMs } = error as { readonly retryAfterMs?: number };
      if (retryAfterMs === undefined || performance.now() > deadline) throw error;
      await pause(retryAfterMs);
    }
  }
}

export function openClient(
  url: string,
  store: StoreSource = memoryStore(),
  waitMsMax: number = WAIT_MS_MAX,
): Promise<Client> {
  return createClient({ url, store, transport: wsTransport, clock: systemClock, random: impatientRandom(waitMsMax) });
}

/** Reads everything that comes for `client`. */
export function attend(phone: string, client: Client): Person {
  const received: ReceivedMessage[] = [];
  void (async () => {
    for await (const message of client.messages()) received.push(message);
  })();
  return { phone, client, received };
}

/** What a client tells of one kind from now on. */
export function eventsOf({ client }: Person, type: ClientEvent['type']): ClientEvent[] {
  const seen: ClientEvent[] = [];
  void (async () => {
    for await (const event of client.events()) if (event.type === type) seen.push(event);
  })();
  return seen;
}

/** Waits until `holds`, looking every 20 ms; rejects after `ms`, saying what it waited for. */
export async function until(what: string, ms: number, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await pause(20);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

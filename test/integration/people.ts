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
  type Random,
  type ReceivedMessage,
  type StoreSource,
} from '../../client/index.ts';
import { systemClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import type { ServerProcess } from './server-process.ts';

const WAIT_MS_MAX = 50;

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
  await client.requestCode(phone);
  await client.confirmCode(phone, await server.code(phone));
  await client.connect();
  return attend(phone, client);
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

/**
 * Accounts and connections of one generator process: registers a phone number with the code that the parent hands over, and connects
 * whoever wants to speak. What they say is up to the speakers. Read next: `opening.ts`, `connection.ts`.
 */

import type { Clock } from '../harness/clock.ts';
import type { AccountKeys } from './account-keys.ts';
import { Connection, createReadBuffer, Outbox, type Speaker } from './connection.ts';
import { SUBPROTOCOL } from './control.ts';
import { OpeningSpeaker, type Account } from './opening.ts';

/** A device that is logged in, on its connection. */
export interface OpenedAccount {
  readonly account: Account;
  readonly line: Connection;
}

/** What is special about a registration. */
export interface Registration {
  /** What the client says that it understands; see `FEATURES` of the wire. */
  readonly features?: number;
  /** Keys that are needed again. */
  readonly keys?: AccountKeys;
  /** The address to connect from. */
  readonly source?: string | undefined;
}

export class Registrar {
  readonly outbox: Outbox;
  /** Shared by all connections: holds one read at a time. */
  readonly readBuffer: Uint8Array = createReadBuffer();
  readonly #connections: Connection[] = [];
  /** Who waits for a code, by phone number. */
  readonly #registering: Map<string, OpeningSpeaker> = new Map();

  constructor(clock: Clock) {
    this.outbox = new Outbox(clock);
  }

  /** Registers `phone` and logs it in. @throws {BenchError} BENCH_REGISTRATION, BENCH_CONNECT. */
  register(url: URL, phone: string, { features = 0, keys, source }: Registration = {}): Promise<OpenedAccount> {
    return new Promise((resolve, reject) => {
      const done = (outcome: Account | Error): void => {
        this.#registering.delete(phone);
        if (outcome instanceof Error) reject(outcome);
        else resolve({ account: outcome, line: connection });
      };
      const speaker = new OpeningSpeaker(phone, () => connection.wake(), done, features, keys);
      this.#registering.set(phone, speaker);
      const connection = this.connect(url, speaker, source);
    });
  }

  /** The server sent this code to that number. */
  takeCode(phone: string, code: string): void {
    this.#registering.get(phone)?.takeCode(code);
  }

  connect(url: URL, speaker: Speaker, source?: string): Connection {
    const { outbox, readBuffer } = this;
    const connection = new Connection({ url, subprotocol: SUBPROTOCOL, outbox, readBuffer, source, speaker });
    this.#connections.push(connection);
    return connection;
  }

  /** Closes all connections. */
  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** Maps with at most `bound` calls under way; the order of the results is that of the items. */
export async function mapWithBound<Item, Result>(
  items: readonly Item[],
  bound: number,
  map: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await map(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(bound, items.length) }, work));
  return results;
}

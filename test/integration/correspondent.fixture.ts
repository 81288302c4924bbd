/**
 * A person in a process of their own who keeps writing to somebody and remembers what became of it, moved by messages from a test.
 *
 * As an application has it: the SDK with a processor's time for itself, and without the hooks of tap, within which the SDK takes in a third of what it takes in here.
 */

import { attend, openClient, persist, type Person } from './people.ts';
import { serve } from './remote-process.ts';
import { Writer } from './writer.ts';

/** What one knows of one's own side. */
export interface Counts {
  readonly sent: number;
  readonly acknowledged: number;
  /** By the application, of everybody. */
  readonly received: number;
  /** Of the connection, and since when, milliseconds. */
  readonly state: string;
  readonly stateMs: number;
}

/** The texts behind the counts. */
export interface Account {
  readonly sent: readonly string[];
  readonly acknowledged: readonly string[];
  readonly received: readonly string[];
}

export interface Operations {
  requestCode(): void;
  /** And connects. */
  confirmCode(code: string): void;
  /** Forgets what was received. */
  forget(): void;
  /** Begins to write, and forgets what was written before. */
  begin(to: string): void;
  /** Stops writing and resolves when everything written is acknowledged. */
  finish(): void;
  counts(): Counts;
  account(): Account;
}

/** Runs when this module is the program, which is when somebody listens. */
async function main(url: string, phone: string): Promise<void> {
  const client = await openClient(url);
  const person: Person = attend(phone, client);
  let sinceMs = performance.now();
  client.onState(() => (sinceMs = performance.now()));
  let writer: Writer | undefined;
  serve<Operations>({
    requestCode: () => persist(() => client.requestCode(phone)),
    confirmCode: async (code) => {
      await persist(() => client.confirmCode(phone, code));
      await client.connect();
    },
    forget: async () => void (person.received.length = 0),
    begin: async (to) => {
      writer = new Writer(person, { phone: to, received: [] });
    },
    finish: async () => writer!.finish(),
    counts: async (): Promise<Counts> => ({
      sent: writer!.sent.length,
      acknowledged: writer!.acknowledged.size,
      received: person.received.length,
      state: client.state,
      stateMs: Math.round(performance.now() - sinceMs),
    }),
    account: async (): Promise<Account> => ({
      sent: writer!.sent,
      acknowledged: [...writer!.acknowledged],
      received: person.received.map(({ text }) => text),
    }),
  });
}

if (process.send !== undefined && process.argv[2]?.startsWith('ws:') === true) {
  await main(process.argv[2], process.argv[3]!);
}

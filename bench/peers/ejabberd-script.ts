/**
 * The scripts of `messages` and `connections` on ejabberd: the same numbers of clients, sizes and windows, with the same pacing
 * and histograms, by the XMPP generator.
 */

import { LoadProcesses, type LoadPlan, type LoadResult } from '../harness/load-process.ts';
import { readProcessMemory } from '../harness/memory.ts';
import type { WorkloadOption } from '../harness/registry.ts';
import { LIMITS } from '../limits.ts';
import { EjabberdServer } from './ejabberd.ts';

/** The option of workloads that have it beside them. A quick run ends within 45 seconds, and so without. */
export const PEERS_OPTION: WorkloadOption = {
  default: 1,
  quick: 0,
  min: 0,
  max: 1,
  help: '1 measures ejabberd on the same script, when it is installed; 0 leaves it out',
};
export const PEERS_LEFT_OUT = 'the peer ejabberd is left out; --peers 1 has it';

export interface EjabberdMessagesPlan {
  readonly generators: number;
  readonly pairs: number;
  readonly inFlight: number;
  readonly messageBytes: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface EjabberdMessages {
  readonly version: string;
  readonly saturated: LoadResult;
  /** At half of what it carried: its own half load, as ours is ours. */
  readonly half: LoadResult;
  readonly ratePerSecond: number;
  readonly single: LoadResult;
}

/** The phases of `messages`. A cycle ends with the arrival: ejabberd acknowledges nothing. */
export async function measureEjabberdMessages(
  { generators, pairs, inFlight, messageBytes, warmUpMs, windowMs }: EjabberdMessagesPlan,
  signal: AbortSignal,
): Promise<EjabberdMessages> {
  return withEjabberd(2 * pairs, generators, signal, async (server, load) => {
    await load.openXmpp(server, pairs, messageBytes);
    const phase = (shape: LoadPlan['shape']): Promise<LoadResult> =>
      load.run({ shape, warmUpMs, windowMs, drainMsMax: LIMITS.drainMsMax });
    const saturated = await phase({ kind: 'closed', inFlight });
    const ratePerSecond = Math.max(1, Math.floor(saturated.completedPerSecond / 2));
    const half = await phase({ kind: 'open', ratePerSecond });
    const single = await phase({ kind: 'closed', inFlight: 1 });
    return { version: server.version, saturated, half, ratePerSecond, single };
  });
}

export interface EjabberdConnectionsPlan {
  readonly generators: number;
  readonly clients: number;
  /** Clients that log in at a time. */
  readonly parallel: number;
  readonly sources: readonly string[];
  /** Waits until a figure no longer moves. */
  readonly settle: (read: () => number | undefined) => Promise<void>;
}

export interface EjabberdConnections {
  readonly version: string;
  /** Memory of its own that it has more with the connections than before; `undefined` where that cannot be read. */
  readonly bytesPerConnection: number | undefined;
  readonly connectsPerSecond: number;
}

/** What an idle, logged-in connection takes, and how many a second log in. */
export async function measureEjabberdConnections(
  { generators, clients, parallel, sources, settle }: EjabberdConnectionsPlan,
  signal: AbortSignal,
): Promise<EjabberdConnections> {
  return withEjabberd(clients, generators, signal, async (server, load) => {
    const read = (): number | undefined => readProcessMemory(server.pid)?.anonymousBytes;
    await settle(read);
    const empty = read();
    const tookMs = await load.openXmppClients(server, clients, parallel, sources);
    await settle(read);
    const full = read();
    const isKnown = empty !== undefined && full !== undefined;
    return {
      version: server.version,
      bytesPerConnection: isKnown ? (full - empty) / clients : undefined,
      connectsPerSecond: (clients * 1000) / tookMs,
    };
  });
}

async function withEjabberd<Outcome>(
  accounts: number,
  generators: number,
  signal: AbortSignal,
  measure: (server: EjabberdServer, load: LoadProcesses) => Promise<Outcome>,
): Promise<Outcome> {
  const server = await EjabberdServer.start(accounts, signal);
  const load = new LoadProcesses(generators, signal);
  try {
    return await Promise.race([measure(server, load), server.gone]);
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}

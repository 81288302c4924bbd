/**
 * Opens the node to its operators: the table of verbs, the audit log and the socket. Started last and closed first, on the
 * main thread. The verbs of a new mechanism are put into the table here.
 */

import type { Logger } from '../../runtime/index.ts';
import { actorVerbs } from './actor-verbs.ts';
import type { Askable } from './ask.ts';
import { Audit } from './audit.ts';
import { Desk } from './desk.ts';
import { ADMIN_VERSION } from './lines.ts';
import { AdminServer } from './server.ts';
import { adminSocketPath } from './socket-path.ts';
import { statusVerb, type NodeFacts } from './status.ts';
import { storeVerbs } from './store-verbs.ts';
import { topVerb } from './top.ts';
import { VerbTable, type Verb } from './verb.ts';

export interface AdminOptions {
  readonly workers: Askable;
  readonly facts: NodeFacts;
  /** The setting `admin-socket`. */
  readonly socket: string;
  readonly log: Logger;
  /** Verbs of other parts of the node. */
  readonly verbs?: readonly Verb[];
}

export interface OpenAdmin {
  readonly desk: Desk;
  close(): Promise<void>;
}

/** @throws {StartupError} (as rejection) APP_ADMIN_SOCKET. */
export async function openAdmin({ workers, facts, socket, log, verbs = [] }: AdminOptions): Promise<OpenAdmin> {
  const audit = new Audit({ directory: facts.data, clock: workers.node.clock, log });
  const closing = new AbortController();
  const own = [
    statusVerb(workers, facts),
    topVerb(workers, facts),
    ...actorVerbs(workers, closing.signal),
    ...storeVerbs(workers),
  ];
  const table = new VerbTable([...own, ...verbs]);
  const desk = new Desk({ table, audit, log });
  if (socket === 'none') return { desk, close: async () => closing.abort() };
  const server = await AdminServer.open({
    path: adminSocketPath(facts.data, socket),
    desk,
    log,
    greeting: { blindbeam: 'admin', version: ADMIN_VERSION, node: facts.name, pid: process.pid },
  });
  return {
    desk,
    close() {
      closing.abort();
      return server.close();
    },
  };
}

/**
 * Opens the node to its operators: the table of verbs, the audit log, the socket and the page. Started last and closed first, on the
 * main thread. The verbs of a new mechanism are put into the table here.
 */

import type { Logger } from '../../runtime/index.ts';
import { lastCrashes } from '../console/crash-book.ts';
import { openConsole, type OpenConsole } from '../console/open.ts';
import { auditVerb, consoleVerb, crashVerb } from '../console/verbs.ts';
import { actorVerbs } from './actor-verbs.ts';
import type { Askable } from './ask.ts';
import { Audit } from './audit.ts';
import { Desk } from './desk.ts';
import { ADMIN_VERSION } from './lines.ts';
import { AdminServer } from './server.ts';
import { adminSocketPath } from './socket-path.ts';
import { statusVerb, type NodeFacts } from './status.ts';
import { reportVerbs } from './report-verbs.ts';
import { storeVerbs } from './store-verbs.ts';
import { topVerb } from './top.ts';
import { VerbTable, type Verb } from './verb.ts';

export interface AdminOptions {
  readonly workers: Askable;
  readonly facts: NodeFacts;
  /** The setting `admin-socket`. */
  readonly socket: string;
  /** The operators' page; absent for none. */
  readonly console?: { readonly port: number; readonly isPortGiven: boolean } | undefined;
  readonly log: Logger;
  /** Verbs of other parts of the node. */
  readonly verbs?: readonly Verb[];
}

export interface OpenAdmin {
  readonly desk: Desk;
  /** Of the operators' page. */
  readonly consoleUrl: string | undefined;
  close(): Promise<void>;
}

/** @throws {StartupError} (as rejection) APP_ADMIN_SOCKET; APP_PORT_BUSY. */
export async function openAdmin(options: AdminOptions): Promise<OpenAdmin> {
  const { workers, facts, socket, log, verbs = [] } = options;
  const { clock } = workers.node;
  const closing = new AbortController();
  const audit = new Audit({ directory: facts.data, clock, log });
  let page: OpenConsole | undefined;
  const table = new VerbTable([
    statusVerb(workers, facts),
    topVerb(workers, facts),
    ...actorVerbs(workers, closing.signal),
    ...storeVerbs(workers),
    ...reportVerbs(workers),
    crashVerb(workers, lastCrashes),
    auditVerb(audit),
    consoleVerb(() => page?.address),
    ...verbs,
  ]);
  const desk = new Desk({ table, audit, log });
  const server = socket === 'none' ? undefined : await openSocket(options, desk);
  const close = async (): Promise<void> => {
    closing.abort();
    await page?.close();
    await server?.close();
  };
  try {
    if (options.console !== undefined) {
      page = await openConsole(Object.assign({ desk, directory: facts.data, clock, log }, options.console));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { desk, consoleUrl: page?.address.url, close };
}

function openSocket({ facts, socket, log }: AdminOptions, desk: Desk): Promise<AdminServer> {
  return AdminServer.open({
    path: adminSocketPath(facts.data, socket),
    desk,
    log,
    greeting: { blindbeam: 'admin', version: ADMIN_VERSION, node: facts.name, pid: process.pid },
  });
}

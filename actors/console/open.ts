/**
 * Opens the console of a node: files, token, port. A console that cannot be opened does not keep a node from serving.
 */

import { systemRandom, type Clock, type Logger } from '../../runtime/index.ts';
import type { Desk } from '../admin/desk.ts';
import { StartupError } from '../errors.ts';
import { loadFiles } from './files.ts';
import { ConsoleServer } from './server.ts';
import { keepToken, SignIns } from './sign-in.ts';
import type { ConsoleAddress } from './verbs.ts';

export interface ConsoleOptions {
  readonly port: number;
  /** Whether the port was chosen by somebody: then it must be free. */
  readonly isPortGiven: boolean;
  readonly desk: Desk;
  /** Directory of the store. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface OpenConsole {
  readonly address: ConsoleAddress;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

/**
 * @returns Undefined, with a line in the log, if the page was not built.
 * @throws {StartupError} (as rejection) APP_PORT_BUSY.
 */
export async function openConsole(options: ConsoleOptions): Promise<OpenConsole | undefined> {
  const { port, isPortGiven, desk, directory, clock, log } = options;
  const files = loadFiles();
  if (files === undefined) {
    log.warn('console_not_built');
    return undefined;
  }
  const signIns = new SignIns(clock, systemRandom);
  const parts = { host: HOST, desk, signIns, files, log };
  let server = await ConsoleServer.listen(port, parts);
  if (server === 'busy' && !isPortGiven) server = await ConsoleServer.listen(0, parts);
  if (server === 'busy') throw new StartupError('APP_PORT_BUSY', `port ${port} for the console is taken`);
  const dropToken = keepToken(directory, signIns.token);
  const open = server;
  return {
    address: { url: `http://${HOST}:${open.port}/`, token: signIns.token },
    async close() {
      dropToken();
      await open.close();
    },
  };
}

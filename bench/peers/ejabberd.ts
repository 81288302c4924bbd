/**
 * ejabberd as a peer: finds it, starts it with a configuration of its own in a temporary directory, on the loopback, and stops it.
 *
 * It runs as a plain process of the BEAM: no distribution, no log of successes, no module, so neither a roster nor an archive nor
 * stream management takes part. Passwords lie in its database as they are, so that a login costs it no key derivation.
 * All of that speaks for it. What it does not do that we do is said where its figures stand: it stores nothing, flushes nothing
 * and sends no receipts. Read next: `../generator/xmpp-line.ts`.
 */

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { BenchError } from '../errors.ts';
import { XMPP_DOMAIN, XMPP_SECRET } from '../generator/xmpp-line.ts';
import { Child } from '../harness/child.ts';
import { within } from '../harness/clock.ts';
import { hasProgram } from '../harness/programs.ts';
import { LIMITS } from '../limits.ts';
import { freePorts } from '../../runtime/testing/free-ports.ts';

/** Where distributions and ejabberd's own packages put applications; each in a folder `ejabberd-VERSION`. */
const PLACES = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib/ejabberd/lib',
  '/usr/local/lib',
  '/usr/lib/erlang/lib',
] as const;

const HOST = '127.0.0.1';

interface Installation {
  /** The folder with the application's folder in it. */
  readonly libraries: string;
  readonly version: string;
}

/** Why there is no ejabberd to compare with, in a sentence for the table; `undefined` if there is one. */
export function refuseEjabberd(): string | undefined {
  if (findEjabberd() !== undefined && hasProgram('erl')) return undefined;
  return 'the peer ejabberd is left out: it is not installed (Debian: apt-get install ejabberd)';
}

function findEjabberd(): Installation | undefined {
  for (const libraries of PLACES) {
    const found = foldersOf(libraries).map((name) => /^ejabberd-(\d[\w.~+-]*)$/.exec(name)?.[1]);
    const version = found.find((each) => each !== undefined);
    if (version !== undefined) return { libraries, version };
  }
  return undefined;
}

function foldersOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The server with accounts `u0`, `u1` … of one domain. Stop it, whatever happens. */
export class EjabberdServer {
  readonly #process: ChildProcessByStdio<null, Readable, Readable>;
  readonly #child: Child;
  readonly #directory: string;
  readonly #signal: AbortSignal;
  readonly #ready: Promise<void>;
  readonly host: string = HOST;
  readonly port: number;
  readonly version: string;

  /** @throws {BenchError} BENCH_CHILD when it is not installed; ask `refuseEjabberd` before. */
  static async start(accounts: number, signal: AbortSignal): Promise<EjabberdServer> {
    const found = findEjabberd();
    if (found === undefined) throw new BenchError('BENCH_CHILD', 'ejabberd is not installed');
    const [port] = (await freePorts(1)) as [number];
    const server = new EjabberdServer(found, port, accounts, signal);
    try {
      await server.#started();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private constructor({ libraries, version }: Installation, port: number, accounts: number, signal: AbortSignal) {
    this.version = version;
    this.port = port;
    this.#signal = signal;
    this.#directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-ejabberd-'));
    const config = join(this.#directory, 'ejabberd.yml');
    writeFileSync(config, configurationOf(port));
    const database = ['-mnesia', 'dir', `"${join(this.#directory, 'database')}"`];
    // Enough processes and ports for as many connections as descriptors allow; quick timers of its own, no shell.
    const machine = ['-noshell', '-noinput', '+P', '1048576', '+Q', '262144', ...database];
    this.#process = spawn('erl', [...machine, '-eval', bootProgram(accounts)], {
      cwd: this.#directory,
      // A group of its own: Ctrl-C is for the benchmark, which stops it in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ERL_LIBS: libraries,
        EJABBERD_CONFIG_PATH: config,
        EJABBERD_LOG_PATH: join(this.#directory, 'ejabberd.log'),
      },
    });
    this.#child = new Child(this.#process, 'ejabberd', 'BENCH_CHILD');
    this.#ready = new Promise((resolve, reject) => {
      createInterface({ input: this.#process.stdout }).on('line', (line) => {
        if (line === READY) resolve();
        if (line.includes('[critical]')) reject(new BenchError('BENCH_CHILD', `ejabberd: ${line}`));
      });
    });
    this.#ready.catch(() => undefined);
  }

  async #started(): Promise<void> {
    const timeoutMs = LIMITS.ejabberdStartMsMax;
    const late = (): Error => new BenchError('BENCH_CHILD', `ejabberd is not up after ${timeoutMs} ms`);
    await within(Promise.race([this.#ready, this.#child.gone]), timeoutMs, late, this.#signal);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Rejects when it has ended: see `Child`. */
  get gone(): Promise<never> {
    return this.#child.gone;
  }

  /** Ends it and removes what it stored. */
  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.kill('SIGTERM'), LIMITS.serverStopMsMax, LIMITS.serverStopHurriedMsMax);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const READY = 'blindbeam-bench-ready';

/** Text of ejabberd.yml: one listener, no module, no shaper. */
export function configurationOf(port: number): string {
  return [
    `hosts: [${XMPP_DOMAIN}]`,
    'loglevel: error',
    'log_rotate_count: 0',
    'acme: { auto: false }',
    'auth_method: [internal]',
    'auth_password_format: plain',
    'modules: {}',
    'listen:',
    `  - { module: ejabberd_c2s, ip: "${HOST}", port: ${port}, backlog: 4096, starttls: false }`,
    '',
  ].join('\n');
}

/** Erlang: starts the application, registers, says that it is ready. */
function bootProgram(accounts: number): string {
  const register = `ejabberd_auth:try_register(<<"u", (integer_to_binary(N))/binary>>, <<"${XMPP_DOMAIN}">>, <<"${XMPP_SECRET}">>)`;
  return `{ok, _} = application:ensure_all_started(ejabberd), [ok = ${register} || N <- lists:seq(0, ${accounts - 1})], io:format("${READY}~n").`;
}

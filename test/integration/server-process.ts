/**
 * A real node as a child process, started the way users start it, for tests that need sockets, disks and kills.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { guard } from '../../runtime/testing/guard.ts';

export const ROOT: string = fileURLToPath(new URL('../../..', import.meta.url));
const LAUNCHER = join(ROOT, 'bin', 'blindbeam.js');

/** One line of the node's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** A directory that goes with the test. */
export function temporaryDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #exited: Promise<number | string>;
  #errors = '';
  url = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    guard(child);
    createInterface({ input: child.stdout! }).on('line', (line) => this.#take(line));
    child.stderr!.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
    this.#exited = new Promise((resolve) => {
      child.once('exit', (status, signal) => {
        resolve(status ?? signal ?? 'unknown');
        this.#wake();
      });
    });
  }

  /** Starts a node on a free port of the loopback and waits until it serves. */
  static async start(
    t: Test,
    directory: string,
    flags: readonly string[] = [],
    launcher: string = LAUNCHER,
  ): Promise<ServerProcess> {
    const server = ServerProcess.launch(t, ['--data', directory, '--port', '0', ...flags], [], launcher);
    const started = await server.line((line) => line.event === 'node_started');
    server.url = String(started['url']);
    return server;
  }

  /** Starts `blindbeam start` with `flags` and waits for nothing. */
  static launch(
    t: Test,
    flags: readonly string[],
    nodeFlags: readonly string[] = [],
    launcher: string = LAUNCHER,
  ): ServerProcess {
    const args = [...nodeFlags, launcher, 'start', '--log-format', 'json', ...flags];
    const server = new ServerProcess(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
    t.teardown(() => server.kill());
    return server;
  }

  #take(text: string): void {
    try {
      this.#lines.push(JSON.parse(text) as LogLine);
    } catch {
      this.#lines.push({ event: 'not_json', text });
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** The first log line, past or to come, that fits. Rejects when the process ends without it. */
  async line(fits: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.#lines.find(fits);
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`the node ended without the expected log line: ${this.#errors}`);
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** The verification code that the development verifier printed for `phone`: the first, or the one after `nth` others. */
  async code(phone: string, nth = 0): Promise<string> {
    let seen = 0;
    const line = await this.line(
      (each) => each.event === 'verification_code' && each['phone'] === phone && seen++ === nth,
    );
    return String(line['code']);
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  get errors(): string {
    return this.#errors;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves to the exit status or the signal's name. */
  exited(): Promise<number | string> {
    return this.#exited;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM, and waits for the end. */
  async stop(): Promise<number | string> {
    this.#child.kill('SIGTERM');
    return this.#exited;
  }
}

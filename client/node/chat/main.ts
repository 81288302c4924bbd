/**
 * The terminal chat: `blindbeam chat --as +4915100000001`.
 *
 * Exit codes: 0 ended by the person or the end of input, 1 failed, 2 wrong usage. With a terminal on both sides it takes
 * the screen (`interactive.ts`), otherwise it works line by line (`piped.ts`).
 */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ClientError, codeOf, describeCode, parseBackupDigits } from '../../index.ts';
import type { Client, Clock } from '../../index.ts';
import { holdsCertificate } from '../authority-fetch.ts';
import { createClient, restoreBackupFile } from '../index.ts';
import { systemClock } from '../system.ts';
import { HELP, parseArguments } from './arguments.ts';
import type { ChatOptions } from './arguments.ts';
import { enrol } from './enrolment.ts';
import { chatInteractively } from './interactive.ts';
import { chatPiped } from './piped.ts';
import { describeSystemError } from './system-error.ts';
import { wrap } from './text-width.ts';

/** Where a chat reads and writes. */
export interface ChatIo {
  readonly input: NodeJS.ReadStream | NodeJS.ReadableStream;
  readonly output: NodeJS.WriteStream | NodeJS.WritableStream;
  readonly error: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/** The streams of this process. */
export function processIo(): ChatIo {
  const { stdin: input, stdout: output, stderr: error, env } = process;
  return { input, output, error, env, clock: systemClock };
}

/**
 * Runs the chat to its end. It never throws for what a person may do wrong, and prints no stack trace.
 *
 * @param argv - The arguments after `chat`.
 * @returns The exit code.
 */
export async function runChat(argv: readonly string[], io: ChatIo = processIo()): Promise<number> {
  const parsed = parseArguments(argv);
  if (parsed.type === 'help') {
    io.output.write(HELP);
    return 0;
  }
  if (parsed.type === 'wrong') {
    io.error.write(`blindbeam chat: ${parsed.problem}\nTry: blindbeam chat --help\n`);
    return 2;
  }
  return withSignals((signal) => withClient(parsed.options, io, signal));
}

async function withClient(options: ChatOptions, io: ChatIo, signal: AbortSignal): Promise<number> {
  let client: Client | undefined;
  const reader = new LineReader(io.input, io.output);
  signal.addEventListener('abort', () => reader.close());
  try {
    if (options.restore !== undefined) await restore(options.directory, options.restore, io, reader);
    const ca = options.ca === undefined ? undefined : readFileSync(options.ca, 'utf8');
    if (ca !== undefined && !holdsCertificate(ca)) {
      io.error.write(`blindbeam chat: --ca expected certificates in PEM, and ${options.ca} holds none\n`);
      return 2;
    }
    client = await createClient({
      url: options.url,
      store: options.directory,
      strangers: 'ask',
      ...(ca !== undefined && { ca }),
    });
    return await converse(client, options, io, reader, signal);
  } catch (error) {
    if (!ClientError.is(error) && !isSystemError(error)) throw error;
    io.error.write(`blindbeam chat: ${ClientError.is(error) ? describeFailure(error) : describeSystemError(error)}\n`);
    return 1;
  } finally {
    reader.close();
    await client?.close();
  }
}

/** With what the system said, where that is the reason: it names the file. */
function describeFailure(error: ClientError): string {
  const words = describeCode(codeOf(error));
  let innermost: unknown = error.cause;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  return error.code === 'CLI_STORE_UNUSABLE' && innermost instanceof Error ? `${words} (${innermost.message})` : words;
}

/** Fills an empty store from a backup; the number is registered afterwards as on any first run. */
async function restore(directory: string, path: string, { output }: ChatIo, reader: LineReader): Promise<void> {
  const { phone, madeAt } = await restoreBackupFile(directory, path, async (kind) => {
    const question = kind === 'digits' ? 'The 64 digits of the backup: ' : 'The passphrase of the backup: ';
    const answer = (await reader.ask(question)) ?? '';
    if (kind === 'passphrase') return { kind, passphrase: answer };
    const digits = parseBackupDigits(answer);
    if (digits === undefined) throw new ClientError('CLI_BACKUP_SECRET_WEAK');
    return { kind, digits };
  });
  output.write(`Restored the backup of ${phone} of ${describeDay(madeAt)}. Register the number to go on with it.\n`);
}

function describeDay(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

async function converse(
  client: Client,
  options: ChatOptions,
  io: ChatIo,
  reader: LineReader,
  signal: AbortSignal,
): Promise<number> {
  const { input, output, env, clock } = io;
  const { phone, to, url } = options;
  if (client.account !== undefined && client.account.phone !== phone) throw new ClientError('CLI_ACCOUNT_EXISTS');
  const columns = isTerminal(output) ? (output as NodeJS.WriteStream).columns : undefined;
  const print = (line: string): void => void output.write(`${line}\n`);
  const tell = (text: string): void => wrap(text, columns ?? Infinity).forEach(print);
  const colour = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  if (client.account === undefined) {
    const ask = (question: string): Promise<string | undefined> => reader.ask(question);
    const pictureColumns = colour ? columns : undefined;
    if (!(await enrol({ client, phone, url, print, tell, ask, clock, columns: pictureColumns, signal })))
      return signal.aborted ? 0 : 1;
  }
  if (!isTerminal(input) || !isTerminal(output)) {
    return chatPiped({ client, to, lines: reader, print, clock, signal });
  }
  reader.close();
  const terminal = { input: input as NodeJS.ReadStream, output: output as NodeJS.WriteStream };
  return chatInteractively({ client, to, ...terminal, colour, clock, signal });
}

/** Lines of input, one reader for questions and messages alike, since a pipe delivers both at once. */
class LineReader implements AsyncIterable<string> {
  readonly #output: NodeJS.WritableStream;
  readonly #isTerminal: boolean;
  readonly #interface: ReturnType<typeof createInterface>;
  #lines: string[] = [];
  #takers: ((line: string | undefined) => void)[] = [];
  #isEnded = false;

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream) {
    this.#output = output;
    this.#isTerminal = isTerminal(input) && isTerminal(output);
    const terminal = this.#isTerminal;
    this.#interface = createInterface(terminal ? { input, output, terminal } : { input, terminal });
    this.#interface.on('line', (line) => this.#take(line)).on('close', () => this.#end());
    // Ctrl-C at a question: readline would swallow the signal.
    this.#interface.on('SIGINT', () => this.#interface.close());
  }

  async ask(question: string): Promise<string | undefined> {
    if (this.#isTerminal) {
      this.#interface.setPrompt(question);
      this.#interface.prompt();
    } else this.#output.write(`${question}\n`);
    return this.#next();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    for (let line = await this.#next(); line !== undefined; line = await this.#next()) yield line;
  }

  close(): void {
    this.#interface.close();
  }

  #next(): Promise<string | undefined> {
    const line = this.#lines.shift();
    if (line !== undefined || this.#isEnded) return Promise.resolve(line);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  #take(line: string): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#lines.push(line);
    else taker(line);
  }

  #end(): void {
    this.#isEnded = true;
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }
}

/** Runs `work` with a signal that aborts when the process is asked to end. */
async function withSignals(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  process.on('SIGINT', abort).on('SIGTERM', abort).on('SIGHUP', abort);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', abort).off('SIGTERM', abort).off('SIGHUP', abort);
  }
}

function isTerminal(stream: object): boolean {
  return (stream as { isTTY?: boolean }).isTTY === true;
}

/** A failure of the operating system, such as a directory that may not be written. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

/**
 * The first run: asks the server for a code and the person for its digits, until the number is registered.
 */

import { ClientError, codeOf, describeCode } from '../../index.ts';
import type { Client, Clock, ErrorCode } from '../../index.ts';
import { drawQr } from './qr-lines.ts';

/** What registering needs of its surroundings. */
export interface EnrolmentOptions {
  readonly client: Client;
  readonly phone: string;
  readonly url: string;
  /** Prints a line as it is: a code, or a part of a picture. */
  readonly print: (line: string) => void;
  /** Prints a sentence, in as many lines as it takes. */
  readonly tell: (text: string) => void;
  /** Asks for one line; `undefined` when there is no more input. */
  readonly ask: (question: string) => Promise<string | undefined>;
  readonly clock: Clock;
  /** Columns of a terminal that shows colours; undefined for anything else, which gets no picture. */
  readonly columns: number | undefined;
  readonly signal: AbortSignal;
}

/** Wrong codes accepted in a row. */
const ATTEMPT_COUNT_MAX = 3;
const RETRY_MS = 2_000;

/** @returns Whether the number is registered now; if not, the reason has been printed. */
export async function enrol(options: EnrolmentOptions): Promise<boolean> {
  const { client, phone, tell, ask } = options;
  tell(`Registering ${phone}.`);
  try {
    await insist(options, () => client.requestCode(phone));
    tell('A code of 6 digits is on its way. (A development server prints it in its log.)');
    tell('If this number is in use on another device of yours, /link joins it instead; registering would replace it.');
    for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt += 1) {
      const code = (await ask('Code: '))?.replace(/\s/g, '');
      if (code === undefined) return false;
      if (code === '/link') return await link(options);
      if (await confirm(options, code)) return true;
    }
  } catch (error) {
    tell(describeCode(codeOf(error)));
  }
  return false;
}

/** Shows a code for the primary device, and waits until it is approved there. */
async function link({ client, phone, print, tell, columns, signal }: EnrolmentOptions): Promise<boolean> {
  const { code, expires, linked, cancel } = await client.beginLinking('terminal');
  signal.addEventListener('abort', cancel);
  for (const line of (columns === undefined ? undefined : drawQr(code, columns)) ?? []) print(line);
  tell(`On the device that registered ${phone}, enter within ${expires / 60} minutes:`);
  print(`/approve ${code}`);
  const account = await linked;
  tell(`This is device ${account.device} of ${account.phone}. Its keys were made here and stay here.`);
  return true;
}

async function confirm(options: EnrolmentOptions, code: string): Promise<boolean> {
  const { client, phone, tell } = options;
  try {
    await insist(options, () => client.confirmCode(phone, code));
    tell(`${phone} is registered. Its keys were made on this device and stay here.`);
    return true;
  } catch (error) {
    if (!ClientError.is(error, 'APP_BAD_CODE')) throw error;
    tell('That is not the code. Try again.');
    return false;
  }
}

/** What passes by itself: a server that is away, busy, or about to be started anew. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CLI_UNREACHABLE',
  'APP_OVERLOADED',
  'APP_RESTARTING',
  'APP_DRAINING',
]);

/** Asks again while the server cannot be reached or takes nobody, and says so once. */
async function insist<Result>(options: EnrolmentOptions, work: () => Promise<Result>): Promise<Result> {
  const { url, tell, clock, signal } = options;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!PASSING.has(codeOf(error)) || signal.aborted) throw error;
      const trouble = ClientError.is(error, 'CLI_UNREACHABLE') ? 'cannot be reached' : 'takes nobody at the moment';
      if (attempt === 0) tell(`The server at ${url} ${trouble} (${codeOf(error)}). Trying again; Ctrl-C ends it.`);
      await new Promise<void>((resolve) => void clock.setTimer(RETRY_MS, resolve));
    }
  }
}

/**
 * The command line of the terminal chat: flags to options, or what is wrong with them.
 */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isPhone } from '../../../protocol/wire/index.ts';
import { TOPIC_LINES } from './help.ts';
import { wrap } from './text-width.ts';

/** What to run. */
export interface ChatOptions {
  /** Our own number. */
  readonly phone: string;
  /** Whom to write to at first. */
  readonly to: string | undefined;
  readonly url: string;
  /** A file with certificates of authorities to trust, PEM. */
  readonly ca: string | undefined;
  readonly directory: string;
  /** A backup to begin with. */
  readonly restore: string | undefined;
}

export type ParsedArguments =
  | { readonly type: 'run'; readonly options: ChatOptions }
  | { readonly type: 'help' }
  | { readonly type: 'wrong'; readonly problem: string };

/** Columns of a terminal that nobody has made wider. */
const HELP_COLUMNS = 80;
const DEFAULT_URL = 'ws://127.0.0.1:7400';

const TOPIC_TEXT = TOPIC_LINES.flatMap((line) =>
  wrap(line, HELP_COLUMNS - 4).map((part, row) => `${row === 0 ? '  ' : '    '}${part}`),
).join('\n');

export const HELP: string = `Usage: blindbeam chat --as NUMBER [--to NUMBER] [--url ADDRESS] [--ca FILE] [--store DIR] [--restore FILE]

End-to-end-encrypted chat in the terminal. Registers the number on its first run.

  --as NUMBER     your phone number, with country code: +4915100000001
  --to NUMBER     whom to write to; /to changes it later
  --url ADDRESS   the server (${DEFAULT_URL})
  --ca FILE       trusts the authorities in FILE (PEM), for a server with a certificate of its own
  --store DIR     where keys and messages are kept (~/.blindbeam/NUMBER)
  --restore FILE  begins with a backup: an empty store gets its identity, contacts and messages
  --help          this text

While it runs, lines that begin with / are commands:

${TOPIC_TEXT}

A message shows \u2713 when the server has it, \u2713\u2713 when the other side has it, and a coloured \u2713\u2713 when it has been read.
With input from a pipe each line is sent as a message, and the end of input ends the chat.
`;

/** Reads the flags. @param argv - Without the program's own name. */
export function parseArguments(argv: readonly string[]): ParsedArguments {
  let values;
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        as: { type: 'string' },
        to: { type: 'string' },
        url: { type: 'string', default: DEFAULT_URL },
        ca: { type: 'string' },
        store: { type: 'string' },
        restore: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return { type: 'wrong', problem: (error as Error).message.split('. ')[0]! };
  }
  if (values.help) return { type: 'help' };
  return check(values);
}

function check(values: {
  readonly as?: string | undefined;
  readonly to?: string | undefined;
  readonly url: string;
  readonly ca?: string | undefined;
  readonly store?: string | undefined;
  readonly restore?: string | undefined;
}): ParsedArguments {
  const phone = values.as === undefined ? undefined : tidyPhone(values.as);
  const to = values.to === undefined ? undefined : tidyPhone(values.to);
  if (phone === undefined) return wrong('--as is missing: your phone number');
  if (!isPhone(phone)) return wrong(`--as ${NUMBER_FORM}`);
  if (to !== undefined && !isPhone(to)) return wrong(`--to ${NUMBER_FORM}`);
  if (!isServerAddress(values.url)) return wrong('--url expected an address such as ws://127.0.0.1:7400');
  const directory = values.store ?? join(homedir(), '.blindbeam', phone.slice(1));
  return { type: 'run', options: { phone, to, url: values.url, ca: values.ca, directory, restore: values.restore } };
}

/** What a phone number looks like, for people. */
export const NUMBER_FORM = 'expected a number such as +4915100000001';

/** Takes out what people put between digits: blanks, dashes, dots, brackets. */
export function tidyPhone(text: string): string {
  return text.replace(/[\s().-]/g, '').replace(/^00/, '+');
}

function isServerAddress(url: string): boolean {
  return URL.canParse(url) && /^wss?:$/.test(new URL(url).protocol);
}

function wrong(problem: string): ParsedArguments {
  return { type: 'wrong', problem };
}

/** A path as people enter it: typed, or dropped from a file manager, which puts it in quotes or a backslash before what a shell would take for something else. */
export function pathIn(text: string): string {
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return quoted[2]!;
  const isWindows = /^[a-z]:\\/i.test(text);
  return isWindows ? text : text.replace(/\\([ '"()&])/g, '$1');
}

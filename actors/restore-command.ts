/** The verb `blindbeam restore`: makes a store of a backup, for a node to be started on. */

import { parseArgs } from 'node:util';
import { restoreStore } from './backup.ts';
import { problemOf } from './config/usage.ts';
import { isStartupError } from './errors.ts';

const HELP = `Usage: blindbeam restore BACKUP --data DIR [--json]

Makes a store of a backup that "blindbeam backup" took, in a directory that is new or empty. Start a node with --data DIR then. Clients go on
by themselves, and are told of messages that the backup does not have.
`;

/** Runs `blindbeam restore`. Resolves to the exit code. */
export async function runRestore(argv: readonly string[]): Promise<number> {
  let given: { readonly backup: string; readonly data: string; readonly json: boolean } | undefined;
  try {
    given = readArguments(argv);
  } catch (error) {
    process.stderr.write(`blindbeam: ${problemOf(error)}.\n\n`);
  }
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (given === undefined) {
    process.stderr.write(HELP);
    return 2;
  }
  try {
    const result = await restoreStore(given.backup, given.data);
    const { directory, devices, conversations, groups, preKeys, takenAtMs } = result;
    const taken = new Date(takenAtMs).toISOString();
    const text = `${directory} is as the node was at ${taken}: ${devices} devices, ${conversations} conversations, ${groups} groups. ${preKeys} pre-keys were dropped; devices upload new ones.\n`;
    process.stdout.write(given.json ? `${JSON.stringify(result, null, 2)}\n` : text);
    return 0;
  } catch (error) {
    if (!isStartupError(error)) throw error;
    process.stderr.write(`${error.code}: ${error.message}\n`);
    return 1;
  }
}

function readArguments(
  argv: readonly string[],
): { readonly backup: string; readonly data: string; readonly json: boolean } | undefined {
  const options = {
    data: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
  const [backup] = positionals;
  if (positionals.length !== 1 || values.data === undefined) return undefined;
  return { backup: backup!, data: values.data, json: values.json };
}

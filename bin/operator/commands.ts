/**
 * The commands for operators. A verb of the node (`actors/admin/`) that people are to use from a shell has its line here.
 */

import { BACKUP, CONFIG_RELOAD, DRAIN, RESUME } from '../../actors/admin/run-verbs.ts';
import { STATUS } from '../../actors/admin/status.ts';
import {
  RELOAD,
  RELOAD_HISTORY,
  RELOAD_LIST,
  RELOAD_MEMORY,
  RELOAD_ROLLBACK,
  RELOAD_STALL,
} from '../../actors/reload/verbs.ts';
import { runCommand, type OperatorCommand } from './command.ts';
import { LOOK_COMMANDS } from './look-commands.ts';
import { printBackup, printDrain, printReload } from './print-run.ts';
import { printStatus } from './print-status.ts';
import { liveReload, printBehaviors, printHistory } from './reload.ts';

export const OPERATOR_COMMANDS: readonly OperatorCommand[] = [
  { spec: STATUS, print: printStatus },
  ...LOOK_COMMANDS,
  { spec: BACKUP, print: printBackup, timeoutMs: 3_600_000 },
  { spec: CONFIG_RELOAD, print: printReload },
  { spec: DRAIN, print: printDrain, timeoutMs: 660_000 },
  { spec: RESUME, print: () => 'Clients are let in again.' },
  { spec: RELOAD, live: liveReload(RELOAD.name), details: 'Also: blindbeam reload list, history, rollback.' },
  { spec: RELOAD_LIST, print: printBehaviors },
  { spec: RELOAD_MEMORY },
  { spec: RELOAD_STALL, timeoutMs: 70_000 },
  { spec: RELOAD_HISTORY, print: printHistory },
  { spec: RELOAD_ROLLBACK, live: liveReload(RELOAD_ROLLBACK.name) },
];

/** Runs `blindbeam <group> …`, where `argv` begins after the group. Resolves to the exit code. */
export async function runOperator(group: string, argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv;
  const command = OPERATOR_COMMANDS.find(({ spec }) => spec.name === `${group}.${word}`);
  if (command !== undefined) return runCommand(command, rest);
  const single = OPERATOR_COMMANDS.find(({ spec }) => spec.name === group);
  if (single !== undefined) return runCommand(single, argv);
  const wantsHelp = word === undefined || word === '--help' || word === '-h';
  if (wantsHelp) process.stdout.write(groupUsage(group));
  else process.stderr.write(`blindbeam: there is no "${group} ${word}".\n\n${groupUsage(group)}`);
  return wantsHelp && word !== undefined ? 0 : 2;
}

function groupUsage(group: string): string {
  const lines = OPERATOR_COMMANDS.filter(({ spec }) => spec.name.startsWith(`${group}.`)).map(
    ({ spec }) => `  ${spec.name.slice(group.length + 1).padEnd(10)} ${spec.summary}`,
  );
  return `Usage: blindbeam ${group} <what> [options]\n\n${lines.join('\n')}\n\nblindbeam ${group} <what> --help tells more.\n`;
}

/**
 * The commands for operators. A verb of the node (`actors/admin/`) that people are to use from a shell has its line here.
 */

import { BACKUP, CONFIG_RELOAD, DRAIN, RESUME } from '../../actors/admin/run-verbs.ts';
import { NODE_DRAIN, NODE_JOIN, NODE_LEAVE, NODE_LIST, NODE_MAP } from '../../actors/nodes/verbs.ts';
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
import { printDeparted, printMap, printNodes } from './print-nodes.ts';
import { printBackup, printDrain, printReload } from './print-run.ts';
import { printStatus } from './print-status.ts';
import { liveReload, printBehaviors, printHistory, printMemory, printStalls } from './reload.ts';

const NODE_LIST_DETAILS = `WIRE is what it speaks with clients and with other nodes. BEHIND is what the worst of its copies lacks of its owner's log, which
owners hear three times a second; ALONE is what is on its disk and in no log, while NATS does not answer it (cluster-durability local). States: up; suspect (silent, or it does not answer); draining, leaving; gone (known, and not there);
refused (another secret, another number of shards, or no version in common: the last column has what to do).`;

export const OPERATOR_COMMANDS: readonly OperatorCommand[] = [
  { spec: STATUS, print: printStatus },
  ...LOOK_COMMANDS,
  { spec: BACKUP, print: printBackup, timeoutMs: 3_600_000 },
  { spec: CONFIG_RELOAD, print: printReload },
  { spec: DRAIN, print: printDrain, timeoutMs: 660_000 },
  { spec: RESUME, print: () => 'Clients are let in again.' },
  { spec: NODE_LIST, print: printNodes, details: NODE_LIST_DETAILS },
  { spec: NODE_MAP, print: printMap },
  { spec: NODE_DRAIN, print: printDeparted, timeoutMs: 720_000 },
  { spec: NODE_JOIN, print: () => 'The node takes clients again, and shards within half a minute.', timeoutMs: 15_000 },
  { spec: NODE_LEAVE, print: printDeparted, timeoutMs: 720_000 },
  { spec: RELOAD, live: liveReload(RELOAD.name), details: 'Also: blindbeam reload list, history, rollback.' },
  { spec: RELOAD_LIST, print: printBehaviors },
  { spec: RELOAD_MEMORY, print: printMemory },
  { spec: RELOAD_STALL, print: printStalls, timeoutMs: 70_000 },
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

/**
 * The command line: one tool for operators, engineers and those who want to chat. Each verb lives in the layer that it
 * belongs to and is loaded when it is called; this file knows their names and the exit codes.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 */

import { closest } from '../actors/config/settings.ts';
import { OPERATOR_GROUPS } from './operator/groups.ts';
import { watchOutput } from './output.ts';

interface Verb {
  readonly summary: string;
  /** Goes on when its output cannot be written any more: a node serves, a measurement has its report to write. */
  readonly outlivesOutput?: true;
  run(argv: readonly string[]): Promise<number>;
}

const OWN_VERBS: Readonly<Record<string, Verb>> = {
  start: {
    summary: 'start a node',
    outlivesOutput: true,
    run: async (argv) => (await import('../actors/main.ts')).runStart(argv),
  },
  cluster: {
    summary: 'a whole cluster on this machine, for trying things: blindbeam cluster up',
    outlivesOutput: true,
    run: async (argv) => (await import('./cluster.ts')).runCluster(argv),
  },
  config: {
    summary: 'show and check settings: blindbeam config check',
    run: async (argv) =>
      argv[0] === 'reload'
        ? (await import('./operator/commands.ts')).runOperator('config', argv)
        : (await import('../actors/config/command.ts')).runConfig(argv),
  },
  doctor: {
    summary: 'what this machine lacks for a node, and how to mend it',
    run: async (argv) => (await import('../actors/host/doctor-command.ts')).runDoctor(argv),
  },
  restore: {
    summary: 'make a store of a backup',
    run: async (argv) => (await import('../actors/restore-command.ts')).runRestore(argv),
  },
  chat: {
    summary: 'chat in the terminal: blindbeam chat --as +4915100000001',
    run: async (argv) => (await import('../client/node/chat/main.ts')).runChat(argv),
  },
  bench: {
    summary: 'measure: blindbeam bench list',
    outlivesOutput: true,
    run: async (argv) => (await import('../bench/run.ts')).runBench(argv),
  },
  capacity: {
    summary: 'plan: blindbeam capacity --users 2e9 --messages-per-day 1e11',
    run: async (argv) => (await import('../bench/capacity/run.ts')).runCapacity(argv),
  },
};

const operators = Object.entries(OPERATOR_GROUPS).map(([group, summary]): [string, Verb] => [
  group,
  { summary, run: async (argv) => (await import('./operator/commands.ts')).runOperator(group, argv) },
]);

const VERBS: Readonly<Record<string, Verb>> = { ...OWN_VERBS, ...Object.fromEntries(operators) };

/** Runs the command line `argv`, without the program's name. Resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === 'help' && rest.length > 0) return main([...rest, '--help']);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    watchOutput(process, false);
    (name === undefined ? process.stderr : process.stdout).write(usage());
    return name === undefined ? 2 : 0;
  }
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb === undefined) {
    process.stderr.write(`blindbeam: ${noVerb(name)}.\nblindbeam --help tells what there is.\n`);
    return 2;
  }
  watchOutput(process, verb.outlivesOutput === true);
  return verb.run(rest);
}

function noVerb(name: string): string {
  const near = closest(name, Object.keys(VERBS));
  return `there is no verb "${name}"${near === undefined ? '' : `; did you mean ${near}`}`;
}

function usage(): string {
  const lines = Object.entries(VERBS).map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`);
  return `Usage: blindbeam <verb> [options]\n\n${lines.join('\n')}\n\nblindbeam <verb> --help tells more.\n`;
}

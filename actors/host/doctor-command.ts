/** The verb `blindbeam doctor`: what this machine lacks for a node with these settings. Starts nothing and changes nothing. */

import { readFileSync, statfsSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { systemClock } from '../../runtime/index.ts';
import { readConfig } from '../config.ts';
import { examine, type Finding, type Machine } from './doctor.ts';
import { isStartupError } from '../errors.ts';

const HELP = `Usage: blindbeam doctor [--json] [options of blindbeam start]

Looks at limits, kernel settings, memory, disk and certificate, for a node with the same options. Status 1 if something fails.
`;

/** Runs `blindbeam doctor`. Resolves to the exit code. */
export async function runDoctor(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const isJson = argv.includes('--json');
  const rest = argv.filter((argument) => argument !== '--json');
  try {
    const findings = examine(readConfig(rest, process.env), thisMachine());
    process.stdout.write(isJson ? `${JSON.stringify({ findings }, null, 2)}\n` : printFindings(findings));
    return findings.some(({ status }) => status === 'fail') ? 1 : 0;
  } catch (error) {
    if (!isStartupError(error)) throw error;
    process.stderr.write(`${error.code}: ${error.message}\n`);
    return 2;
  }
}

/** A line for each finding, and under it what mends it. */
export function printFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(({ name, status, text, command }) => {
      const line = `${status.padEnd(4)}  ${name.padEnd(width)}  ${text}\n`;
      return command === undefined ? line : `${line}${' '.repeat(8 + width)}→ ${command}\n`;
    })
    .join('');
}

function thisMachine(): Machine {
  return {
    nodeVersion: process.versions.node,
    nowMs: systemClock.nowMs(),
    memoryBytes: totalmem(),
    user: process.getuid?.(),
    read: (path) => attempt(() => readFileSync(path, 'utf8')),
    disk: (path) => diskOf(resolve(path)),
    stat: (path) =>
      attempt(() => {
        const { mode, uid } = statSync(path);
        return { mode, owner: uid };
      }),
  };
}

function diskOf(path: string): { readonly freeBytes: number; readonly type: number } | undefined {
  const found = attempt(() => statfsSync(path));
  if (found !== undefined) return { freeBytes: found.bavail * found.bsize, type: found.type };
  return dirname(path) === path ? undefined : diskOf(dirname(path));
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

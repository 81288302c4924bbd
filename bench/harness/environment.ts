/**
 * Where and on what a figure was measured. Without it a figure means nothing.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { readDescriptorLimit } from './descriptors.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
}

/** The machine that this process runs on. */
export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.version,
  };
}

/** What has to be the same for a run to show the same, besides the machine and the commit. */
export interface Environment {
  /** The command line behind `blindbeam`, with every option as it was taken. */
  readonly command: string;
  readonly descriptors: number;
  /** Settings of the kernel, by their path below /proc/sys; those that could be read. */
  readonly settings: Readonly<Record<string, string>>;
  /** Options of the JavaScript engine from outside. */
  readonly nodeOptions: string;
  /** Versions of the libraries that were measured with. */
  readonly dependencies?: Readonly<Record<string, string>>;
  /** Average load of the machine before the run: what else it had to do. */
  readonly loadBefore: number;
}

/** @param paths - Below /proc/sys. */
export function describeEnvironment(command: string, paths: readonly string[]): Environment {
  const found = paths.map((path) => [path, readSetting(path)] as const).filter(([, value]) => value !== undefined);
  return {
    command,
    descriptors: readDescriptorLimit(),
    settings: Object.fromEntries(found) as Record<string, string>,
    nodeOptions: process.env.NODE_OPTIONS ?? '',
    dependencies: readDependencies(),
    loadBefore: loadavg()[0]!,
  };
}

/** What is installed, and not what was asked for. */
function readDependencies(): Record<string, string> {
  const { dependencies = {} } = readJson('package.json') as { readonly dependencies?: Record<string, string> };
  const versions = Object.keys(dependencies).map((name) => {
    const { version = 'missing' } = readJson(`node_modules/${name}/package.json`) as { readonly version?: string };
    return [name, version] as const;
  });
  return Object.fromEntries(versions);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(ROOT + path, 'utf8'));
  } catch {
    return {};
  }
}

/** A setting of the kernel; `undefined` where there is none. */
export function readSetting(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url));

/** The commit that is measured, with `-dirty` when files differ from it; `unknown` outside a repository. */
export function describeCommit(): string {
  const commit = git('rev-parse', '--short=12', 'HEAD');
  if (commit === undefined) return 'unknown';
  return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}-dirty`;
}

function git(...argv: string[]): string | undefined {
  try {
    return execFileSync('git', argv, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

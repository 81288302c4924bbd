/**
 * Generators in C: compiled when they are first needed, and what their lines have in common. `native/load.h` is the other side.
 *
 * They exist because both ends of a run share one machine: what a generator takes is missing to the server. Where there is no
 * compiler the generators in TypeScript do the same work, and the report says which it was.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makePrivateDirectory } from '../../runtime/private-directory.ts';
import { BenchError } from '../errors.ts';

/** A program: `native/<name>.c`. */
export type NativeProgram = 'hold' | 'pairs';

const HEADER = 'load.h';
const COMPILERS = ['cc', 'gcc', 'clang'] as const;

/** The compiled file is kept in the user's temporary directory, under a name that changes with the source. */
const DIRECTORY: string = join(tmpdir(), `blindbeam-bench-${process.getuid?.() ?? 0}`);

function sourceOf(file: string): string {
  return fileURLToPath(new URL(`../../../bench/generator/native/${file}`, import.meta.url));
}

/**
 * A compiled generator.
 *
 * @returns Its path; `undefined` where no compiler is installed.
 * @throws {BenchError} BENCH_CHILD when a compiler refuses the source, or where the directory is another user's, who might have put a program there.
 */
export function buildNative(program: NativeProgram): string | undefined {
  const source = sourceOf(`${program}.c`);
  const hash = createHash('sha256')
    .update(readFileSync(source))
    .update(readFileSync(sourceOf(HEADER)));
  const target = join(DIRECTORY, `${program}-${hash.digest('hex').slice(0, 16)}`);
  makePrivateDirectory(DIRECTORY);
  refuseForeign(DIRECTORY);
  if (existsSync(target)) return target;
  const compiler = COMPILERS.find(isInstalled);
  if (compiler === undefined) return undefined;
  const made = `${target}.${process.pid}`;
  try {
    execFileSync(compiler, ['-O2', '-o', made, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new BenchError('BENCH_CHILD', `${compiler} refused ${source}: ${(error as Error).message}`);
  }
  // Another run may be building the same: the last one to be renamed wins, and they are equal.
  renameSync(made, target);
  return target;
}

/** Its name is known to everybody on the machine, and what lies in it is run. @param directory - For tests another one. */
export function refuseForeign(directory: string): void {
  const found = lstatSync(directory);
  const isOwn = found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid) && (found.mode & 0o022) === 0;
  if (!isOwn)
    throw new BenchError(
      'BENCH_CHILD',
      `${directory} is open to other users: remove it, or set TMPDIR to another directory`,
    );
}

function isInstalled(compiler: string): boolean {
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A latency and how many had it. */
export type Bucket = readonly [us: number, count: number];

/** The words `bucket:count` of a line H, the bucket as in record() of load.h: 128 steps for each power of two. */
export function readBuckets(words: readonly string[]): Bucket[] {
  return words.map(readBucket);
}

function readBucket(text: string): Bucket {
  const [bucket, count] = text.split(':').map(Number) as [number, number];
  if (bucket < 256) return [bucket, count];
  const shift = Math.floor((bucket - 256) / 128) + 1;
  const step = ((bucket - 256) % 128) + 128;
  return [(step + 0.5) * 2 ** shift, count];
}

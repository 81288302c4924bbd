/**
 * One behaviour with what travels with it as one CommonJS text: the only importer of esbuild.
 *
 * From the sources where they lie beside the build (a checkout), and from the compiled files where only those are installed.
 * Types are not checked here. What the shell is and what travels is declared in `shell.ts`; whatever else a module imports
 * stops the bundle, and so does a name that the running shell does not export.
 */

import { existsSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { build, stop, transform, type BuildFailure, type Message, type OnResolveArgs, type Plugin } from 'esbuild';
import { type Refusal, refusal } from '../../runtime/reload/index.ts';
import { NODE_MODULES, SHELL, travels } from './shell.ts';

/** One version, ready to be compiled. */
export interface BundledVersion {
  readonly text: string;
  /** Ids of the modules in it, the behaviour's first. */
  readonly modules: readonly string[];
  /** The files that they were read from. */
  readonly files: readonly string[];
}

/** A folder with sources (`.ts`), or with what they were compiled to (`.js`). */
export interface SourceRoot {
  readonly directory: string;
  readonly extension: '.ts' | '.js';
}

/**
 * Where the code of this node lies.
 *
 * @param build - The folder with the compiled `actors/`.
 */
export function sourceRootOf(build: string): SourceRoot {
  const checkout = dirname(build);
  return existsSync(join(checkout, 'actors', 'connection.ts'))
    ? { directory: checkout, extension: '.ts' }
    : { directory: build, extension: '.js' };
}

/** The file of a module. */
export function fileOf({ directory, extension }: SourceRoot, id: string): string {
  return join(directory, `${id}${extension}`);
}

/** @param entry - The file to begin with, if it is not the module's own: how a variant is loaded without replacing it. */
export async function bundleBehavior(
  root: SourceRoot,
  name: string,
  entry: string = fileOf(root, name),
): Promise<BundledVersion | Refusal> {
  if (!existsSync(entry)) return refusal('RELOAD_NO_SOURCE', entry);
  await startGently();
  try {
    const { outputFiles, metafile } = await build({
      absWorkingDir: root.directory,
      entryPoints: [entry],
      bundle: true,
      write: false,
      metafile: true,
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      charset: 'utf8',
      legalComments: 'none',
      logLevel: 'silent',
      // Not the checkout's own, which need not be there.
      tsconfigRaw: { compilerOptions: { target: 'es2022', verbatimModuleSyntax: true } },
      plugins: [sorter(root, entry)],
    });
    const files = Object.keys(metafile.inputs).filter((path) => !path.includes(':'));
    const modules = files.map((path) => withoutExtension(path.split(sep).join('/')));
    return {
      text: outputFiles[0]!.text,
      modules: [...new Set([name, ...modules])],
      files: files.map((path) => resolve(root.directory, path)),
    };
  } catch (error) {
    return explain(error as BuildFailure);
  }
}

/** Ends the process that esbuild keeps. */
export async function stopBundler(): Promise<void> {
  isStarted = false;
  await stop();
}

let isStarted = false;

/** Has esbuild start its process with one thread and the lowest priority: the cores are for those who serve. */
async function startGently(): Promise<void> {
  if (isStarted) return;
  isStarted = true;
  process.env['GOMAXPROCS'] ??= '1';
  const before = childrenOf(process.pid);
  await transform('');
  for (const child of childrenOf(process.pid)) if (!before.includes(child)) lower(child);
}

/** Of the main thread, where the platform tells; none elsewhere. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function lower(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended, or the platform has none: then it runs as all others do.
  }
}

const SHELL_SPACE = 'shell';

/** Sorts what a module imports into what travels, what is of the shell, and what must not be there. */
function sorter(root: SourceRoot, entry: string): Plugin {
  return {
    name: 'shell',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /.*/ }, (args) => sort(root, entry, args));
      onLoad({ filter: /.*/, namespace: SHELL_SPACE }, ({ path }) => {
        // Named one by one, so that a name that is not there stops the bundle.
        const names = Object.keys(SHELL[path]!).join(', ');
        return { contents: `export { ${names} } from 'shell:${path}';`, loader: 'js' };
      });
    },
  };
}

function sort(root: SourceRoot, entry: string, { path, importer, kind, resolveDir }: OnResolveArgs): object {
  if (kind === 'entry-point') return { path };
  if (path.startsWith('shell:')) return { path, external: true };
  if (path.startsWith('node:')) return NODE_MODULES.has(path) ? { path, external: true } : forbid(path);
  if (!path.startsWith('.') && !path.startsWith('/')) return forbid(path);
  const file = resolve(resolveDir, path);
  const id = withoutExtension(relative(root.directory, file).split(sep).join('/'));
  if (Object.hasOwn(SHELL, id)) return { path: id, namespace: SHELL_SPACE };
  // A variant may import the module that it varies, and what lies beside it.
  const isOfVariant = importer === entry && dirname(file) === dirname(entry) && !travels(withoutExtension(id));
  if (travels(id) || (isOfVariant && !id.startsWith('actors/'))) return { path: file };
  return forbid(id);
}

function forbid(what: string): object {
  return { errors: [{ text: what, detail: 'RELOAD_IMPORT' }] };
}

function withoutExtension(path: string): string {
  return path.replace(/\.(ts|js)$/, '');
}

function explain({ errors, message }: BuildFailure): Refusal {
  if (!Array.isArray(errors) || errors.length === 0) return refusal('RELOAD_SYNTAX', message);
  const forbidden = errors.filter(({ detail }) => detail === 'RELOAD_IMPORT');
  if (forbidden.length > 0) return refusal('RELOAD_IMPORT', forbidden.map(describeImport).join('; '));
  const code = errors.some(({ text }) => text.includes(`"${SHELL_SPACE}:`)) ? 'RELOAD_SHELL_EXPORT' : 'RELOAD_SYNTAX';
  return refusal(code, errors.map(describe).join('; '));
}

function describeImport({ text, location }: Message): string {
  return location === null ? text : `${location.file}:${location.line} imports ${text}`;
}

function describe({ text, location }: Message): string {
  return location === null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}

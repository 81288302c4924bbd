/**
 * Test files as single scripts for a browser, made by esbuild from what tsc compiled: the very code that runs in Node.
 */

import { join } from 'node:path';
import { build } from 'esbuild';
import { compiled } from './suites.ts';

const SHIMS: Readonly<Record<string, string>> = {
  tap: 'tap.js',
  'node:assert/strict': 'node-assert.js',
  'node:crypto': 'node-crypto.js',
  'node:fs': 'node-fs.js',
  'node:fs/promises': 'node-fs.js',
  'node:url': 'node-url.js',
};

/**
 * Bundles test files.
 *
 * @param root - The checkout, built.
 * @param paths - Test files from there.
 * @returns The scripts by the paths of the compiled files.
 */
export async function bundle(root: string, paths: readonly string[]): Promise<Map<string, string>> {
  const shims = join(root, 'dist/test/browser/shims');
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: paths.map(compiled),
    outdir: 'dist',
    outbase: 'dist',
    bundle: true,
    // Redacted objects print the name of their class.
    keepNames: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
    inject: [join(shims, 'node-globals.js')],
    alias: Object.fromEntries(Object.entries(SHIMS).map(([name, file]) => [name, join(shims, file)])),
  });
  return new Map(outputFiles.map(({ path, text }) => [path.slice(root.length).replace(/^[/\\]/, ''), text]));
}

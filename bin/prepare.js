/**
 * What must be true before any other file of the project runs: a supported Node.js, the dependencies, the build.
 *
 * Plain JavaScript without imports from the project, because it runs before there is a build. Every command comes
 * through here, so a fresh checkout needs no set-up step.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
const SOURCES = ['actors', 'bench', 'bin', 'client', 'protocol', 'runtime', 'supervisors', 'test'];
const COMPILER = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/**
 * Why `version` is not supported, in one line, or `undefined` if it is.
 *
 * @param {string} version - As in `process.versions.node`.
 */
export function refuseNode(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major >= 20 && major <= 25 && (major > 20 || minor >= 19)) return undefined;
  return `APP_NODE_VERSION: Blindbeam runs on Node.js 20.19 to 25, and this is ${version}. Install one of those versions.`;
}

/** Ends the process with status 1 on a version that is not supported. */
export function requireNode() {
  const refusal = refuseNode(process.versions.node);
  if (refusal === undefined) return;
  console.error(refusal);
  process.exit(1);
}

/** Installs the dependencies if they are not the ones that the lock file names. */
export function requireDependencies() {
  if (isInstalled()) return;
  console.error('Installing the dependencies (once) …');
  // What needs compiling comes compiled; npm 11 runs no scripts of packages anyway, and warns of each.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], 'the dependencies could not be installed');
}

/** Packages for other platforms are in the lock file and not on the disk, so optional ones do not count. */
function isInstalled() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages(join('node_modules', '.package-lock.json'));
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional === true || installed[path]?.version === entry.version,
  );
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), 'utf8')).packages ?? {};
  } catch {
    return {};
  }
}

/** Compiles, and bundles the pages, if a source is newer than the build. Who may not write there runs what was built. */
export function requireBuild() {
  const builtMs = Math.min(modified(join(DIST, '.tsbuildinfo')), modified(join(DIST, 'web', 'index.html')));
  if (builtMs >= newest()) return;
  if (!existsSync(COMPILER)) return;
  if (builtMs > 0 && !mayWrite(DIST)) {
    console.error('The sources are newer than the build, which runs: "npm run build" renews it.');
    return;
  }
  console.error('Building …');
  removeOrphans(DIST);
  run(process.execPath, [COMPILER, '-p', join(ROOT, 'tsconfig.json')], 'the build failed');
  run(process.execPath, [join(ROOT, 'bin', 'bundle-pages.js')], 'the pages could not be bundled');
}

function run(command, args, failure) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`${failure}${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

function mayWrite(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function modified(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

function newest() {
  const times = SOURCES.flatMap((folder) => files(join(ROOT, folder))).map(modified);
  return Math.max(modified(join(ROOT, 'tsconfig.json')), modified(join(ROOT, 'package.json')), ...times);
}

function files(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|json|html|css)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** Removes compiled files whose source is gone, so that a deleted test does not run on. */
function removeOrphans(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (!entry.isFile() || !/\.(js|d\.ts|js\.map)$/.test(entry.name)) continue;
    const source = join(ROOT, relative(DIST, path)).replace(/\.(d\.ts|js\.map|js)$/, '.ts');
    // Another first command may do the same at the same time.
    if (!existsSync(source)) rmSync(path, { force: true });
  }
}

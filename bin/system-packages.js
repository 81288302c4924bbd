/**
 * Packages of the operating system that some test suites need: installs what is missing where that is possible, names it
 * where it is not. The suites then run, or report themselves as skipped with the reason; nothing fails in here.
 *
 * For `npm test` only. Nothing that serves users comes through here.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * A program that a suite starts, and the Debian package that has it.
 *
 * @typedef {{ command: string, package: string, purpose: string }} SystemPackage
 */

/** @type {readonly SystemPackage[]} */
export const SYSTEM_PACKAGES = [
  { command: 'nats-server', package: 'nats-server', purpose: 'nodes in a cluster' },
  { command: 'erl', package: 'erlang-base', purpose: 'the BEAM beside our actors' },
  { command: 'chromium', package: 'chromium', purpose: 'the client in a browser' },
  { command: 'tmux', package: 'tmux', purpose: 'top in a terminal' },
  { command: 'openssl', package: 'openssl', purpose: 'TLS' },
];

/** For everything together: a mirror that is slow must not hold up the tests. */
const TOTAL_MS_MAX = 300_000;

/**
 * What this module asks of the machine; tests bring their own.
 *
 * @typedef {object} Machine
 * @property {(command: string) => boolean} has - Whether a program is on the path.
 * @property {boolean} isRoot
 * @property {(argv: readonly string[], timeoutMs: number) => boolean} run - Runs a program quietly, for a whole number of milliseconds; whether it succeeded.
 * @property {() => number} nowMs
 * @property {(line: string) => void} say
 */

/**
 * Installs what is missing of `packages`, with `apt-get`, if this is root on a system that has it.
 *
 * @param {readonly SystemPackage[]} [packages]
 * @param {Machine} [machine]
 * @returns {SystemPackage[]} What is still missing.
 */
export function provideSystemPackages(packages = SYSTEM_PACKAGES, machine = thisMachine()) {
  const missing = missingOf(packages, machine);
  if (missing.length === 0) return [];
  if (machine.isRoot && machine.has('apt-get')) install(missing, machine);
  const left = missingOf(packages, machine);
  for (const each of left) {
    machine.say(
      `${each.command} is not installed (Debian package ${each.package}): tests of ${each.purpose} are skipped.`,
    );
  }
  return left;
}

function missingOf(packages, machine) {
  return packages.filter(({ command }) => !machine.has(command));
}

/** One update of the lists, then package by package: one that cannot be had does not keep the others away. */
function install(missing, machine) {
  const endMs = machine.nowMs() + TOTAL_MS_MAX;
  const apt = (...argv) => {
    const leftMs = endMs - machine.nowMs();
    return leftMs > 0 && machine.run(['apt-get', '--quiet=2', ...argv], Math.ceil(leftMs));
  };
  machine.say(`Installing ${missing.map((each) => each.package).join(', ')} for the tests (once) …`);
  apt('update');
  for (const each of missing) apt('install', '--yes', '--no-install-recommends', each.package);
}

/** @returns {Machine} */
function thisMachine() {
  return {
    has: isOnPath,
    isRoot: process.getuid?.() === 0,
    run: ([command, ...argv], timeoutMs) => {
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      return spawnSync(command, argv, { env, stdio: 'ignore', timeout: timeoutMs }).status === 0;
    },
    nowMs: () => performance.now(),
    say: (line) => console.error(line),
  };
}

function isOnPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

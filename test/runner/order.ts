/**
 * In which order test files run, so that no long one is left alone at the end while the other processors wait.
 *
 * Only the time depends on this order, never a result: each file has a process, ports and a directory of its own.
 */

/** What takes longest, in the order of the time it takes on two cores; found with the seconds that `npm test` prints. */
export const LONGEST_FIRST: readonly string[] = [
  'dist/test/browser/browser.test.js',
  'dist/test/integration/crash.test.js',
  'dist/test/integration/slow-clients.test.js',
  'dist/bin/cluster.test.js',
  'dist/test/integration/presence.test.js',
  'dist/test/integration/groups.test.js',
  'dist/bench/workloads/storm.test.js',
  'dist/test/integration/cluster-faults.test.js',
  'dist/test/integration/cluster-sessions.test.js',
  'dist/test/examples.test.js',
  'dist/test/integration/abuse.test.js',
  'dist/test/integration/backlog.test.js',
  'dist/test/integration/group-people.test.js',
  'dist/test/browser/web-chat.test.js',
  'dist/test/integration/backup.test.js',
  'dist/test/integration/run.test.js',
  'dist/runtime/worker/rebirth.test.js',
  'dist/test/integration/operator.test.js',
  'dist/test/integration/idle-actors.test.js',
  'dist/bench/workloads/connections.test.js',
  'dist/test/integration/watchdog.test.js',
  'dist/test/integration/media-s3.test.js',
  'dist/bench/actors/performer.test.js',
  'dist/test/integration/scenario.test.js',
];

/** Of this one the part in Node is read from the results of the other files, where those are there already. */
const READS_RESULTS = 'dist/test/browser/browser.test.js';
const READ: readonly string[] = ['dist/protocol/', 'dist/client/'];

/** The files of `paths`: first what is read by another, then the longest, then the others by folder. */
export function inOrder(paths: readonly string[]): string[] {
  const rank = new Map(LONGEST_FIRST.map((path, index) => [path, index]));
  const rankOf = (path: string): number => rank.get(path) ?? LONGEST_FIRST.length;
  const isRead = (path: string): number =>
    paths.includes(READS_RESULTS) && READ.some((folder) => path.startsWith(folder)) ? 0 : 1;
  return [...paths].sort((a, b) => isRead(a) - isRead(b) || rankOf(a) - rankOf(b) || (a < b ? -1 : 1));
}

/**
 * Ends a process that a test or a benchmark has started, when this one ends without having ended it: by a signal, a crash, or an output that nobody reads any
 * more (`… | head`). Nobody gets to tidy up then, and what has a process group of its own would go on for good. An adapter.
 *
 * A shell waits at a pipe whose other end is held by this process alone, so the kernel closes it with this process, whatever ends that.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** The line comes when the process has ended by itself; without one, whoever held the pipe is gone. */
const WATCH = 'trap "" HUP INT TERM; read -r line; [ "$line" = ended ] || kill -KILL "$1"';

/** From now on `child` does not outlive this process. It keeps nothing running. */
export function guard(child: ChildProcess): void {
  // It did not start, which its `error` event tells.
  if (child.pid === undefined) return;
  const stdio: ['pipe', 'ignore', 'ignore'] = ['pipe', 'ignore', 'ignore'];
  const watcher = spawn('/bin/sh', ['-c', WATCH, 'guard', String(child.pid)], { stdio, detached: true });
  // Somebody has ended it: what it watches goes on without.
  watcher.stdin.on('error', () => undefined);
  child.once('exit', () => watcher.stdin.end('ended\n'));
  watcher.unref();
  (watcher.stdin as Socket).unref();
}

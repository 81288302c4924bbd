/**
 * What becomes of a command when its output cannot be written: the reader of a pipe is gone (`blindbeam … | head`), or the disk
 * behind a file is full. Unheard, that is an exception with a stack trace, and the end of whatever runs.
 *
 * Knows no verbs. `cli.ts` says which of them go on.
 */

/** The part of a process that is needed; tests bring their own. */
export interface OutputProcess {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  exitCode?: number | string | null | undefined;
  exit(): void;
}

/**
 * From now on a failure to write ends the process: in silence where nobody reads any more, as other programs do, and with status 1 and a
 * line of why where the output is lost.
 *
 * @param isOutlived - The verb goes on instead, without its output.
 */
export function watchOutput(here: OutputProcess, isOutlived: boolean): void {
  // It cannot be said where it is said.
  here.stderr.on('error', () => undefined);
  here.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isOutlived) return;
    if (error.code !== 'EPIPE') {
      here.stderr.write(`blindbeam: the output cannot be written: ${error.message}.\n`);
      here.exitCode = 1;
    }
    here.exit();
  });
}

/** What is wrong with a command line, in the words of `parseArgs` of Node.js: their first sentence. The others explain its own syntax. */

/** @param error - What `parseArgs` threw. @returns A sentence without its full stop. */
export function problemOf(error: unknown): string {
  return (error as Error).message.split('\n')[0]!.split('. ')[0]!.replace(/\.$/, '');
}

/** Names of files that somebody sent, before they reach a disk or a browser's list of downloads. Knows neither of the two. */

/** Characters; what a file system takes is longer, and a claim this long is no name. */
const NAME_LENGTH_MAX = 100;

/** A name to save a file under: what the sender calls it, without anything that could lead elsewhere or look like another name. */
export function safeFileName(name: string): string {
  const last = name.split(/[/\\]/).findLast((part) => part !== '') ?? '';
  const tidy = last.replace(/[^\p{L}\p{N}._ -]/gu, '_').replace(/^\.+/, '');
  return [...tidy].slice(0, NAME_LENGTH_MAX).join('') || 'file';
}

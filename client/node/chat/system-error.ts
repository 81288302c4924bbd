/**
 * What the operating system refuses, in words for people.
 */

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'that is a folder',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'there is a file of that name already',
  EACCES: 'you may not do that there',
  EPERM: 'you may not do that there',
  EROFS: 'nothing can be written there',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your share of the disk is full',
  ENAMETOOLONG: 'the name is too long',
};

/** Says what is wrong and where, with the system's own code for who wants to look it up; its message where there are no words for it. */
export function describeSystemError(error: Error): string {
  const { code = '', path } = error as NodeJS.ErrnoException;
  const words = WORDS[code];
  if (words === undefined) return error.message;
  return path === undefined ? `${words} (${code})` : `${words}: ${path} (${code})`;
}

/**
 * Secrets that the environment names a file for: `AWS_SECRET_ACCESS_KEY_FILE` in place of `AWS_SECRET_ACCESS_KEY`, the way
 * containers and service managers hand them out. A process's environment can be read by others of its user; such a file need not.
 */

import { readFileSync } from 'node:fs';

type Environment = Readonly<Record<string, string | undefined>>;

const NAMES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

/**
 * The environment with the values of those files in it.
 *
 * @throws what `readFile` throws for a file that is named and cannot be read.
 */
export function withSecretFiles(
  environment: Environment,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): Environment {
  const values: Record<string, string | undefined> = { ...environment };
  for (const name of NAMES) {
    const path = environment[`${name}_FILE`];
    if (path !== undefined) values[name] = readFile(path).replace(/\r?\n$/, '');
  }
  return values;
}

/**
 * Whether a program is installed, found as a shell finds it. It is not run for that: what runs while somebody presses Ctrl-C has to
 * be ended too.
 */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether the path has `name`. */
export function hasProgram(name: string, path: string = process.env.PATH ?? ''): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

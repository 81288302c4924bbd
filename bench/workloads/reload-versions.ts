/**
 * Versions of the connection behaviour to reload: files as an engineer would write them, each with a state of another shape.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileOf, type SourceRoot } from '../../actors/reload/bundle.ts';
import { BenchError } from '../errors.ts';

/** The behaviour that is reloaded. */
export const NAME = 'actors/connection';

export class Versions {
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'blindbeam-bench-versions-'));
  readonly #original: string;
  readonly #fields: readonly string[];

  /** @param fields - Of the state that the original makes. */
  constructor(root: SourceRoot, fields: readonly string[]) {
    if (fields.length === 0) throw new BenchError('BENCH_UNEXPECTED', `the state of ${NAME} has no fields`);
    this.#original = fileOf(root, NAME);
    this.#fields = fields;
  }

  /** The file of version `number`, 1 and up. Its state has all fields of the original and one of its own. */
  file(number: number): string {
    const path = join(this.#directory, `connection-${number}.mjs`);
    writeFileSync(path, this.#text(number));
    return path;
  }

  #text(number: number): string {
    const fields = this.#fields.map((name) => `${name}: state.${name}`).join(', ');
    return `import { connection as original } from ${JSON.stringify(this.#original)};

/** One literal, so that all states of a version have one hidden class. */
const convert = (state) => ({ ${fields}, field${number}: ${number} });
const convertBack = (state, to) => (to === 0 ? { ${fields} } : { ${fields}, ['field' + to]: to });

export const connection = {
  ...original,
  version: ${number},
  init: (args, ctx) => convert(original.init(args, ctx)),
  handleCast(message, state, ctx) {
    if (state.field${number} !== ${number}) throw new Error('the state is of another version');
    return original.handleCast.call(this, message, state, ctx);
  },
  codeChange: (state) => convert(state),
  codeBack: (state, to) => convertBack(state, to),
};
`;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

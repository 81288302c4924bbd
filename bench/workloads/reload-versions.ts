/**
 * Versions of the connection behaviour to reload: files as an engineer would write them, each with a state of another shape.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connection } from '../../actors/connection.ts';
import { fileOf, sourceRootOf, type SourceRoot } from '../../actors/reload/bundle.ts';
import type { ReloadReport } from '../../actors/reload/report.ts';
import type { ReloadProgress } from '../../actors/reload/verbs.ts';
import type { AdminClient } from '../../bin/operator/client.ts';
import { createNode, systemClock as clock, systemLoop, systemRandom } from '../../runtime/index.ts';
import { fieldsOfState } from '../../runtime/reload/index.ts';
import { BenchError } from '../errors.ts';

/** The behaviour that is reloaded. */
const NAME = 'actors/connection';

const BUILD: string = fileURLToPath(new URL('../..', import.meta.url));
const SYSTEM = { name: 'bench', clock, random: systemRandom, loop: systemLoop, log: console };

/** Versions of the behaviour that this build has. Removed by who made them. */
export function versionsOfBuild(): Versions {
  return new Versions(sourceRootOf(BUILD.replace(/[/\\]$/, '')), fieldsOfState(createNode(SYSTEM).kernel, connection));
}

/**
 * Replaces the code of connections on one node.
 *
 * @param parameters - Of the verb `reload`, beside the name and the file.
 * @throws {BenchError} BENCH_UNEXPECTED when the version was not kept.
 */
export async function reloadOnce(admin: AdminClient, file: string, parameters: object): Promise<ReloadReport> {
  for await (const value of admin.watch<ReloadProgress>('reload', { name: NAME, file, ...parameters })) {
    if (!('report' in value)) continue;
    const { report } = value;
    if (report.outcome === 'kept') return report;
    const why = report.fault?.detail ?? report.refusals.map(({ code, detail }) => `${code} ${detail}`).join('; ');
    throw new BenchError('BENCH_UNEXPECTED', `the version in ${file} was ${report.outcome}: ${why}`);
  }
  throw new BenchError('BENCH_UNEXPECTED', `the reload of ${file} ended without a report`);
}

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

/**
 * In what two runs differ besides their figures: machine, kernel, Node, commit, libraries, settings, options. Pure.
 */

import type { Report } from '../harness/report.ts';

/** What a report says about where and with what it was made. */
export type Circumstances = Pick<Report, 'commit' | 'machine' | 'environment'> & Partial<Pick<Report, 'params'>>;

/** Of the machine's processors, what may be busy before a run without a word. */
const LOAD_OF_CORE_MAX = 0.5;

/** A line for each difference. `params` are compared when both have them. */
export function differencesOfEnvironment(a: Circumstances, b: Circumstances): string[] {
  const withParams = a.params !== undefined && b.params !== undefined;
  const [left, right] = [flatten(a, withParams), flatten(b, withParams)];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  const differing = names.filter((name) => left[name] !== right[name]);
  const said = differing.map((name) => `${name} differs: ${told(left[name])} and ${told(right[name])}`);
  return [...said, ...busyBefore('A', a), ...busyBefore('B', b)];
}

function flatten(
  { commit, machine, params = {}, environment }: Circumstances,
  withParams: boolean,
): Record<string, unknown> {
  // How often it was run changes no figure.
  const { rounds: _rounds, ...options } = params;
  const dependencies = Object.entries(environment?.dependencies ?? {});
  return {
    commit,
    ...machine,
    ...(withParams ? options : {}),
    ...environment?.settings,
    ...Object.fromEntries(dependencies.map(([name, version]) => [`library ${name}`, version])),
    descriptors: environment?.descriptors,
    NODE_OPTIONS: environment?.nodeOptions,
  };
}

function told(value: unknown): string {
  if (value === '') return 'none';
  return value === undefined ? 'not recorded' : String(value);
}

function busyBefore(side: string, { machine, environment }: Circumstances): string[] {
  const load = environment?.loadBefore ?? 0;
  if (load <= machine.cores * LOAD_OF_CORE_MAX) return [];
  return [`the machine was busy before ${side}: load ${load.toFixed(1)} on ${machine.cores} cores`];
}

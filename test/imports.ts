/**
 * Who may import whom: the rules of docs/architecture.md as data, and the check over import statements; and that nobody
 * imports in a circle.
 *
 * Four of the lines carry a claim: `actors` without `protocol/signal` is that the server cannot read a message;
 * `client` without `node:` is that it runs in a browser; `runtime` without the rest is that it can be used elsewhere; the
 * minimal client of the tests without anything is that the documents are enough to write one.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';

/** What one layer may import: other layers, and packages or `node:` modules. Longest path first. */
interface Rule {
  readonly layer: string;
  readonly layers: readonly string[];
  readonly packages: readonly string[];
}

const ANY_NODE = 'node:*';

const RULES: readonly Rule[] = [
  { layer: 'protocol/wire', layers: [], packages: [] },
  { layer: 'protocol/signal', layers: [], packages: ['@noble/*'] },
  { layer: 'runtime/private-directory.ts', layers: [], packages: [ANY_NODE] },
  { layer: 'runtime', layers: ['runtime/private-directory.ts'], packages: [ANY_NODE, 'msgpackr', 'nats', 'nats/*'] },
  { layer: 'supervisors', layers: ['runtime'], packages: ['node:assert/strict'] },
  {
    layer: 'actors',
    layers: ['runtime', 'runtime/private-directory.ts', 'supervisors', 'protocol/wire'],
    packages: [ANY_NODE, 'uWebSockets.js', 'lmdb', 'pino', 'esbuild', 'zod', 'yaml', 'prom-client', 'uplot'],
  },
  {
    layer: 'client/node',
    layers: ['client', 'protocol/wire', 'protocol/signal', 'runtime/private-directory.ts'],
    packages: [ANY_NODE, 'ws', 'classic-level'],
  },
  { layer: 'client/web', layers: ['client', 'protocol/wire', 'protocol/signal'], packages: ['idb'] },
  { layer: 'client', layers: ['protocol/wire', 'protocol/signal'], packages: [] },
  { layer: 'test/integration/minimal-client', layers: [], packages: [ANY_NODE] },
  { layer: 'bench', layers: ['*'], packages: ['*'] },
  { layer: 'bin', layers: ['*'], packages: ['*'] },
  { layer: 'test', layers: ['*'], packages: ['*'] },
];

/** Packages that one file alone may import, outside of tests, benchmarks and the command line. */
export const SINGLE_IMPORTERS: Readonly<Record<string, string>> = {
  'uWebSockets.js': 'actors/listener.ts',
  lmdb: 'actors/store/lmdb.ts',
  esbuild: 'actors/reload/bundle.ts',
  uplot: 'actors/console/page/charts.ts',
  msgpackr: 'runtime/codec.ts',
  nats: 'runtime/cluster/nats-bus.ts',
  'nats/*': 'runtime/cluster/nats-bus.ts',
  pino: 'actors/logger.ts',
  'prom-client': 'actors/metrics/exposition.ts',
  zod: 'actors/config/schema.ts',
  yaml: 'actors/config/file.ts',
  ws: 'client/node/ws-transport.ts',
  'classic-level': 'client/node/disk-store.ts',
  idb: 'client/web/indexed-store.ts',
  '@noble/*': 'protocol/signal/primitives.ts',
};

/**
 * The one reach for Node outside of the layers that may: asked for at run time and done without where it is missing, so a
 * browser never meets it.
 */
const OPTIONAL_NODE: Readonly<Record<string, string>> = { 'protocol/signal/native-primitives.ts': 'node:crypto' };

export interface Source {
  /** From the checkout's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** Every TypeScript source of the product's folders. */
export function readSources(root: string, folders: readonly string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .map((path) => ({ path: relative(root, path).split(sep).join('/'), text: readFileSync(path, 'utf8') })),
  );
}

const SPECIFIER =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s*)?['"]([^'"]+)['"]|\b(?:import|require|getBuiltinModule)\??\.?\(\s*['"]([^'"]+)['"]|\)\(\s*'([^'.][^']*)'\s*\)\s*as\s+typeof\s+import\(/g;

/** The specifiers that a source imports, statically or not; `getBuiltinModule` counts, since it reaches Node as well. */
export function importsOf(source: Source): string[] {
  return [...source.text.matchAll(SPECIFIER)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

/** An import of types alone, which is gone when the code runs. */
const TYPE_IMPORT = /^(?:import|export) type\s[^;'"]*?\sfrom\s*'[^']+';/gm;

/**
 * The circles of imports among `sources`, each as the files on its way round: none of them can be understood, tested or loaded
 * without the others. Types do not count, since two types may well speak of each other.
 */
export function findCircles(sources: readonly Source[]): string[] {
  const imports = new Map(sources.map((source) => [source.path, filesLoadedBy(source)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start !== -1) return void circles.push([...way.slice(start), path].join(' → '));
    if (done.has(path)) return;
    for (const target of imports.get(path) ?? []) visit(target, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return circles;
}

function filesLoadedBy({ path, text }: Source): string[] {
  return importsOf({ path, text: text.replaceAll(TYPE_IMPORT, '') })
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.normalize(posix.join(dirname(path), specifier)));
}

export function isTest(path: string): boolean {
  return /\.(test|page-test|fuzz|fixture)\.ts$|\/testing\/|test-kit\.ts$/.test(path);
}

/** Everything in `sources` that breaks a rule, in sentences. */
export function findViolations(sources: readonly Source[]): string[] {
  return sources.filter((source) => !isTest(source.path)).flatMap(violationsOf);
}

function violationsOf(source: Source): string[] {
  const rule = RULES.find(({ layer }) => isWithin(source.path, layer));
  if (rule === undefined) return [`${source.path} belongs to no layer`];
  return importsOf(source).flatMap((specifier) => {
    const why = specifier.startsWith('.')
      ? refuseFile(source.path, specifier, rule)
      : refusePackage(source.path, specifier, rule);
    return why === undefined ? [] : [`${source.path}: ${why}`];
  });
}

function refuseFile(path: string, specifier: string, rule: Rule): string | undefined {
  const target = posix.normalize(posix.join(dirname(path), specifier));
  const layer = RULES.find((each) => isWithin(target, each.layer))?.layer;
  if (layer === undefined || layer === rule.layer || rule.layers.includes('*') || rule.layers.includes(layer))
    return undefined;
  return `${rule.layer} must not import ${layer} (${specifier})`;
}

function refusePackage(path: string, specifier: string, rule: Rule): string | undefined {
  if (OPTIONAL_NODE[path] === specifier) return undefined;
  if (!rule.packages.some((allowed) => matches(specifier, allowed)))
    return `${rule.layer} must not import ${specifier}`;
  if (rule.packages.includes('*')) return undefined;
  const single = Object.entries(SINGLE_IMPORTERS).find(([name]) => matches(specifier, name));
  if (single === undefined || single[1] === path) return undefined;
  return `only ${single[1]} may import ${specifier}`;
}

function matches(specifier: string, allowed: string): boolean {
  return allowed.endsWith('*') ? specifier.startsWith(allowed.slice(0, -1)) : specifier === allowed;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { bundleBehavior, sourceRootOf, stopBundler } from '../actors/reload/bundle.ts';
import { BEHAVIORS } from '../actors/reload/shell.ts';
import { findUnusedExports } from './exports.ts';
import {
  findCircles,
  findViolations,
  importsOf,
  isTest,
  readSources,
  SINGLE_IMPORTERS,
  type Source,
} from './imports.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['runtime', 'supervisors', 'protocol', 'actors', 'client', 'bench', 'bin', 'test'];
const SOURCES = readSources(ROOT, FOLDERS);

t.test('imports go in the directions of docs/architecture.md', async (t) => {
  t.ok(SOURCES.length > 50, `${SOURCES.length} sources`);
  t.strictSame(findViolations(SOURCES), []);
});

t.test('each heavy dependency has the importer that it is said to have', async (t) => {
  for (const [name, path] of Object.entries(SINGLE_IMPORTERS)) {
    const source = SOURCES.find((each) => each.path === path);
    const prefix = name.replace('*', '');
    t.ok(
      source !== undefined && importsOf(source).some((specifier) => specifier.startsWith(prefix)),
      `${path} imports ${name}`,
    );
  }
});

t.test('what a behaviour imports travels with it or is of the shell, as actors/reload/shell.ts declares', async (t) => {
  t.teardown(stopBundler);
  for (const { name } of BEHAVIORS) {
    const bundled = await bundleBehavior(sourceRootOf(join(ROOT, 'dist')), name);
    t.strictSame('code' in bundled ? bundled : undefined, undefined, `${name} can be reloaded`);
  }
});

const PLANTED: readonly (readonly [path: string, statement: string])[] = [
  ['actors/spy.ts', "import { decrypt } from '../protocol/signal/index.ts';"],
  ['actors/store/spy.ts', "import type { Session } from '../../protocol/signal/session.ts';"],
  ['actors/spy.ts', "const signal = await import('../protocol/signal/index.ts');"],
  ['actors/spy.ts', "export * from '../client/index.ts';"],
  ['actors/spy.ts', "import { open } from 'lmdb';"],
  ['actors/spy.ts', "const uws = createRequire(import.meta.url)('uWebSockets.js') as typeof import('uWebSockets.js');"],
  ['client/spy.ts', "import { readFileSync } from 'node:fs';"],
  ['client/spy.ts', "import WebSocket from 'ws';"],
  ['client/spy.ts', "const crypto = process.getBuiltinModule('node:crypto');"],
  ['client/spy.ts', "import { connection } from '../actors/connection.ts';"],
  ['client/spy.ts', "import { makePrivateDirectory } from '../runtime/private-directory.ts';"],
  ['client/node/spy.ts', "import { systemClock } from '../../runtime/index.ts';"],
  ['client/spy.ts', "import { diskStore } from './node/disk-store.ts';"],
  ['runtime/spy.ts', "import { decodeMessage } from '../protocol/wire/index.ts';"],
  ['runtime/spy.ts', "import {\n  supervisor,\n} from '../supervisors/index.ts';"],
  ['supervisors/spy.ts', "import { inbox } from '../actors/inbox.ts';"],
  ['protocol/wire/spy.ts', "import { x25519 } from '@noble/curves/ed25519.js';"],
  ['protocol/wire/spy.ts', "import { encrypt } from '../signal/index.ts';"],
  ['protocol/signal/spy.ts', "import { encode } from '../wire/index.ts';"],
  ['protocol/signal/spy.ts', "import { hmac } from '@noble/hashes/hmac.js';"],
  ['test/integration/minimal-client/spy.ts', "import { encode } from '../../../protocol/wire/encode.ts';"],
  ['test/integration/minimal-client/spy.ts', "import { x25519 } from '@noble/curves/ed25519.js';"],
];

t.test('a forbidden import that is planted is found', async (t) => {
  for (const [path, text] of PLANTED) {
    const planted: Source = { path, text: `${text}\n` };
    t.equal(findViolations([planted]).length, 1, `${path}: ${text}`);
  }
  t.strictSame(findViolations([{ path: 'actors/fine.ts', text: "import { inbox } from './inbox.ts';\n" }]), []);
});

t.test('no file imports itself by way of others', async (t) => {
  t.strictSame(findCircles(SOURCES), []);
  const there = { path: 'actors/there.ts', text: "import { back } from './store/back.ts';\n" };
  const back = { path: 'actors/store/back.ts', text: "export { there } from '../there.ts';\n" };
  const typed = { path: 'actors/store/back.ts', text: "import type { There } from '../there.ts';\n" };
  t.strictSame(findCircles([there, back]), ['actors/there.ts → actors/store/back.ts → actors/there.ts']);
  t.strictSame(findCircles([there, typed]), [], 'a type is no import when the code runs');
});

/** Taken by name from outside: by the bundler of the browser tests, by `bin/blindbeam.js`; and what stands in a text that a test or a workload writes to a file. */
const OFFERED_ELSEWHERE = /^(test\/browser\/shims\/|bin\/cli\.ts|.*: connection$)/;

t.test('what a file exports is used by another', async (t) => {
  const unused = findUnusedExports(SOURCES).filter((each) => !OFFERED_ELSEWHERE.test(each));
  t.strictSame(unused, []);
  const offered = { path: 'actors/offer.ts', text: 'export function offer(): void {}\nexport const USED = 1;\n' };
  const user = { path: 'actors/user.ts', text: "import { USED } from './offer.ts';\n" };
  t.strictSame(findUnusedExports([offered, user]), ['actors/offer.ts: offer'], 'the check finds what it looks for');
});

// A Date made from a given number of milliseconds takes nothing from the platform; one made from nothing does.
const AMBIENT =
  /\b((Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate)\s*\(|new Date(\s*\(\s*\)|;|$))/;
/** The adapters: the only places where time and randomness are taken from the platform. */
const ADAPTERS =
  /^(runtime\/system-adapters|runtime\/worker\/|client\/node\/|client\/web\/system|bench\/|test\/|bin\/)/;

t.test('clock and randomness are injected: nobody else takes them from the platform', async (t) => {
  const found = SOURCES.filter(({ path }) => !isTest(path) && !ADAPTERS.test(path)).flatMap(({ path, text }) =>
    withoutComments(text)
      .split('\n')
      .filter((line) => AMBIENT.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  );
  t.strictSame(found, []);
  t.match('const now = Date.now();', AMBIENT, 'the check finds what it looks for');
  t.match('const now = new Date();', AMBIENT, 'and the other way to ask');
});

const SPREAD_LITERAL = /\.\.\.\{/;

t.test(
  'what the server makes is one literal: each object put together from several has a hidden class of its own',
  async (t) => {
    const found = SOURCES.filter(({ path, text }) => {
      const isServer = /^(runtime|supervisors|actors|protocol\/wire)\//.test(path);
      return isServer && !isTest(path) && !/test-kit|fixture|\/testing\//.test(path) && SPREAD_LITERAL.test(text);
    });
    t.strictSame(
      found.map(({ path }) => path),
      [],
    );
    t.match('return { ...{ a: 1 }, ...{ b: 2 } };', SPREAD_LITERAL, 'the check finds what it looks for');
  },
);

t.test('no source is skipped, narrowed to itself, or left unfinished', async (t) => {
  const marks = /\.(only|todo)\(|@ts-ignore|\bTODO\b|\bFIXME\b|not implemented/;
  const found = SOURCES.filter(({ path, text }) => path !== 'test/tidy.test.ts' && marks.test(text)).map(
    ({ path }) => path,
  );
  t.strictSame(found, []);
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

const DOCUMENTS = ['.', 'docs', ...FOLDERS].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: folder !== '.' })
    .map((name) => posix.join(folder, String(name).split(sep).join('/')))
    .filter((path) => path.endsWith('.md')),
);

t.test('every file that a document links to or names exists', async (t) => {
  t.ok(
    DOCUMENTS.includes('docs/internals/inbox.md') && DOCUMENTS.includes('README.md'),
    `${DOCUMENTS.length} documents`,
  );
  for (const document of DOCUMENTS) {
    const text = readFileSync(join(ROOT, document), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) =>
      normalize(join(dirname(document), match[1]!)),
    );
    const names = [
      ...text.matchAll(
        /`((?:runtime|supervisors|protocol|actors|client|bench|bin|test|docs)\/[\w./-]+\.(?:ts|md|js|json))`/g,
      ),
    ];
    for (const path of [...links, ...names.map((match) => match[1]!)])
      t.ok(existsSync(join(ROOT, path)), `${document} → ${path}`);
  }
});

/** Of a heading, as pages that show Markdown make it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}

/** Links of a document to headings that are not there. */
function findLostAnchors(document: string, read: (path: string) => string): string[] {
  return [...read(document).matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)]
    .filter(([, path, anchor]) => {
      const target = path === '' ? document : posix.normalize(posix.join(posix.dirname(document), path!));
      if (!target.endsWith('.md')) return false;
      return ![...read(target).matchAll(/^#+ (.*)$/gm)].some((match) => anchorOf(match[1]!) === anchor);
    })
    .map(([, path, anchor]) => `${document} → ${path}#${anchor}`);
}

t.test('every heading that a document links to exists', async (t) => {
  const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
  t.strictSame(
    DOCUMENTS.flatMap((document) => findLostAnchors(document, read)),
    [],
  );
  const planted: Record<string, string> = {
    'docs/a.md': '[b](b.md#a-b-c) [b](b.md#gone)',
    'docs/b.md': '## A `b`: c\n',
  };
  t.strictSame(
    findLostAnchors('docs/a.md', (path) => planted[path]!),
    ['docs/a.md → b.md#gone'],
    'the check finds what it looks for',
  );
});

t.test('docs/architecture.md leads to every note on a mechanism', async (t) => {
  const architecture = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const notes = DOCUMENTS.filter((path) => path.startsWith('docs/internals/'));
  t.ok(notes.length > 20, `${notes.length} notes`);
  for (const note of notes) t.ok(architecture.includes(`](${note.slice('docs/'.length)})`), note);
});

t.test('every source says first what it is', async (t) => {
  const silent = SOURCES.filter(({ path, text }) => !path.endsWith('.test.ts') && !/^\/(\*\*|\/)/.test(text));
  t.strictSame(
    silent.map(({ path }) => path),
    [],
  );
});

t.test('every dependency is pinned to one version and has its sentence in docs/architecture.md', async (t) => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const architecture = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    t.match(version, /^(npm:[\w.]+@)?\d+\.\d+\.\d+$/, `${name} is pinned`);
    t.ok(architecture.includes(`\`${name}\``), `${name} is explained`);
  }
});

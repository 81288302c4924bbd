import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { bundleBehavior, fileOf, sourceRootOf, stopBundler } from './bundle.ts';
import { BEHAVIORS, SHELL, travels } from './shell.ts';

const BUILD = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SOURCES = sourceRootOf(BUILD);
const COMPILED = { directory: BUILD, extension: '.js' } as const;

t.teardown(stopBundler);

t.test('every behaviour can be bundled, from its sources and from what they were compiled to', async (t) => {
  for (const { name } of BEHAVIORS) {
    for (const root of [SOURCES, COMPILED]) {
      const bundled = await bundleBehavior(root, name);
      t.ok('text' in bundled, `${name}: ${JSON.stringify('code' in bundled ? bundled : bundled.modules.length)}`);
    }
  }
});

t.test(
  'only the connection may handle a message twice: all others keep what they commit, or what others count on',
  async (t) => {
    const retriable = BEHAVIORS.filter((behavior) => behavior.retriable === true);
    t.strictSame(
      retriable.map(({ name }) => name),
      ['actors/connection'],
    );
  },
);

/** What makes two copies of a module differ: a variable at the top, or a class whose instances remember their copy. */
const STATE_AT_TOP = /^(export )?(let|var) |^(export )?(abstract )?class /m;

t.test('what travels keeps no state at its top, and makes no instances that would stay in a state', async (t) => {
  const modules = new Set<string>();
  for (const { name } of BEHAVIORS) {
    const bundled = await bundleBehavior(SOURCES, name);
    for (const id of 'text' in bundled ? bundled.modules : []) modules.add(id);
  }
  t.ok(modules.size > 30, `${modules.size} modules`);
  const found = [...modules].filter((id) => STATE_AT_TOP.test(readFileSync(fileOf(SOURCES, id), 'utf8')));
  // Neither is ever in a state: one is thrown at start, the other lives within one function.
  t.strictSame(found.sort(), ['actors/errors', 'actors/inbox/group-entries']);
  t.match('export let count = 0;', STATE_AT_TOP, 'the check finds what it looks for');
});

t.test('nothing is both of the shell and travelling', async (t) => {
  t.strictSame(
    Object.keys(SHELL).filter((id) => travels(id)),
    [],
  );
});

/** What can be held true of the folder as text: its codes, its bounds, its imports. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { isSignalError, SIGNAL_ERRORS, signalError } from './errors.ts';
import { LIMITS } from './limits.ts';

const folder = new URL('../../../protocol/signal/', import.meta.url);
const sources = readdirSync(folder)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }));

t.test('every code in the catalogue is returned somewhere, and none that is not in it', async (t) => {
  const returned = new Set(
    sources
      .filter(({ name }) => name !== 'errors.ts')
      .flatMap(({ text }) => [...text.matchAll(/signalError\('(\w+)'\)/g)].map(([, code]) => code!)),
  );
  t.same([...returned].sort(), Object.keys(SIGNAL_ERRORS).sort());
});

t.test('every entry says what it means, how it comes about and what to do', async (t) => {
  for (const [code, { meaning, cause, action }] of Object.entries(SIGNAL_ERRORS)) {
    for (const sentence of [meaning, cause, action]) t.match(sentence, /^.{20,}\.$/, code);
  }
});

t.test('an error is plain data and is known by its code', async (t) => {
  const error = signalError('SIG_BAD_MAC');
  t.ok(isSignalError(structuredClone(error)));
  t.ok(isSignalError(JSON.parse(JSON.stringify(error))));
  for (const other of [
    undefined,
    null,
    'SIG_BAD_MAC',
    {},
    { code: 'SIG_OTHER' },
    { code: 'toString' },
    new Error('x'),
  ]) {
    t.notOk(isSignalError(other));
  }
});

t.test('nothing of Node is imported, and @noble in one file', async (t) => {
  t.ok(sources.length > 15);
  for (const { name, text } of sources) {
    const imported = [...text.matchAll(/from '([^']+)'|import\('([^']+)'\)/g)].map(
      ([, from, dynamic]) => from ?? dynamic!,
    );
    for (const specifier of imported) {
      if (specifier.startsWith('@noble/')) t.equal(name, 'primitives.ts', specifier);
      else t.match(specifier, /^\.\/[a-z0-9-]+\.ts$/, `${name} imports ${specifier}`);
    }
    t.notMatch(text, /Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate/, name);
  }
});

t.test('bounds do not move by accident: peers and stored records rely on them', async (t) => {
  const { forwardJumpCountMax, skippedKeyCountMax, receiverChainCountMax, archivedSessionCountMax } = LIMITS;
  t.same(
    [forwardJumpCountMax, skippedKeyCountMax, receiverChainCountMax, archivedSessionCountMax],
    [25_000, 2_000, 5, 40],
  );
  t.ok(Object.isFrozen(LIMITS));
});

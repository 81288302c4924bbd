/**
 * `reload --check` of the connection behaviour of a real node with people connected: ten changes that must not be applied are refused, each
 * with its reason, and ten that may be pass. Each is a file as an engineer would save it. The same check on a small behaviour, with more of
 * both kinds: runtime/reload/check.test.ts.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ReloadReport } from '../../actors/reload/report.ts';
import type { ReloadProgress } from '../../actors/reload/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { REFUSALS, type RefusalCode } from '../../runtime/reload/index.ts';
import { newPerson, PATIENCE_MS, until } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

interface Change {
  readonly what: string;
  /** Fields over those of the original. */
  readonly fields: string;
  /** Lines above the behaviour. */
  readonly top?: string;
}

const WIDER = `init: (args, ctx) => ({ ...original.init(args, ctx), greeting: 'new' }),`;
const FORTH = `codeChange: (state) => ({ ...state, greeting: 'changed' }),`;
const BACK = `codeBack: ({ greeting, ...state }) => state,`;

const REFUSED: readonly (Change & { readonly code: RefusalCode; readonly detail: RegExp })[] = [
  { what: 'another shape without codeChange', fields: WIDER, code: 'RELOAD_SHAPE', detail: /state\.greeting is new/ },
  { what: 'no way back', fields: `${WIDER} ${FORTH}`, code: 'RELOAD_NO_WAY_BACK', detail: /greeting/ },
  {
    what: 'a codeChange that throws for living states',
    fields: `${WIDER} ${BACK} codeChange: (state) => ({ ...state, greeting: state.greetings[0] }),`,
    code: 'RELOAD_CODE_CHANGE',
    detail: /TypeError/,
  },
  {
    what: 'a codeChange in place',
    fields: `${WIDER} ${BACK} codeChange(state) { state.greeting = ''; return state; },`,
    code: 'RELOAD_IN_PLACE',
    detail: /greeting/,
  },
  {
    what: 'a captured closure',
    fields: `init: (args, ctx) => ({ ...original.init(args, ctx), greet: () => 'hello' }),
      codeChange: (state) => ({ ...state, greet: () => 'hello' }), codeBack: ({ greet, ...state }) => state,`,
    code: 'RELOAD_CAPTURED_FUNCTION',
    detail: /state\.greet/,
  },
  {
    what: 'a timer callback',
    fields: `init: (args, ctx) => ({ ...original.init(args, ctx), timer: null }),
      codeChange: (state) => ({ ...state, timer: { _onTimeout: () => state } }), codeBack: ({ timer, ...state }) => state,`,
    code: 'RELOAD_CAPTURED_TIMER',
    detail: /state\.timer/,
  },
  {
    what: 'a timer that is set while the module loads',
    fields: '',
    top: 'setInterval(() => undefined, 1_000);',
    code: 'RELOAD_EVALUATION',
    detail: /ctx\.sendAfter/,
  },
  {
    what: 'a changed import of the shell',
    fields: 'codeChange: changed,',
    top: `import { nameThatIsNotThere as changed } from '${join(ROOT, 'runtime/index.ts')}';`,
    code: 'RELOAD_SHELL_EXPORT',
    detail: /nameThatIsNotThere/,
  },
  {
    what: 'an import of what holds state',
    fields: '',
    top: `import { open } from 'lmdb'; export const opened = open;`,
    code: 'RELOAD_IMPORT',
    detail: /lmdb/,
  },
  {
    what: 'a protocol that the running version does not understand',
    fields: 'messages: { speaks: 2, understands: [1, 2] },',
    code: 'RELOAD_MESSAGES',
    detail: /speaks messages 2/,
  },
];

const FINE: readonly Change[] = [
  { what: 'the same, renumbered', fields: '' },
  { what: 'a wider state with both ways', fields: `${WIDER} ${FORTH} ${BACK}` },
  { what: 'a conversion without another shape', fields: 'codeChange: (state) => ({ ...state }),' },
  { what: 'a protocol of which both speak the old', fields: 'messages: { speaks: 1, understands: [1, 2] },' },
  {
    what: 'a handler that does something before',
    fields: `handleCast(message, state, ctx) { ctx.log.debug('seen'); return original.handleCast.call(this, message, state, ctx); },`,
  },
  {
    what: 'a collection in the state',
    fields: `init: (args, ctx) => ({ ...original.init(args, ctx), seen: new Map() }),
      codeChange: (state) => ({ ...state, seen: new Map([['a', { at: 0 }]]) }), codeBack: ({ seen, ...state }) => state,`,
  },
  {
    what: 'a class that is used within a handler',
    fields: `handleCast(message, state, ctx) { new Step().go(); return original.handleCast.call(this, message, state, ctx); },`,
    top: 'class Step { go() { return 1; } }',
  },
  {
    what: 'a function of the shell in the state',
    fields: `init: (args, ctx) => ({ ...original.init(args, ctx), make: createNode }),
      codeChange: (state) => ({ ...state, make: createNode }), codeBack: ({ make, ...state }) => state,`,
    top: `import { createNode } from '${join(ROOT, 'runtime/index.ts')}';`,
  },
  {
    what: 'a part of Node without state',
    fields: '',
    top: `import { inspect } from 'node:util'; export const show = inspect;`,
  },
  { what: 'another way to the older versions', fields: 'codeBack: (state) => ({ ...state }),' },
];

function writeChange(directory: string, { fields, top = '' }: Change): string {
  const file = join(directory, 'connection-changed.ts');
  writeFileSync(
    file,
    `import { connection as original } from '${join(ROOT, 'actors/connection.ts')}';
${top}
export const connection = { ...original, version: 1, ${fields} };
`,
  );
  return file;
}

t.test('ten changes are refused by --check, each with its reason, and ten pass; nobody notices', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '1', '--metrics-port', '0']);
  const one = await newPerson(t, server, '+4915100000071');
  const other = await newPerson(t, server, '+4915100000072');
  const states: string[] = [];
  for (const { client } of [one, other]) client.onState((state) => void states.push(state));
  const admin = await AdminClient.connect(join(directory, 'admin.sock'), PATIENCE_MS);
  t.teardown(() => admin.close());
  const check = async (change: Change): Promise<ReloadReport> => {
    const request = { name: 'actors/connection', file: writeChange(directory, change), check: true, record: 20 };
    for await (const value of admin.watch<ReloadProgress>('reload', request)) {
      if ('report' in value) return value.report;
    }
    throw new Error('a check without a report');
  };

  for (const change of REFUSED) {
    const { outcome, refusals } = await check(change);
    t.equal(outcome, 'refused', change.what);
    const found = refusals.find(({ code }) => code === change.code);
    t.match(found, { detail: change.detail }, `${change.what}: ${JSON.stringify(refusals)}`);
    t.ok(REFUSALS[change.code].fix.length > 20, `${change.code} says what to do`);
  }
  for (const change of FINE) {
    const report = await check(change);
    t.match(report, { outcome: 'checked', refusals: [], check: { sampled: 2 } }, change.what);
  }
  t.equal(REFUSED.length, 10);
  t.equal(FINE.length, 10);

  await one.client.send(other.phone, 'still here');
  await until('the message', PATIENCE_MS, () => other.received.length > 0);
  t.match(other.received, [{ text: 'still here' }]);
  t.strictSame(states, [], 'no connection was lost');
});

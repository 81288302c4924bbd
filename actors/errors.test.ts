import { readFileSync } from 'node:fs';
import t from 'tap';
import { WIRE_ERRORS } from '../protocol/wire/index.ts';
import { APP_ERRORS, isStartupError, STARTUP_ERRORS, StartupError, type ErrorEntry } from './errors.ts';

const PROTOCOL = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

function closing(entries: Readonly<Record<string, object>>): [string, number][] {
  return Object.entries(entries).flatMap(([code, entry]) => {
    const { closeCode } = entry as { readonly closeCode?: number };
    return closeCode === undefined ? [] : [[code, closeCode] as [string, number]];
  });
}

t.test('every close status of the code is in the table of docs/protocol.md, with its codes', async (t) => {
  for (const [code, closeCode] of closing(APP_ERRORS)) {
    const row = PROTOCOL.split('\n').find((line) => line.startsWith(`| ${closeCode} |`));
    t.ok(row?.includes(`\`${code}\``), `${closeCode} ${code}`);
  }
  const statuses = new Set([...closing(APP_ERRORS), ...closing(WIRE_ERRORS)].map(([, closeCode]) => closeCode));
  const documented = [...PROTOCOL.matchAll(/^\| (4\d\d\d) \|/gm)].map((match) => Number(match[1]));
  t.strictSame(documented.sort(), [...statuses].sort());
});

t.test('every code of the documentation is in a catalogue, and every code of ours in the documentation', async (t) => {
  const known = new Set(Object.keys(APP_ERRORS));
  for (const [code] of PROTOCOL.matchAll(/APP_[A-Z_]+/g)) t.ok(known.has(code), `${code} is catalogued`);
  for (const code of known) t.ok(PROTOCOL.includes(code), `${code} is documented`);
});

t.test('each entry says something to a person, in a sentence', async (t) => {
  const entries: [string, ErrorEntry][] = Object.entries(APP_ERRORS);
  for (const [code, { text }] of entries) t.match(text, /^[A-Z].*\.$/, code);
  for (const text of Object.values(STARTUP_ERRORS)) t.match(text, /^[A-Z].*\.$/);
});

t.test('a StartupError is told by its brand, also from another copy of the module', async (t) => {
  const copy = Object.assign(new Error('x'), { code: 'APP_PORT_BUSY', brand: 'blindbeam.startup-error' });
  t.ok(isStartupError(new StartupError('APP_PORT_BUSY', 'x')));
  t.ok(isStartupError(copy));
  t.notOk(isStartupError(new Error('x')));
  t.notOk(isStartupError(null));
});

/**
 * The catalogue of codes, and errors across copies of the module.
 */

import { readdir, readFile } from 'node:fs/promises';
import t from 'tap';
import { CLIENT_CODES, ClientError, codeOf, describeCode } from './errors.ts';
import { SERVER_WORDS } from './server-words.ts';

const SOURCE = new URL('../../client/', import.meta.url);

async function sources(): Promise<string[]> {
  const names = await readdir(SOURCE, { recursive: true });
  const files = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'errors.ts');
  return Promise.all(files.map((name) => readFile(new URL(name, SOURCE), 'utf8')));
}

t.test('every code of the catalogue is given out, and every code given out is in the catalogue', async (t) => {
  const text = (await sources()).join('\n');
  const used = new Set(text.match(/(?<=['"])CLI_[A-Z_]+(?=['"])/g));
  // Given out by errors.ts itself: what has no code of its own.
  used.add('CLI_INTERNAL');
  t.same([...used].sort(), Object.keys(CLIENT_CODES).sort());
});

t.test('meaning, cause and advice are sentences', async (t) => {
  for (const [code, entry] of Object.entries(CLIENT_CODES)) {
    for (const text of Object.values(entry)) t.match(text, /^[A-Z].*\.$/s, code);
  }
});

t.test('a refusal of the server is told in words, of codes that the protocol has', async (t) => {
  const protocol = await readFile(new URL('../docs/protocol.md', SOURCE), 'utf8');
  for (const [code, words] of Object.entries(SERVER_WORDS)) {
    t.match(protocol, `\`${code}\``, code);
    t.match(words, /^[A-Z].*\.$/, code);
  }
  t.match(describeCode('APP_UNREGISTERED'), /^APP_UNREGISTERED: This device is no longer one/);
});

t.test('an error is known by its code, also from another copy of the module', async (t) => {
  const error = new ClientError('CLI_TIMEOUT', { retryAfterMs: 5 });
  t.ok(ClientError.is(error));
  t.ok(ClientError.is(error, 'CLI_TIMEOUT'));
  t.notOk(ClientError.is(error, 'CLI_CLOSED'));
  t.notOk(ClientError.is(new Error('CLI_TIMEOUT')));
  t.notOk(ClientError.is(undefined));
  const copy: typeof import('./errors.ts') = await import(new URL('./errors.js?copy', import.meta.url).href);
  t.not(copy.ClientError, ClientError);
  t.ok(ClientError.is(new copy.ClientError('CLI_CLOSED'), 'CLI_CLOSED'));
  t.equal(codeOf(new TypeError('x')), 'CLI_INTERNAL');
  t.match(describeCode('APP_SOMETHING'), 'APP_SOMETHING');
});

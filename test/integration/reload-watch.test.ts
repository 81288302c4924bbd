import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from './checkout.ts';
import { newPerson, until, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

/** As most editors do: a new file takes the place of the old one. */
function save(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

t.test('with --watch a behaviour is reloaded when it is saved, and a mistake changes nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const launcher = checkout(directory);
  const flags = ['--watch', '--data', join(directory, 'data'), '--port', '0', '--workers', '1', '--metrics-port', '0'];
  const server = ServerProcess.launch(t, flags, [], launcher);
  server.url = String((await server.line(({ event }) => event === 'node_started'))['url']);
  await server.line(({ event }) => event === 'watching');
  const alice = await newPerson(t, server, '+4915100000041');
  const bob = await newPerson(t, server, '+4915100000042');
  await alice.client.send(bob.phone, 'one');

  const path = join(directory, 'actors', 'connection.ts');
  const source = readFileSync(path, 'utf8');
  const marked = source.replace(
    '  handleCast(message, state, ctx) {',
    "$&\n    ctx.log.info('saved', { kind: message.kind });",
  );
  t.not(marked, source);
  save(path, marked);
  await server.line(({ event, outcome, to }) => event === 'reload' && outcome === 'kept' && to === 1);
  await alice.client.send(bob.phone, 'two');
  await server.line(({ event, kind }) => event === 'saved' && kind === 'frames');

  save(path, `${marked}\nconst broken = {;`);
  t.match(await server.line(({ event }) => event === 'reload_failed'), {
    report: /RELOAD_SYNTAX[^]*connection\.ts:\d+/,
  });
  save(path, source);
  await server.line(({ event, outcome, to }) => event === 'reload' && outcome === 'kept' && to === 2);
  await alice.client.send(bob.phone, 'three');
  await until('all messages', PATIENCE_MS, () => bob.received.length === 3);
  t.equal(alice.client.state, 'live');
  t.equal(await server.stop(), 0);
});

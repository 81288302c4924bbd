/**
 * The chat as a person starts it: real sockets, real directories, a pipe for a keyboard or a pretended terminal.
 */

import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { CODE } from '../../testing/fake-server.ts';
import { systemClock } from '../system.ts';
import { listen } from '../testing/socket-server.ts';
import { runChat } from './main.ts';

const ALICE = '+4915100000001';
const BOB = '+4915100000002';

const root = await mkdtemp(join(tmpdir(), 'blindbeam-chat-'));
const { url, server, close } = await listen();
t.teardown(async () => {
  await close();
  await rm(root, { recursive: true });
});

/** A chat under test: what it wrote, and its keyboard. */
class Run {
  readonly input: PassThrough & { isTTY?: boolean; setRawMode?: (on: boolean) => void } = new PassThrough();
  readonly output: PassThrough & { isTTY?: boolean; rows?: number; columns?: number } = new PassThrough();
  readonly error = new PassThrough() as PassThrough;
  readonly code: Promise<number>;
  rawMode = false;
  text = '';
  errorText = '';

  constructor(argv: string[], options: { terminal?: boolean; env?: Record<string, string> } = {}) {
    if (options.terminal === true) {
      Object.assign(this.input, { isTTY: true, setRawMode: (on: boolean) => (this.rawMode = on) });
      Object.assign(this.output, { isTTY: true, rows: 12, columns: 70 });
    }
    this.output.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    this.error.on('data', (chunk: Buffer) => (this.errorText += chunk.toString()));
    const { input, output, error } = this;
    this.code = runChat(argv, { input, output, error, env: options.env ?? {}, clock: systemClock });
  }

  type(text: string): void {
    this.input.write(text);
  }

  /** Waits until the output holds `part`. */
  async sees(part: string | RegExp): Promise<void> {
    while (!(typeof part === 'string' ? this.text.includes(part) : part.test(this.text))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function flags(phone: string, store: string, ...rest: string[]): string[] {
  return ['--as', phone, '--url', url, '--store', join(root, store), ...rest];
}

t.test('help and wrong usage', async (t) => {
  const help = new Run(['--help']);
  t.equal(await help.code, 0);
  t.match(help.text, /Usage: blindbeam chat/);
  const wrong = new Run(['--as', 'me']);
  t.equal(await wrong.code, 2);
  t.match(wrong.errorText, /expected a number such as/);
});

t.test('the first run registers, with the code typed wrong once; a second run does not ask', async (t) => {
  const first = new Run(flags(ALICE, 'alice'));
  await first.sees('Code: ');
  first.type('000000\n');
  await first.sees('Try again');
  first.input.end(`${CODE}\n`);
  t.equal(await first.code, 0);
  t.match(first.text, /\+4915100000001 is registered/);
  const second = new Run(flags(ALICE, 'alice'));
  second.input.end();
  t.equal(await second.code, 0);
  t.notMatch(second.text, /Registering/);
});

t.test('a pipe sends its lines; what arrives is printed without escape codes and read', async (t) => {
  const bob = new Run(flags(BOB, 'bob', '--to', ALICE));
  await bob.sees('Code: ');
  bob.type(`${CODE}\n`);
  await bob.sees('Say hello');
  const alice = new Run(flags(ALICE, 'alice', '--to', BOB));
  alice.input.end('hello\nsecond line\n');
  t.equal(await alice.code, 0);
  t.match(alice.text, /you {2}hello \u2713/);
  await bob.sees('second line');
  t.match(bob.text, /\+4915100000001 {2}hello\n/);
  bob.type('/who\n/nonsense\n/quit\n');
  t.equal(await bob.code, 0);
  t.match(bob.text, /number confirmed by the server/);
  t.match(bob.text, /\/nonsense is not a command/);
  t.notMatch(alice.text + bob.text, '\u001b');
});

t.test('messages about messages: reply, reaction, edit, deletion, timer', async (t) => {
  const bob = new Run(flags(BOB, 'bob', '--to', ALICE));
  await bob.sees('second line');
  const alice = new Run(flags(ALICE, 'alice', '--to', BOB));
  alice.type('meet at noom\n');
  await bob.sees('meet at noom');
  alice.type('/edit meet at noon\n');
  await bob.sees('meet at noon (edited)');
  bob.type('/react \u{1f44d}\n');
  await alice.sees('meet at noon (edited) [\u{1f44d}]');
  bob.type('/reply I will be there\n');
  await alice.sees('\u201cmeet at noon\u201d \u2014 I will be there');
  alice.type('/delete\n');
  await bob.sees('[deleted]');
  bob.type('/timer 7d\n/timer soon\n/edit\n/view\n');
  await alice.sees('[messages disappear after 7 days]');
  await bob.sees('CLI_MESSAGE_UNKNOWN');
  t.match(bob.text, /\/timer expected a time/);
  t.match(bob.text, /\/edit expected the new text/);
  bob.type('/timer off\n');
  await alice.sees('[messages stay]');
  for (const run of [alice, bob]) {
    run.input.end();
    t.equal(await run.code, 0);
  }
});

t.test('safety numbers: shown at one end, compared at the other', async (t) => {
  const bob = new Run(flags(BOB, 'bob', '--to', ALICE));
  await bob.sees('second line');
  const alice = new Run(flags(ALICE, 'alice', '--to', BOB));
  alice.type('/safety\n');
  await alice.sees('/safety DIGITS compares');
  t.match(alice.text, /Safety number with \+4915100000002, not compared yet:/);
  const digits = alice.text.match(/(?:\d{5} ){3}\d{5}/g)!.join(' ');
  bob.type('/safety 12345\n');
  await bob.sees('/safety expected all 60 digits');
  bob.type(`/safety ${digits.replace(/\d/, (digit) => String((Number(digit) + 1) % 10))}\n`);
  await bob.sees('The numbers differ');
  bob.type(`/safety ${digits}\n/safety\n`);
  await bob.sees('is verified');
  await bob.sees('+4915100000001, verified:');
  for (const run of [alice, bob]) {
    run.input.end();
    t.equal(await run.code, 0);
  }
});

t.test('nobody behind the number: exit code 1, and nothing sent', async (t) => {
  const run = new Run(flags(ALICE, 'alice', '--to', '+4999999999'));
  run.input.end('hello\n');
  t.equal(await run.code, 1);
  t.match(run.text, /CLI_PEER_UNKNOWN/);
});

t.test('a store in use, and a store of another number, are said in a line', async (t) => {
  const holder = new Run(flags(ALICE, 'alice', '--to', BOB));
  await holder.sees('hello');
  const locked = new Run(flags(ALICE, 'alice'));
  t.equal(await locked.code, 1);
  t.match(locked.errorText, /CLI_STORE_LOCKED/);
  t.notMatch(locked.errorText, /\n.*at /, 'no stack trace');
  holder.input.end();
  t.equal(await holder.code, 0);
  const other = new Run(flags('+4915100000009', 'alice'));
  t.equal(await other.code, 1);
  t.match(other.errorText, /CLI_ACCOUNT_EXISTS/);
});

t.test('what the system refuses is said in a line, with the place', async (t) => {
  const file = join(root, 'a-file');
  await writeFile(file, 'x');
  for (const [argv, status, said] of [
    [['--store', file], 1, `CLI_STORE_UNUSABLE: .* \\(ENOTDIR: .*${file}'\\)`],
    [['--ca', join(root, 'nowhere')], 1, `there is no such file or folder: ${join(root, 'nowhere')} \\(ENOENT\\)`],
    [['--ca', file], 2, `--ca expected certificates in PEM, and ${file} holds none`],
    [['--restore', join(root, 'nowhere')], 1, `there is no such file or folder: ${join(root, 'nowhere')}`],
    [['--restore', file], 1, 'CLI_BACKUP_NOT_ONE: '],
  ] as const) {
    const run = new Run(['--as', ALICE, '--url', url, '--store', join(root, 'unused'), ...argv]);
    t.equal(await run.code, status, said);
    t.match(run.errorText, new RegExp(`^blindbeam chat: ${said}.*\n$`));
    run.input.end();
  }
});

t.test('on a terminal: marks in place, reading, and the screen given back', async (t) => {
  const bob = new Run(flags(BOB, 'bob', '--to', ALICE), { terminal: true, env: { NO_COLOR: '1' } });
  await bob.sees('online');
  t.equal(bob.rawMode, true);
  const alice = new Run(flags(ALICE, 'alice', '--to', BOB), { terminal: true });
  await alice.sees('online');
  await bob.sees('to +4915100000001, online');
  alice.type('one');
  await bob.sees('to +4915100000001, typing\u2026');
  alice.type(' more\r');
  await alice.sees(/one more \u001b\[36m\u2713\u2713/);
  await bob.sees('one more');
  t.notMatch(bob.text, /\u001b\[[0-9;]*m/, 'NO_COLOR');
  alice.type('\u0003');
  bob.type('\u0004');
  t.same(await Promise.all([alice.code, bob.code]), [0, 0]);
  t.equal(bob.rawMode, false);
  for (const run of [alice, bob]) {
    t.match(run.text, /\u001b\[\?1049h/);
    t.match(run.text, /\u001b\[\?1049l\u001b\[\?25h$/);
  }
});

t.test('who may see one, and with whom read receipts are exchanged, is chosen in the chat', async (t) => {
  const run = new Run(flags(ALICE, 'alice', '--to', BOB));
  run.type('/privacy\n/privacy nobody\n/privacy strangers\n/receipts\n/receipts contacts\n/receipts all\n');
  await run.sees('typing by contacts.');
  await run.sees('typing by nobody.');
  await run.sees('/privacy expected everyone');
  await run.sees('exchanged with everyone.');
  await run.sees('exchanged with contacts: whom');
  await run.sees('/receipts expected everyone');
  run.input.end();
  t.equal(await run.code, 0);
  const again = new Run(flags(ALICE, 'alice', '--to', BOB));
  again.input.end('/receipts\n/receipts everyone\n/privacy contacts\n');
  t.equal(await again.code, 0);
  t.match(again.text, /exchanged with contacts\./, 'kept');
});

t.test('a device that was replaced says why, after the screen is given back, with exit code 1', async (t) => {
  const run = new Run(flags(ALICE, 'alice', '--to', BOB), { terminal: true });
  await run.sees('online');
  server.closeWith(server.userOf(ALICE), 4409, 'APP_REPLACED');
  t.equal(await run.code, 1);
  t.match(run.text.split('\u001b[?1049l')[1], /APP_REPLACED/);
});

t.test('a backup is written, refused with a wrong key, and begins a new store', async (t) => {
  const path = join(root, 'alice.backup');
  const writer = new Run(flags(ALICE, 'alice', '--to', BOB));
  writer.input.write(`/backup ${path}\n`);
  await writer.sees('Its key, which is nowhere else:');
  writer.input.end();
  t.equal(await writer.code, 0);
  const digits = /(?:[0-9]{4} ?){16}/.exec(writer.text)![0].trim();
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.same(
    (await readdir(root)).filter((name) => name.endsWith('.part')),
    [],
  );
  const refused = new Run(flags(ALICE, 'alice-2', '--restore', path));
  await refused.sees('The 64 digits of the backup');
  refused.input.end(`${'1'.repeat(64)}\n`);
  t.equal(await refused.code, 1);
  t.match(refused.errorText, /CLI_BACKUP_WRONG_KEY/);
  const restored = new Run(flags(ALICE, 'alice-2', '--restore', path, '--to', BOB));
  await restored.sees('The 64 digits of the backup');
  restored.type(`${digits}\n`);
  await restored.sees('Code: ');
  restored.input.end(`${CODE}\n`);
  t.equal(await restored.code, 0);
  t.match(restored.text, /Restored the backup of \+4915100000001/);
  t.match(restored.text, /meet at noon|one more/, 'the history is there');
  const used = new Run(flags(ALICE, 'alice-2', '--restore', path));
  used.input.end(`${digits}\n`);
  t.equal(await used.code, 1);
  t.match(used.errorText, /CLI_STORE_NOT_EMPTY/);
  const missing = new Run(flags(ALICE, 'alice-3', '--restore', join(root, 'nowhere')));
  t.equal(await missing.code, 1);
  t.match(missing.errorText, /ENOENT/);
  const nobody = new Run(flags(ALICE, 'alice-4', '--ca', join(root, 'no.crt')));
  t.equal(await nobody.code, 1);
  t.match(nobody.errorText, `there is no such file or folder: ${join(root, 'no.crt')} (ENOENT)`);
  const wrong = new Run(flags(ALICE, 'alice-2', '--to', BOB));
  wrong.input.end(`/backup\n/backup ${join(root, 'no', 'such', 'folder')}\n`);
  t.equal(await wrong.code, 0);
  t.match(wrong.text, /could not be written/);
});

t.test('no secret is ever printed', async (t) => {
  const run = new Run(flags(ALICE, 'alice-2', '--to', BOB));
  run.input.end('/who\n/history\n/help\n');
  t.equal(await run.code, 0);
  t.notMatch(run.text + run.errorText, /[0-9a-f]{32}|[A-Za-z0-9+/]{40}|\b(?:\d{1,3}, ){8}/);
});

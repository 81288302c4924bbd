import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runCommand } from '../../bin/operator/command.ts';
import { OPERATOR_COMMANDS } from '../../bin/operator/commands.ts';
import { LIMITS } from '../../actors/limits.ts';
import { newPerson, pause, PATIENCE_MS } from './people.ts';
import { newClient } from './raw-client.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const LAUNCHER = join(ROOT, 'bin', 'blindbeam.js');

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly errors: string;
}

function blindbeam(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [LAUNCHER, ...args], (error, out, errors) => {
      resolve({ status: error === null ? 0 : Number(error.code), out, errors });
    });
  });
}

/** A command without a process of its own, which takes a second of a busy machine. */
async function inProcess(...words: readonly string[]): Promise<Ran> {
  const command = OPERATOR_COMMANDS.find(({ spec }) => spec.name === words.slice(0, 2).join('.'))!;
  const told = { out: '', errors: '' };
  const output = {
    out: (text: string) => void (told.out += text),
    error: (text: string) => void (told.errors += text),
  };
  return Object.assign({ status: await runCommand(command, words.slice(2), output) }, told);
}

t.test('an operator looks at a running node from another process', async (t) => {
  const directory = temporaryDirectory(t);
  const none = await blindbeam('status', '--data', directory);
  t.match(none, { status: 1, out: '', errors: /NO_NODE: no node answers on .*admin\.sock: start one/ });

  const server = await ServerProcess.start(t, directory, ['--workers', '2']);
  const seen = await blindbeam('status', '--data', directory);
  t.match(seen, { status: 0 });
  t.match(seen.out, `process ${server.pid}`);
  t.match(seen.out, server.url);
  const json = await blindbeam('status', '--json', '--socket', join(directory, 'admin.sock'));
  t.match(JSON.parse(json.out), {
    pid: server.pid,
    url: server.url,
    workers: [
      { worker: 1, ok: { connections: 0, actors: Number, heapBytes: Number } },
      { worker: 2, ok: { connections: 0 } },
    ],
  });

  t.match(await blindbeam('status', '--help'), { status: 0, out: /Usage: blindbeam status/ });
  t.match(await blindbeam('status', '--rows', '3'), { status: 2, errors: /--help tells more/ });
  t.match(await blindbeam('status', '--timeout', 'soon'), { status: 2, errors: /"timeout" expected/ });

  t.equal(await server.stop(), 0);
  t.notOk(existsSync(join(directory, 'admin.sock')));
});

t.test('what an operator does to actors is done, recorded, and survives nothing that it should not', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '1']);
  const ask = (...words: string[]): Promise<Ran> => inProcess(...words, '--data', directory);
  t.match((await ask('actor', 'tree')).out, /worker .*supervisor\n├─ outbox\.0 .*\n├─ inbox\.0/);
  const before = JSON.parse((await ask('actor', 'inspect', 'links', '--json')).out) as { pid: string };
  t.match(await ask('actor', 'kill', 'links'), { status: 0, out: /ended: killed/ });
  const after = JSON.parse((await ask('actor', 'inspect', 'links', '--json')).out) as { pid: string };
  t.not(after.pid, before.pid, 'its supervisor brought it back');
  t.match(await ask('actor', 'suspend', 'links', '--for-ms', '0'), { status: 0 });
  t.match((await ask('actor', 'inspect', 'links')).out, /status +paused/);
  t.match(await ask('actor', 'resume', 'links'), { status: 0, out: /goes on/ });
  t.match((await ask('actor', 'state', 'accounts.0')).out, '"codes": []');
  t.match(await blindbeam('actor', 'trace', 'inbox.0', '--for-ms', '300', '--data', directory), {
    status: 0,
    out: /end: time is over/,
  });
  t.match((await blindbeam('top', '--interval-ms', '200', '--data', directory)).out, /NAME .*MSG\/S▼/);
  t.match(await ask('session', 'list'), { status: 0, out: /^USER +DEVICE/ });
  t.match(await ask('inbox', 'stat'), { status: 0, out: /SHARD/ });
  t.match(await ask('limits', 'show'), { status: 0, out: /messagesPerSecondMax/ });
  const { client } = await newClient(server, '+4915100000001');
  const messagesAtOnce = async (): Promise<number | undefined> => {
    const answer = await client.ask({ kind: 'limits' });
    if (typeof answer === 'string' || answer.kind !== 'limits') return undefined;
    return answer.limits.find(({ action }) => action === 'message')?.max;
  };
  t.equal(await messagesAtOnce(), LIMITS.messagesBurstMax);
  t.match(await ask('limits', 'set', 'messagesBurstMax', '2000'), { status: 0, out: /not stored/ });
  t.equal(await messagesAtOnce(), 2_000, 'at once, also on a connection that is open');
  client.close();
  t.match(await ask('log', 'level', 'debug', '--module', 'push'), { status: 0, out: /log level info, push debug/ });
  t.match(await ask('log', 'level', 'debug', '--module', 'nope'), {
    status: 2,
    errors: /^ADM_BAD_PARAMETER: "module" expected one of listener, media, push/,
  });
  t.match(await ask('actor', 'inspect', 'nobody'), { status: 1, errors: /^ADM_NOT_FOUND/ });
  t.match(await blindbeam('actor', 'dance'), { status: 2, errors: /suspend/ });
  const audit = readFileSync(join(directory, 'audit.log'), 'utf8');
  t.strictSame(audit.match(/"verb":"[^"]+"/g), [
    '"verb":"actor.kill"',
    '"verb":"actor.suspend"',
    '"verb":"actor.resume"',
    '"verb":"limits.set"',
    '"verb":"log.level"',
    '"verb":"log.level"',
  ]);
  t.equal(server.lines.filter(({ event }) => event === 'admin_action').length, 6);
  t.equal(await server.stop(), 0);
});

t.test('what operators see of people is who, how much and since when', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '2']);
  const alice = await newPerson(t, server, '+4915100000001');
  const bob = await newPerson(t, server, '+4915100000002');
  const [from, to] = [alice.client.account!.user, bob.client.account!.user];
  const { name: group } = await alice.client.groups.create('A title that nobody else reads', [bob.phone]);
  const told: string[] = [];
  const ask = async (...words: string[]): Promise<unknown> => {
    const { status, out, errors } = await inProcess(...words, '--json', '--data', directory);
    t.equal(status, 0, `${words.join(' ')} ${errors}`);
    told.push(out);
    return JSON.parse(out);
  };
  const { rows } = (await ask('session', 'list')) as {
    readonly rows: readonly { readonly pid: string; readonly user: string }[];
  };
  t.equal(rows.length, 2);
  await bob.client.close();
  for (let count = 0; count < 3; count += 1) await alice.client.send(bob.phone, 'Meet me at the harbour');
  t.match(await ask('inbox', 'stat', to), { user: to, devices: [{ device: 1, isPrimary: true, oldestAgeMs: Number }] });
  const { entries } = (await ask('inbox', 'peek', to)) as { readonly entries: readonly { readonly from: string }[] };
  t.ok(entries.filter((entry) => entry.from === from).length >= 3, 'three messages wait');
  t.match(await ask('prekeys', 'stat', from), { devices: [{ device: 1, hasLastResort: true }] });
  t.match(await ask('group', 'stat', group), { members: 2, admins: 1 });
  const stays = rows.find(({ user }) => user === from)!.pid;
  for (const actor of [stays, 'inbox.0', 'accounts.1', 'groups.0', 'relations.0']) await ask('actor', 'state', actor);
  t.match(await ask('session', 'kick', from), { kicked: 1 });
  t.notMatch(told.join(), /491510000000|harbour|title that|127\.0\.0\.1/, 'and nothing that is theirs');
});

const TMUX = spawnSync('tmux', ['-V']).status === 0;

t.test('top is live in a terminal, and gives it back', { skip: TMUX ? false : 'tmux is not installed' }, async (t) => {
  const directory = temporaryDirectory(t);
  await ServerProcess.start(t, directory, ['--workers', '1']);
  const socket = join(directory, 'tmux.sock');
  const tmux = (...args: string[]): string => spawnSync('tmux', ['-S', socket, ...args], { encoding: 'utf8' }).stdout;
  const screen = async (fits: RegExp): Promise<string> => {
    for (let tries = 0; tries < PATIENCE_MS / 100; tries += 1) {
      const seen = tmux('capture-pane', '-p');
      if (fits.test(seen)) return seen;
      await pause(100);
    }
    throw new Error(`the screen never had ${fits}: ${tmux('capture-pane', '-p')}`);
  };
  const top = `${process.execPath} ${LAUNCHER} top --data ${directory} --interval-ms 200`;
  const command = `${top}; echo left with $?; ${top} --behavior nobody; echo ended with $?; sleep 60`;
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', '100', '-y', '20', command);
  t.teardown(() => tmux('kill-server'));
  await screen(/inbox\.0[^]*q quit/);
  tmux('send-keys', 'b');
  await screen(/BEHAVIOUR +ACTORS/);
  tmux('send-keys', 'Enter');
  await screen(/only \S+/);
  tmux('send-keys', 'Enter');
  await screen(/traps exits/);
  tmux('resize-window', '-x', '60', '-y', '10');
  await screen(/^(.*\n){9}.*q quit/);
  tmux('send-keys', 'q');
  await screen(/only nobody/);
  const shell = tmux('display-message', '-p', '#{pane_pid}').trim();
  process.kill(Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim()), 'SIGTERM');
  t.match(await screen(/ended with/), /left with 0[^]*ended with 1$/m, 'also when it is ended from outside');
});

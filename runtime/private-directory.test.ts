import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { makeNewDirectory, makePrivateDirectory } from './private-directory.ts';

function temporary(test: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-private-'));
  test.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

t.test('every level that is missing is made for the owner only, and what is there stays', (t) => {
  const directory = temporary(t);
  const path = join(directory, 'one', 'two');
  makePrivateDirectory(path);
  for (const each of [path, join(directory, 'one')]) t.equal(statSync(each).mode & 0o777, 0o700, each);
  writeFileSync(join(path, 'file'), '');
  makePrivateDirectory(path);
  makePrivateDirectory(`${path}/../two/`);
  t.ok(existsSync(join(path, 'file')));
  symlinkSync(path, join(directory, 'link'));
  makePrivateDirectory(join(directory, 'link', 'three'));
  t.ok(existsSync(join(path, 'three')), 'by way of a link');
  t.end();
});

t.test('of two who make one directory for themselves, one is refused', (t) => {
  const path = join(temporary(t), 'one', 'two');
  makeNewDirectory(path);
  t.equal(statSync(path).mode & 0o777, 0o700);
  t.throws(() => makeNewDirectory(path), { code: 'EEXIST' });
  t.end();
});

t.test('what is no directory, and a link to nowhere, is refused', (t) => {
  const directory = temporary(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  t.throws(() => makePrivateDirectory(file), { code: 'ENOTDIR', message: `ENOTDIR: not a directory, mkdir '${file}'` });
  t.throws(() => makePrivateDirectory(join(file, 'below')), { code: 'ENOTDIR' });
  symlinkSync(join(directory, 'nowhere'), join(directory, 'link'));
  t.throws(() => makePrivateDirectory(join(directory, 'link')), { code: 'ENOTDIR' });
  t.throws(() => makeNewDirectory(join(file, 'below')), { code: 'ENOTDIR' }, 'and not as one that is there');
  t.end();
});

t.test(
  'a directory that takes none is refused, and by name; before, nothing came back',
  { skip: process.platform === 'linux' ? false : 'there is no /proc' },
  async (t) => {
    const refused = {
      code: 'ENOENT',
      syscall: 'mkdir',
      message: /^ENOENT: \/proc takes no directories, mkdir '\/proc\/x'$/,
    };
    // In a process of its own, which can be ended if it stays within the call.
    const module = new URL('./private-directory.js', import.meta.url).href;
    const script = `import { makeNewDirectory, makePrivateDirectory } from ${JSON.stringify(module)}; makePrivateDirectory('/proc/x/y');`;
    const options = { timeout: 20_000, killSignal: 'SIGKILL' } as const;
    const child = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], options);
    await t.rejects(child, { killed: false, code: 1, stderr: /takes no directories/ });
    for (const make of [makePrivateDirectory, makeNewDirectory]) t.throws(() => make('/proc/x/y'), refused);
  },
);

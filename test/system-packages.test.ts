/** What `npm test` installs before it runs, on machines of every kind; apt-get itself is not run here. */

import t from 'tap';

interface SystemPackage {
  readonly command: string;
  readonly package: string;
  readonly purpose: string;
}

interface Machine {
  readonly has: (command: string) => boolean;
  readonly isRoot: boolean;
  readonly run: (argv: readonly string[], timeoutMs: number) => boolean;
  readonly nowMs: () => number;
  readonly say: (line: string) => void;
}

// Plain JavaScript that runs before the build, and so stands outside of it.
const { provideSystemPackages, SYSTEM_PACKAGES } = (await import(
  new URL('../../bin/system-packages.js', import.meta.url).href
)) as {
  readonly provideSystemPackages: (packages: readonly SystemPackage[], machine: Machine) => SystemPackage[];
  readonly SYSTEM_PACKAGES: readonly SystemPackage[];
};

const COMMANDS: readonly string[] = SYSTEM_PACKAGES.map(({ command }) => command);

interface TestMachine extends Machine {
  readonly ran: string[];
  readonly said: string[];
}

interface Traits {
  readonly installed?: readonly string[];
  readonly isRoot?: boolean;
  /** Packages that cannot be had. */
  readonly missing?: readonly string[];
  /** What each call of apt-get takes. */
  readonly stepMs?: number;
}

function testMachine({ installed = [], isRoot = true, missing = [], stepMs = 0 }: Traits): TestMachine {
  const programs = new Set(installed);
  const ran: string[] = [];
  const said: string[] = [];
  let nowMs = 0;
  return {
    ran,
    said,
    isRoot,
    has: (command) => programs.has(command),
    // A clock moves on, by no round number.
    nowMs: () => (nowMs += 0.3),
    say: (line) => void said.push(line),
    run(argv, timeoutMs) {
      // As child_process does.
      if (!Number.isInteger(timeoutMs)) throw new RangeError(`"timeoutMs" expected an integer, got ${timeoutMs}`);
      ran.push(argv.join(' '));
      nowMs += stepMs;
      const wanted = argv.at(-1)!;
      if (missing.includes(wanted)) return false;
      for (const each of SYSTEM_PACKAGES) if (each.package === wanted) programs.add(each.command);
      return true;
    },
  };
}

t.test('with everything there nothing is run or said', async (t) => {
  const machine = testMachine({ installed: ['apt-get', ...COMMANDS] });
  t.same(provideSystemPackages(SYSTEM_PACKAGES, machine), []);
  t.same([machine.ran, machine.said], [[], []]);
});

t.test('root with apt-get gets what is missing, with one update and no questions', async (t) => {
  const machine = testMachine({ installed: ['apt-get', ...COMMANDS.filter((command) => command !== 'erl')] });
  t.same(provideSystemPackages(SYSTEM_PACKAGES, machine), []);
  t.same(machine.ran, [
    'apt-get --quiet=2 update',
    'apt-get --quiet=2 install --yes --no-install-recommends erlang-base',
  ]);
  t.match(machine.said, ['Installing erlang-base for the tests (once) …']);
});

t.test('a package that cannot be had is named, and the others are installed all the same', async (t) => {
  const machine = testMachine({ installed: ['apt-get'], missing: ['erlang-base'] });
  t.match(provideSystemPackages(SYSTEM_PACKAGES, machine), [{ command: 'erl' }]);
  t.ok(machine.has('chromium'));
  t.match(machine.said.at(-1), /^erl is not installed \(Debian package erlang-base\): tests of .* are skipped\.$/);
});

t.test('who is not root, or has no apt-get, is told what is missing and nothing is run', async (t) => {
  for (const machine of [testMachine({ installed: ['apt-get'], isRoot: false }), testMachine({})]) {
    t.equal(provideSystemPackages(SYSTEM_PACKAGES, machine).length, COMMANDS.length);
    t.same(machine.ran, []);
    t.equal(machine.said.length, COMMANDS.length);
    t.equal(machine.said.at(-1), 'openssl is not installed (Debian package openssl): tests of TLS are skipped.');
  }
});

t.test('a slow mirror ends the attempts and not the tests', async (t) => {
  const machine = testMachine({ installed: ['apt-get'], stepMs: 200_000 });
  provideSystemPackages(SYSTEM_PACKAGES, machine);
  t.equal(machine.ran.length, 2, 'an update and one attempt; the time is then over');
});

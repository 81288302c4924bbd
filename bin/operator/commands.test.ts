import t from 'tap';
import { helpOf, runCommand } from './command.ts';
import { OPERATOR_COMMANDS } from './commands.ts';
import { OPERATOR_GROUPS } from './groups.ts';
import { printNodes } from './print-nodes.ts';
import { bytes, count, harmless, harmlessJson, percent, span, table } from './text.ts';

t.test('the list of verbs has the first word of each command, and no other', async (t) => {
  const words = new Set(OPERATOR_COMMANDS.map(({ spec }) => spec.name.split('.')[0]!));
  // `config` also has words that ask no node, so `bin/cli.ts` has its line.
  t.ok(words.delete('config'));
  t.strictSame([...words].sort(), Object.keys(OPERATOR_GROUPS).sort());
});

t.test('each command tells what it takes, and is printed or followed, or told as JSON', async (t) => {
  for (const command of OPERATOR_COMMANDS) {
    const help = helpOf(command);
    t.match(help, `Usage: blindbeam ${command.spec.name.replaceAll('.', ' ')}`);
    for (const word of ['--json', '--timeout', '--data', '--socket']) t.ok(help.includes(word), word);
    for (const parameter of Object.values(command.spec.parameters)) t.ok(help.includes(parameter.help));
    t.equal(command.spec.changes, help.includes('audit log'), command.spec.name);
    t.ok(command.print === undefined || command.live === undefined, `${command.spec.name} is printed or followed`);
  }
});

t.test('wrong usage ends with 2 and says what is wrong, before any node is asked', async (t) => {
  const inspect = OPERATOR_COMMANDS.find(({ spec }) => spec.name === 'actor.inspect')!;
  for (const [argv, message] of [
    [[], /"actor" is missing/],
    [['a', 'b'], /"b" is one word too many/],
    [['a', '--depth', '3'], /Unknown option '--depth'/],
    [['a', '--timeout', '0'], /"timeout" expected/],
  ] as const) {
    let told = '';
    const output = { out: () => undefined, error: (text: string) => void (told += text) };
    t.equal(await runCommand(inspect, argv, output), 2);
    t.match(told, message);
  }
});

t.test('figures are written for people', async (t) => {
  t.strictSame([bytes(0), bytes(1023), bytes(1536), bytes(2 ** 40)], ['0 B', '1023 B', '1.5 KiB', '1.0 TiB']);
  t.strictSame([span(0), span(3_661_000), span(90_061_000)], ['00:00:00', '01:01:01', '1 d 01:01:01']);
  t.strictSame([percent(0), percent(0.012), percent(0.5)], ['0 %', '1.2 %', '50 %']);
  t.equal(count(1_234_567.4), '1,234,567');
  t.equal(
    table(
      ['A', 'N'],
      [
        ['long', '1'],
        ['s', '100'],
      ],
      [false, true],
    ),
    'A       N\nlong    1\ns     100',
  );
});

t.test('what another node says of itself is shown, and steers no terminal', async (t) => {
  const evil = '0.1\u001b]0;x\u0007\u009b2J\u202e\nb  up';
  const shares = { isThis: false, owned: 0, standby: 0, copying: 0, state: 'up' } as const;
  const nats = { isUp: true, servers: [evil] };
  const printed = printNodes({ nodes: [{ ...shares, node: 'a', release: evil, nats, reason: evil }] });
  t.notMatch(printed, /[^\P{Cc}\n]|\p{Cf}/u);
  t.equal(printed.split('\n').length, 2, 'a line of its own for nobody else');
  t.match(printed, /0\.1·\]0;x··2J··b {2}up/);
  t.equal(harmless(`one\n${evil}`), 'one\n0.1·]0;x··2J·\nb  up');
  const json = harmlessJson({ evil, tag: '\u{e0001}' }, 2);
  t.notMatch(json, /[^\P{Cc}\n]|\p{Cf}/u);
  t.strictSame(JSON.parse(json), { evil, tag: '\u{e0001}' });
});

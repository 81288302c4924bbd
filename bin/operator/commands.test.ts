import t from 'tap';
import { helpOf, runCommand } from './command.ts';
import { OPERATOR_COMMANDS } from './commands.ts';
import { OPERATOR_GROUPS } from './groups.ts';
import { printConsole } from './print-console.ts';
import { printDeparted, printMap, printNodes, summaryText } from './print-nodes.ts';
import { printDrain } from './print-run.ts';
import { printMemory, printStalls } from './reload.ts';
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

t.test('a drain says how many went, in a sentence', async (t) => {
  t.equal(printDrain({ told: 1, left: 0 }), '1 client was sent away; 0 connections are still open.');
  t.equal(printDrain({ told: 1_200, left: 1 }), '1,200 clients were sent away; 1 connection is still open.');
});

t.test('what reloads have left, and how long workers are away, is told worker by worker', async (t) => {
  const memory = printMemory({
    workers: [
      { heapBytes: 17 * 1024 * 1024, loaded: 0 },
      { heapBytes: 1024, loaded: 2 },
    ],
  });
  t.match(memory, /^WORKER +HEAP +RELOADED VERSIONS IN MEMORY\n +1 +17\.0 MiB +0\n +2 +1\.0 KiB +2$/);
  t.match(printStalls({ stallMs: [6.285191000002669] }), /^WORKER +LONGEST STALL\n +1 +6\.3 ms$/);
});

t.test('a parameter is named as a shell takes it', async (t) => {
  const top = OPERATOR_COMMANDS.find(({ spec }) => spec.name === 'top')!;
  let told = '';
  const output = { out: () => undefined, error: (text: string) => void (told += text) };
  t.equal(await runCommand(top, ['--interval-ms', '3'], output), 2);
  t.match(told, /^blindbeam: "interval-ms" expected an integer from 200 to 60000, got "3"\.\n/);
});

t.test('the map says of which shard there is one whole copy only, and one sentence sums it up', async (t) => {
  const row = {
    partitions: 86,
    epoch: 1,
    owner: 'a.1',
    standby: 'b.1',
    phase: 'serving',
    lag: { records: 0, ms: 0 },
  } as const;
  const shards = [
    { ...row, shard: 0 },
    { ...row, shard: 1, standbyIs: 'away' },
    { ...row, shard: 2, standbyIs: 'begun', next: 'c.1', tailBytes: 2_048 },
    { shard: 3, partitions: 86, epoch: 0 },
  ] as const;
  t.equal(
    printMap({ cluster: 'main', shards }),
    [
      'SHARD  PARTITIONS  EPOCH  OWNER   STANDBY      NEXT  PHASE    BEHIND    ALONE',
      '    0          86      1  a.1     b.1                serving       0',
      '    1          86      1  a.1     b.1 (away)         serving       0',
      '    2          86      1  a.1     b.1 (begun)  c.1   serving       0  2.0 KiB',
      '    3          86      0  nobody                     ?',
    ].join('\n'),
  );
  t.notMatch(
    printMap({ cluster: 'main', shards: shards.slice(0, 1) }),
    /ALONE|NEXT/,
    'columns without anything in them',
  );
  t.equal(printMap({ cluster: 'main', shards: [] }), 'It has no shard.');
  t.equal(summaryText({ count: 12, unserved: 0, single: 0 }), '12 shards: all served, each with a whole second copy');
  t.equal(
    summaryText({ count: 12, unserved: 3, single: 0 }),
    '12 shards: 3 NOT SERVED, the others with a whole second copy',
  );
  t.equal(
    summaryText({ count: 12, unserved: 0, single: 0, unseen: 6 }),
    '6 shards: all served, each with a whole second copy; 6 elsewhere OUT OF SIGHT',
  );
  t.equal(summaryText({ count: 1, unserved: 0, single: 1 }), '1 shard: all served, 1 WITHOUT A WHOLE SECOND COPY');
});

t.test('what became of a drain, and how to reach the page from elsewhere, are sentences that hold', async (t) => {
  t.match(
    printDeparted({ told: 0, left: 0, shardsLeft: 0 }),
    /other nodes; no client was left to be sent away, 0 conn/,
  );
  t.match(printDeparted({ told: 0, left: 0 }), /^It has no cluster, and keeps its shards; no client/);
  t.match(
    printDeparted({ told: 1, left: 2, shardsLeft: 3 }),
    /^3 shards stayed.*; 1 client was sent away, 2 connections/,
  );
  const told = printConsole({ url: 'http://127.0.0.1:41999/', token: 'secret' });
  t.match(told, /^http:\/\/127\.0\.0\.1:41999\/#token=secret\n/);
  t.match(told, 'ssh -L 41999:127.0.0.1:41999 HOST');
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

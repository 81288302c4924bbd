/** The parts of a crowd that are arithmetic. That one comes together is shown in workloads/connections.test.ts. */
import t from 'tap';
import { HolderLines } from '../generator/native-holder.ts';
import { CrowdCount } from './crowd-count.ts';
import { connectionsOfSource, planCrowd } from './crowd-plan.ts';
import { formatPanel, Panel, type PanelView } from './panel.ts';
import { preflight, type Needs } from './preflight.ts';

t.test('a million over processes of 19,500: every connection once, every address of one part only', async (t) => {
  const parts = planCrowd(1_000_000, 7_600, 19_500);
  t.equal(parts.length, 52);
  t.equal(
    parts.reduce((sum, { connections }) => sum + connections, 0),
    1_000_000,
  );
  parts.forEach(({ first, connections, port }, index) => {
    t.equal(port, 7_600 + index);
    t.equal(first + connections, parts[index + 1]?.first ?? 1_000_000);
    t.ok(connections <= 19_500);
  });
  const sources = parts.flatMap((part) => part.sources);
  t.equal(new Set(sources).size, sources.length);
  t.ok(sources.every((source) => /^127\.\d+\.\d+\.\d+$/.test(source)));
  t.ok(connectionsOfSource(parts) <= 14_000);
  t.throws(() => planCrowd(1_000_000, 65_500, 19_500), RangeError);
});

const NEEDS: Needs = {
  connections: 100_000,
  parallel: 256,
  connectionsOfSource: 14_000,
  serverPorts: { first: 7_600, last: 7_605 },
};
const GOOD: Readonly<Record<string, string>> = {
  'fs/file-max': '9000000',
  'net/ipv4/ip_local_port_range': '32768\t60999',
  'net/core/somaxconn': '4096',
  'net/ipv4/tcp_max_syn_backlog': '4096',
  'net/ipv4/tcp_mem': '2000000\t3000000\t4000000',
};

t.test('a setting that is too low is named with the command that raises it', async (t) => {
  const look = (changes: Readonly<Record<string, string>>, available: number = 2 ** 35): string[] =>
    preflight(NEEDS, 6, (path) => ({ ...GOOD, ...changes })[path], available).map(({ command }) => command);
  t.strictSame(look({}), []);
  t.strictSame(look({ 'fs/file-max': '50000' }), ['sysctl -w fs.file-max=300000']);
  t.strictSame(look({ 'net/core/somaxconn': '128' }), ['sysctl -w net.core.somaxconn=4096']);
  t.strictSame(look({ 'net/ipv4/tcp_max_syn_backlog': '128' }), ['sysctl -w net.ipv4.tcp_max_syn_backlog=4096']);
  t.strictSame(look({ 'net/ipv4/tcp_mem': '1 2 3' }), ['sysctl -w net.ipv4.tcp_mem="2000000 3000000 4000000"']);
  t.strictSame(look({ 'net/ipv4/ip_local_port_range': '60000 61000' }), [
    'sysctl -w net.ipv4.ip_local_port_range="16000 65000"',
  ]);
  t.strictSame(look({ 'net/ipv4/ip_local_port_range': '7000 60999' }), ['choose another --port, below 7000']);
  t.match(look({}, 1e9), [/fewer connections/]);
  t.strictSame(
    preflight(NEEDS, 6, () => undefined, undefined),
    [],
    'what cannot be read is not judged',
  );
});

t.test('what several generators report adds up, and a second is told once', async (t) => {
  const count = new CrowdCount();
  for (const part of [0, 1]) {
    const lines = new HolderLines();
    for (const line of ['S 5 0 0 10 9 8 7 6 5 4 3 2 1 0 99', 'C 2 3', 'C 4503 1', 'H D 100:10']) lines.take(line);
    const report = lines.take('T');
    if (report === undefined || typeof report === 'string') throw new Error('expected a report');
    count.take(part, report);
  }
  t.equal(count.sum('live'), 10);
  t.equal(count.sum('sent') - count.sum('delivered'), 4);
  t.strictSame(count.closes(), { reset: 6, 'close 4503': 2 });
  t.equal(count.measured.delivery.count, 20);
  t.equal(count.takeSecond().delivery.count, 20);
  t.equal(count.takeSecond().delivery.count, 0);
  count.begin();
  t.equal(count.measured.delivery.count, 0, 'the warm-up is left out');
});

const VIEW: PanelView = {
  phase: 'connecting',
  elapsedS: 12.3,
  connected: 25_000,
  target: 100_000,
  perSecond: 7_683,
  messagesPerSecond: 0,
  p50Ms: undefined,
  p99Ms: 32.9,
  p999Ms: 57.8,
  serverCores: 0.97,
  generatorCores: 0.14,
  serverBytes: 650_000_000,
  generatorBytes: 5_500_000,
  availableBytes: 15_000_000_000,
  errors: { reset: 2 },
};

t.test('the panel shows all of it, and is written over itself', async (t) => {
  const lines = formatPanel(VIEW);
  t.match(lines[1], /^█{10}░{30} {3}25,000 of 100,000, 7,683 logins\/s$/);
  t.match(lines[4], /reset 2/);
  const written: string[] = [];
  const panel = new Panel((text) => void written.push(text));
  panel.show(VIEW);
  panel.show(VIEW);
  t.ok(written[1]!.startsWith(`\x1b[${lines.length}F`));
  t.doesNotThrow(() => new Panel(undefined).show(VIEW));
});

t.test('on a narrow terminal it has more lines in place of longer ones, and all of it is there', async (t) => {
  const words = (lines: readonly string[]): string => lines.join(' ').replace(/[█░]+/, '').replace(/\s+/g, ' ');
  const wide = formatPanel(VIEW);
  for (const columns of [100, 80, 60, 44]) {
    const lines = formatPanel(VIEW, columns);
    t.ok(
      lines.every((line) => line.length < columns),
      `${columns} columns`,
    );
    t.equal(words(lines), words(wide));
  }
  t.equal(wide.length, 5);
  t.ok(formatPanel(VIEW, 60).length > 5);
  let columns = 60;
  const written: string[] = [];
  const panel = new Panel(
    (text) => void written.push(text),
    () => columns,
  );
  panel.show(VIEW);
  columns = 200;
  panel.show(VIEW);
  t.ok(written[1]!.startsWith(`\x1b[${formatPanel(VIEW, 60).length}F\x1b[J`), 'the longer one before is taken away');
});

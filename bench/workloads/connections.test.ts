/** The workload of idle connections, small: on a real server every figure is there, and who asks for too many is told so. */
import t from 'tap';
import { claimPort } from '../../actors/host/port.ts';
import { buildNative } from '../generator/native-program.ts';
import { connectionsOfProcess, parseDescriptorLimit, RESERVED_DESCRIPTORS } from '../harness/descriptors.ts';
import { parseKernelMemory, parseProcessMemory } from '../harness/memory.ts';
import { Recorder } from '../harness/report.ts';
import { createConnectionsWorkload, lesserOf } from './connections.ts';

const CONNECTIONS = 60;

type Changes = Readonly<Record<string, number>>;

/** The defaults, but for what is given. */
function optionsOf(changes: Changes) {
  const entries = Object.entries(createConnectionsWorkload().options).map(([name, option]) => [name, option.default]);
  return { ...Object.fromEntries(entries), ...changes } as Parameters<
    ReturnType<typeof createConnectionsWorkload>['run']
  >[0]['options'];
}

async function runWorkload(connections: number, changes: Changes = {}): Promise<Recorder> {
  const recorder = new Recorder();
  const context = { isQuick: true, part: undefined, progress: () => undefined, keepData: false };
  const options = optionsOf({ connections, generators: 2, sources: 2, parallel: 16, workers: 1, ...changes });
  const { signal } = new AbortController();
  await createConnectionsWorkload({ patience: 0.1 }).run({ ...context, options, recorder, signal });
  return recorder;
}

t.test('all log in and leave, and memory is looked at in between', async (t) => {
  const { metrics, notes } = await runWorkload(CONNECTIONS);
  t.equal(metrics['connections']!.value, CONNECTIONS);
  t.ok(metrics['connects_per_s']!.value > 0);
  t.ok(metrics['connects_per_s']!.peers['bare_uws']!.ratio > 0);
  t.ok(metrics['server_bytes_held']!.value > 0);
  t.ok(metrics['left_over_ratio']!.value > 0);
  t.equal(metrics['dropped']!.value, 0);
  t.notOk(
    notes.some((note) => /logged errors/.test(note)),
    notes.join(),
  );
});

t.test('the empty server is the look that found less: garbage before would be taken off the connections', async (t) => {
  const look = (anonymousBytes?: number) => ({
    server: anonymousBytes === undefined ? undefined : { anonymousBytes, fileBytes: 0 },
    kernel: undefined,
    heapBytes: undefined,
    connections: 0,
  });
  const [much, little, none] = [look(116), look(92), look()];
  t.equal(lesserOf(much, little), little);
  t.equal(lesserOf(little, much), little);
  t.equal(lesserOf(much, none), much, 'where memory cannot be read, the look before stands');
});

t.test('a crowd over two nodes: all log in, get new code, messages and heartbeats arrive, none is lost', async (t) => {
  if (buildNative('hold') === undefined) return void t.pass('there is no C compiler here');
  const port = await claimPort('127.0.0.1', 0);
  const crowd = { 'per-process': 25, port, rate: 40, hold: 2, heartbeat: 2, seed: 7, reloads: 1, 'warm-up': 1 };
  const { metrics, series, notes } = await runWorkload(50, crowd);
  const figure = (name: string): number => metrics[name]!.value;
  t.equal(figure('connections'), 50);
  t.equal(figure('processes'), 2);
  t.ok(figure('messages_sent') > 30, `${figure('messages_sent')} messages`);
  t.equal(figure('messages_lost'), 0);
  t.equal(figure('messages_out_of_order'), 0);
  t.equal(figure('unexpected_closes'), 0);
  t.ok(figure('heartbeats') > 20);
  t.equal(figure('reloads'), 2, 'one on each node');
  t.ok(figure('converted_states') >= 50, 'every connection was given the state of the new version');
  t.ok(figure('p99_ms') >= figure('p50_ms'));
  t.ok(figure('worst_node_p99_ms') >= figure('median_node_p99_ms'));
  t.ok(series!['servers (cores)']!.points.every(([, cores]) => cores >= 0));
  t.ok(series!['servers']!.points.length > 3);
  t.notOk(
    notes.some((note) => /logged an error|killed/.test(note)),
    notes.join(),
  );
});

t.test('the limit of descriptors is the hard one', async (t) => {
  const limits =
    'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024';
  t.equal(parseDescriptorLimit(`${limits}                 20000                files\n`), 20_000);
  t.equal(parseDescriptorLimit(`${limits}                 unlimited            files\n`), Number.MAX_SAFE_INTEGER);
  t.equal(connectionsOfProcess(20_000), 20_000 - RESERVED_DESCRIPTORS);
});

t.test('memory is read as the kernel writes it', async (t) => {
  const status = 'VmRSS:\t    9000 kB\nRssAnon:\t    5000 kB\nRssFile:\t    3000 kB\nRssShmem:\t    1000 kB\n';
  t.strictSame(parseProcessMemory(status), { anonymousBytes: 6_000 * 1024, fileBytes: 3_000 * 1024 });
  const sockstat = 'sockets: used 95\nTCP: inuse 4 orphan 0 tw 21 alloc 4 mem 109\n';
  const kernel = parseKernelMemory('MemTotal:  1000 kB\nSlab:             455512 kB\n', sockstat);
  t.strictSame(kernel, { slabBytes: 455_512 * 1024, tcpSockets: 4, tcpBufferBytes: 109 * 4096 });
});

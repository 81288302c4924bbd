/**
 * The planner against the two published sizings, and on wrong input.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ENTRY_OVERHEAD_BYTES } from '../../actors/store/inbox-store.ts';
import type { Costs } from './costs.ts';
import { INPUT_NAMES, readDemand, type Demand, type InputName } from './demand.ts';
import { ENTRY_BYTES, plan, type Plan } from './plan.ts';
import { runCapacity } from './run.ts';

const COSTS: Costs = {
  connectionBytes: { value: 6_000, source: 'a test' },
  messagesPerCore: { value: 100_000, source: 'a test' },
  loginsPerCore: { value: 10_000, source: 'a test' },
  drainPerCore: { value: 200_000, source: 'a test' },
};

function demand(given: Partial<Record<InputName, string>> = {}): Demand {
  const read = readDemand(given);
  if (typeof read === 'string') throw new Error(read);
  return read;
}

function figure({ sections }: Plan, title: string, name: string): number {
  const found = sections.find((section) => section.title === title)?.figures.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no figure "${title}: ${name}"`);
  return found.value;
}

/** Whether `value` rounds to what was published with as many digits. */
const about = (value: number, published: number): boolean => Math.abs(value / published - 1) < 0.02;

t.test('with WhatsApp’s inputs: what was published for it', async (t) => {
  const whatsapp = plan(demand({ 'node-connections': '2e6' }), COSTS);
  const carried = (name: string): number => figure(whatsapp, 'What there is to carry', name);
  const kept = (name: string): number => figure(whatsapp, 'Memory and disk of all', name);
  t.ok(about(carried('messages'), 1.157e6), '1.15 million messages a second');
  t.ok(about(carried('text'), 115.7e6), '115 MB/s of text');
  t.ok(about(carried('inbox writes'), 1.736e6), '1.7 million inbox writes a second');
  t.ok(about(carried('logins'), 5_787), '5,800 logins a second');
  t.equal(kept('text of a day'), 10e12, '10 TB');
  t.equal(kept('text, if nobody ever took it'), 300e12, '300 TB in 30 days');
  t.equal(kept('media of a day'), 2.5e15, '2.5 PB');
  t.equal(kept('accounts'), 3e12, '3 TB');
  t.equal(figure(whatsapp, 'Nodes', 'for connections'), 250);
  const larger = plan(demand({ 'node-connections': '2e6', connections: '1e9' }), COSTS);
  t.equal(figure(larger, 'Nodes', 'for connections'), 500);
  t.ok(about(figure(larger, 'On each node', 'messages'), 2_315), '2,300 messages a second on each of 500');
});

t.test('with those of the second document: a queue of 1 TB and 5 TB of connections', async (t) => {
  const inputs = demand({ 'message-bytes': '336', recipients: '1', copies: '1' });
  const second = plan(inputs, { ...COSTS, connectionBytes: { value: 10_000, source: 'published' } });
  t.equal(figure(second, 'Memory and disk of all', 'text that waits'), 1e12, '400 bytes each, 64 of them ours');
  t.equal(figure(second, 'Memory and disk of all', 'connections'), 5e12);
});

t.test('what bounds the plan is the most of three', async (t) => {
  t.match(plan(demand(), COSTS), { boundBy: 'for connections', nodes: 63 });
  t.match(plan(demand({ peak: '100' }), COSTS), { boundBy: 'for messages', nodes: 145 });
  t.match(plan(demand({ 'recovery-minutes': '0.5' }), COSTS), { boundBy: 'for everybody’s return', nodes: 139 });
  const small = plan(demand({ connections: '10', users: '10', accounts: '10', 'messages-per-day': '0' }), COSTS);
  t.equal(small.nodes, 1);
  t.equal(figure(small, 'NATS', 'between nodes'), 0, 'one node sends itself nothing');
});

t.test('the bytes around a stored message are those of the store', async (t) => {
  t.equal(ENTRY_BYTES, ENTRY_OVERHEAD_BYTES);
});

t.test('every input has its bounds, and says them', async (t) => {
  for (const name of INPUT_NAMES) {
    t.match(readDemand({ [name]: 'many' }), new RegExp(`"${name}" expected a number from .* got "many"`));
    t.match(readDemand({ [name]: '-1' }), /expected a number/);
    t.match(readDemand({ [name]: '1e300' }), /expected a number/);
  }
});

/** Runs the command. @returns Its exit code and what it wrote. */
function run(...argv: string[]): { code: number; out: string; err: string } {
  const written = { out: '', err: '' };
  const code = runCapacity(argv, { out: (text) => (written.out += text), err: (text) => (written.err += text) });
  return { code, ...written };
}

function report(folder: string, workload: string, metrics: Readonly<Record<string, number>>): void {
  const values = Object.entries(metrics).map(([name, value]) => [name, { value, unit: 'msg/s', peers: {} }]);
  const text = {
    workload,
    commit: 'abc',
    date: '2026-11-22T00:00:00Z',
    machine: {},
    params: {},
    metrics: Object.fromEntries(values),
  };
  writeFileSync(join(folder, `${workload}.json`), JSON.stringify(text));
}

t.test('the command reads reports, and says which is missing and how it is made', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'blindbeam-capacity-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  t.match(run('--results', folder), {
    code: 1,
    err: /BENCH_REPORT: .*connections\.json.*bench connections --quick --json/,
  });
  report(folder, 'connections', { bytes_per_connection_total: 6_000 });
  report(folder, 'messages', { delivered_per_s: 100_000, server_cores: 1 });
  report(folder, 'storm', { reconnects_per_s: 5_000, server_cores: 0.5 });
  report(folder, 'offline', { server_cores: 1 });
  t.match(run('--results', folder), { code: 1, err: /"offline" has no drain_msgs_per_s/ });
  report(folder, 'offline', { drain_msgs_per_s: 200_000, server_cores: 1 });
  const made = run('--results', folder);
  t.match(made, { code: 0, out: /^For 2,000,000,000 people a day: 63 nodes, bound for connections\.\n/ });
  t.match(made.out, /text, if nobody ever took it +300 TB /);
  t.match(made.out, /\[bench connections at abc, 2026-11-22\]/);
  const parsed = JSON.parse(run('--results', folder, '--json').out) as { plan: Plan };
  t.equal(parsed.plan.nodes, 63);
});

t.test('wrong usage is told, with all that may be said', async (t) => {
  t.match(run('--uesrs', '5'), { code: 2, err: /uesrs/ });
  t.match(run('--users', 'x'), { code: 2, err: /"users" expected a number.*\.\n.* --help / });
  t.match(run('--help'), { code: 0, out: /--messages-per-day/ });
});

import { spawnSync } from 'node:child_process';
import t from 'tap';
import { createMemoryLog, type LogEntry } from '../../runtime/testing/test-node.ts';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { LIMITS } from '../limits.ts';
import {
  argumentsOf,
  connectionsOfNode,
  flagsOfNodes,
  Processes,
  readDescriptorLimit,
  type ProcessesPlan,
} from './processes.ts';

const PLAN: ProcessesPlan = { count: 3, port: 7600, data: '/tmp/d', argv: ['--workers', '1'], connections: 1_000_000 };

t.test('each node has its port and its directory, and what is given to all', async (t) => {
  const argv = argumentsOf(PLAN, 2);
  t.strictSame(argv.slice(0, 3), ['start', '--workers', '1']);
  for (const [name, value] of [
    ['--port', '7602'],
    ['--data', '/tmp/d/process-02'],
    ['--processes', '1'],
  ]) {
    t.equal(argv[argv.lastIndexOf(name!) + 1], value);
  }
});

t.test('more nodes than processors collect their garbage without helpers', async (t) => {
  t.strictSame(flagsOfNodes(2, 2), []);
  const [flag] = flagsOfNodes(3, 2);
  const { status } = spawnSync(process.execPath, [flag!, '--version']);
  t.equal(status, 0, 'this Node knows the flag');
});

t.test('the descriptors of a process bound its connections', async (t) => {
  const limits = (hard: string): string =>
    `Max open files            1024                 ${hard}                files\n`;
  t.equal(
    readDescriptorLimit(() => limits('20000')),
    20_000,
  );
  t.equal(
    readDescriptorLimit(() => limits('unlimited')),
    Infinity,
  );
  t.equal(
    readDescriptorLimit(() => {
      throw new Error('no /proc here');
    }),
    Infinity,
  );
  t.equal(connectionsOfNode(1_000_000, 20_000), 20_000 - LIMITS.descriptorsReserved);
  t.equal(connectionsOfNode(500, 20_000), 500);
  t.equal(connectionsOfNode(500, 10), 1);
});

/** A program that behaves as a node as far as this file looks. */
const GOOD = `console.log(JSON.stringify({event:'node_started'})); setInterval(()=>{},1000); process.on('SIGTERM',()=>process.exit(0))`;
const BAD = 'process.exit(3)';

function start(script: string, count = PLAN.count) {
  const clock = new VirtualClock();
  const logged: LogEntry[] = [];
  const lines: string[] = [];
  const log = createMemoryLog(logged);
  const command = [process.execPath, '-e', script, '--'] as [string, ...string[]];
  const nodes = new Processes(
    { ...PLAN, count, argv: [] },
    { log, write: (line) => void lines.push(line), command, clock },
  );
  nodes.start();
  return { nodes, logged, lines, clock };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('all serve, each line has its number, and all end when they are asked to', async (t) => {
  const { nodes, logged, lines } = start(GOOD);
  await until(() => logged.some(({ event }) => event === 'processes_started'));
  t.strictSame(
    [...lines].sort(),
    [0, 1, 2].map((index) => `{"process":${index},"event":"node_started"}\n`),
  );
  nodes.stop();
  t.equal(await nodes.ended, 0);
});

t.test('one that is killed is started again after a pause', async (t) => {
  const { nodes, logged, lines, clock } = start(GOOD);
  await until(() => lines.length === 3);
  nodes.signal('SIGKILL');
  await until(() => logged.filter(({ event }) => event === 'process_ended').length === 3);
  clock.advance(LIMITS.processPauseMs - 1);
  t.equal(lines.length, 3);
  clock.advance(1);
  await until(() => lines.length === 6);
  nodes.stop();
  t.equal(await nodes.ended, 0);
});

t.test('one that ends again and again ends all, with 1', async (t) => {
  const { nodes, logged, clock } = start(BAD, 1);
  const ends = (): number => logged.filter(({ event }) => event === 'process_ended').length;
  for (let failures = 1; failures <= LIMITS.processFailuresMax; failures++) {
    await until(() => ends() === failures);
    clock.advance(LIMITS.processPauseMs * 2 ** (failures - 1));
  }
  t.equal(await nodes.ended, 1);
  t.ok(logged.some(({ event }) => event === 'processes_given_up'));
});

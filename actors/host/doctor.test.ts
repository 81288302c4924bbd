import t from 'tap';
import { readConfig } from '../config.ts';
import { printFindings } from './doctor-command.ts';
import { descriptorsNeeded, examine, type Finding, type Machine } from './doctor.ts';

const WELL: Readonly<Record<string, string>> = {
  '/proc/self/limits': 'Max open files            2000000              2000000              files\n',
  '/proc/sys/net/core/somaxconn': '4096\n',
  '/proc/sys/net/ipv4/tcp_max_syn_backlog': '8192\n',
  '/proc/sys/fs/file-max': '9223372036854775807\n',
  '/proc/sys/net/ipv4/tcp_mem': '2000000\t3000000\t4000000\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
};

function machine(files: Readonly<Record<string, string>> = {}, rest: Partial<Machine> = {}): Machine {
  const all: Readonly<Record<string, string>> = { ...WELL, ...files };
  return {
    nodeVersion: '20.20.2',
    nowMs: 0,
    memoryBytes: 24e9,
    user: 1000,
    read: (path) => all[path],
    disk: () => ({ freeBytes: 100e9, type: 0xef53 }),
    stat: () => ({ mode: 0o40700, owner: 1000 }),
    ...rest,
  };
}

function find(name: string, given: Machine, ...argv: string[]): Finding {
  return examine(readConfig(argv, {}), given).find((each) => each.name === name)!;
}

t.test('a machine that has all it needs is told so', async (t) => {
  for (const finding of examine(readConfig([], {}), machine())) t.equal(finding.status, 'ok', finding.name);
});

t.test('descriptors are counted, and the command raises them as far as that is possible', async (t) => {
  const limits = (soft: number, hard: number): Machine =>
    machine({ '/proc/self/limits': `Max open files            ${soft}              ${hard}              files\n` });
  const argv = ['--connections', '50000', '--workers', '2'];
  const needed = descriptorsNeeded({ connections: 50_000, workers: 2 });
  t.equal(needed, 51_224);
  t.match(find('descriptors', limits(needed, needed), ...argv), { status: 'ok' });
  t.match(find('descriptors', limits(20_000, 100_000), ...argv), {
    status: 'warn',
    text: /18776 connections fit/,
    command: `ulimit -n ${needed}`,
  });
  t.match(find('descriptors', limits(20_000, 20_000), ...argv), { command: /LimitNOFILE=51224/ });
  t.match(find('descriptors', limits(1_024, 1_024), ...argv), { status: 'fail', text: /: 0 connections fit/ });
});

t.test('a kernel setting that is low has its command', async (t) => {
  const low = machine({
    '/proc/sys/net/core/somaxconn': '128\n',
    '/proc/sys/net/ipv4/tcp_mem': '100 200 300\n',
    '/proc/sys/net/ipv4/ip_local_port_range': '1024 65000\n',
  });
  t.match(find('net.core.somaxconn', low), { status: 'warn', command: 'sysctl -w net.core.somaxconn=4096' });
  t.match(find('net.ipv4.tcp_mem', low), { status: 'warn', command: /^sysctl -w net\.ipv4\.tcp_mem="\d+ \d+ \d+"$/ });
  t.match(find('ports', low), { status: 'warn', command: 'sysctl -w net.ipv4.ip_local_reserved_ports=7400,9464' });
  t.match(find('fs.file-max', machine({}, { read: () => undefined })), { status: 'ok' }, 'elsewhere than on Linux');
});

t.test('memory, disk and store', async (t) => {
  t.match(find('memory', machine({}, { memoryBytes: 2e9 })), { status: 'warn', command: /--connections \d+$/ });
  const disk = (freeBytes: number, type = 0xef53): Machine => machine({}, { disk: () => ({ freeBytes, type }) });
  t.match(find('disk', disk(1e9)), { status: 'warn', command: /--store-bytes 700000000$/ });
  t.match(find('disk', disk(1e12, 0x6969)), { status: 'fail', text: /NFS/ });
  t.match(find('disk', disk(1e12, 0x01021994)), { status: 'warn', text: /in memory/ });
  t.match(find('disk', machine({}, { disk: () => undefined })), { status: 'fail' });
  t.match(find('store', machine({}, { stat: () => ({ mode: 0o40755, owner: 1000 }) })), {
    status: 'fail',
    command: /^chmod 700/,
  });
  t.match(find('store', machine({}, { stat: () => undefined })), { status: 'ok' });
});

t.test('version, certificate and exposure', async (t) => {
  t.match(find('node', machine({}, { nodeVersion: '18.20.0' })), { status: 'fail' });
  t.match(find('certificate', machine(), '--tls-certificate', '/none', '--tls-key', '/none'), { status: 'fail' });
  t.match(find('exposure', machine(), '--metrics-host', '0.0.0.0'), { status: 'warn' });
  const open = ['--host', '0.0.0.0', '--unsafe-verifier', 'yes'];
  t.match(find('exposure', machine(), ...open), { status: 'warn', text: /register any number/ });
  t.match(find('certificate', machine(), ...open), { status: 'warn', text: /not encrypted/ });
});

t.test('what mends something stands under it', async (t) => {
  const text = printFindings([
    { name: 'a', status: 'ok', text: 'fine' },
    { name: 'long', status: 'warn', text: 'low', command: 'sysctl -w x=1' },
  ]);
  t.equal(text, 'ok    a     fine\nwarn  long  low\n            → sysctl -w x=1\n');
});

/**
 * Looks at a machine before a node runs on it, or after it ran badly: limits, kernel settings, memory, disk, certificate. Each finding
 * that asks for something has the exact command. Pure but for `Machine`, which a test replaces.
 */

import type { NodeConfig } from '../config.ts';
import { checkPair } from '../tls.ts';

export interface Finding {
  readonly name: string;
  /** `warn`: it works and will not under load, or not for long. `fail`: a node does not start, or not safely. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** What mends it, to be run as root unless it begins with `blindbeam`. */
  readonly command?: string;
}

/** What is asked of the machine. `undefined`: it does not say, as on systems that are not Linux. */
export interface Machine {
  readonly nodeVersion: string;
  readonly nowMs: number;
  readonly memoryBytes: number;
  readonly user: number | undefined;
  read(path: string): string | undefined;
  /** Free bytes and the kind of a file system, as statfs(2) numbers it, at a path or the nearest directory above. */
  disk(path: string): { readonly freeBytes: number; readonly type: number } | undefined;
  /** Permissions and owner of a file. */
  stat(path: string): { readonly mode: number; readonly owner: number } | undefined;
}

/** Descriptors of a node without a client: threads, shards, listeners, log. Measured: 60 with two workers (2026-11). */
const DESCRIPTORS_IDLE = 200;
/** Of one worker beside its connections: media under way, with a file each, and requests of push and object stores. */
const DESCRIPTORS_PER_WORKER = 512;
/** Kernel and process for one connection that is idle, in bytes; see docs/operating.md. */
const BYTES_PER_CONNECTION = 6_000;
const KERNEL_BYTES_PER_SOCKET = 3_900;
const PAGE_BYTES = 4_096;
const DAY_MS = 86_400_000;
/** File systems that LMDB must not lie on: its lock and its map need a local disk. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0x517b, 'SMB'],
]);
const TMPFS = 0x01021994;

export function examine(config: NodeConfig, machine: Machine): Finding[] {
  return [
    checkVersion(machine),
    checkDescriptors(config, machine),
    ...checkKernel(config, machine),
    checkPorts(config, machine),
    checkMemory(config, machine),
    checkDisk(config, machine),
    checkStore(config, machine),
    checkCertificate(config, machine),
    checkExposure(config),
  ];
}

function ok(name: string, text: string): Finding {
  return { name, status: 'ok', text };
}

function checkVersion({ nodeVersion }: Machine): Finding {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const fits = (major === 20 && minor >= 19) || (major > 20 && major <= 25);
  if (fits) return ok('node', `Node.js ${nodeVersion}`);
  return { name: 'node', status: 'fail', text: `Node.js ${nodeVersion} is not supported: install 20.19 to 25` };
}

/** Descriptors that a node with these settings may need. */
export function descriptorsNeeded({ connections, workers }: Pick<NodeConfig, 'connections' | 'workers'>): number {
  return connections + workers * DESCRIPTORS_PER_WORKER + DESCRIPTORS_IDLE;
}

function checkDescriptors(config: NodeConfig, machine: Machine): Finding {
  const name = 'descriptors';
  const [, soft, hard] = /^Max open files +(\S+) +(\S+)/m.exec(machine.read('/proc/self/limits') ?? '') ?? [];
  if (soft === undefined || hard === undefined) return ok(name, 'this system does not tell its limit');
  const limit = soft === 'unlimited' ? Infinity : Number(soft);
  const needed = descriptorsNeeded(config);
  const sum = `${config.connections} connections + ${config.workers} × ${DESCRIPTORS_PER_WORKER} + ${DESCRIPTORS_IDLE} = ${needed}`;
  if (limit >= needed) return ok(name, `${soft} for ${sum}`);
  const room = Math.max(0, limit - needed + config.connections);
  const text = `${soft} are allowed, ${sum} may be needed: ${room} connections fit`;
  const raisable = hard === 'unlimited' || Number(hard) >= needed;
  const command = raisable ? `ulimit -n ${needed}` : `systemctl edit blindbeam   # [Service] LimitNOFILE=${needed}`;
  return { name, status: room < 1_000 ? 'fail' : 'warn', text, command };
}

/** Least values, by what they bound. */
function checkKernel(config: NodeConfig, machine: Machine): Finding[] {
  const pages = Math.ceil((config.connections * KERNEL_BYTES_PER_SOCKET) / PAGE_BYTES);
  return [
    checkSysctl(
      machine,
      'net.core.somaxconn',
      4_096,
      'connections that wait to be accepted, after a network came back',
    ),
    checkSysctl(machine, 'net.ipv4.tcp_max_syn_backlog', 4_096, 'connections that are being opened'),
    checkSysctl(machine, 'fs.file-max', descriptorsNeeded(config), 'descriptors of the whole machine'),
    checkTcpMemory(machine, pages),
  ];
}

function checkSysctl(machine: Machine, name: string, least: number, meaning: string): Finding {
  const text = machine.read(`/proc/sys/${name.replaceAll('.', '/')}`);
  if (text === undefined) return ok(name, 'not there on this system');
  const value = Number(text.trim());
  if (value >= least) return ok(name, `${value}: ${meaning}`);
  return {
    name,
    status: 'warn',
    text: `${value}: ${meaning}; ${least} or more`,
    command: `sysctl -w ${name}=${least}`,
  };
}

/** Three numbers in pages: below the first all is well, above the third sockets are refused. */
function checkTcpMemory(machine: Machine, pages: number): Finding {
  const name = 'net.ipv4.tcp_mem';
  const values = machine.read('/proc/sys/net/ipv4/tcp_mem')?.trim().split(/\s+/).map(Number);
  if (values?.length !== 3) return ok(name, 'not there on this system');
  const [, , most] = values as [number, number, number];
  if (most >= pages) return ok(name, `${values.join(' ')} pages; ${pages} for as many connections as are admitted`);
  const command = `sysctl -w net.ipv4.tcp_mem="${Math.ceil(pages / 2)} ${pages} ${pages * 2}"`;
  return { name, status: 'warn', text: `${most} pages for sockets, ${pages} may be needed`, command };
}

/** A port among those that the kernel gives to outgoing connections may be taken when the node starts anew. */
function checkPorts({ port, metricsPort }: NodeConfig, machine: Machine): Finding {
  const name = 'ports';
  const range = machine.read('/proc/sys/net/ipv4/ip_local_port_range')?.trim().split(/\s+/).map(Number);
  const ports = [port, metricsPort].filter((each) => each !== 0);
  if (range?.length !== 2) return ok(name, ports.join(', '));
  const [first, last] = range as [number, number];
  const within = ports.filter((each) => each >= first && each <= last);
  if (within.length === 0) return ok(name, `${ports.join(', ')}: outside of ${first} to ${last}`);
  const text = `${within.join(', ')} lies among those for outgoing connections, ${first} to ${last}, and may be taken at a restart`;
  return { name, status: 'warn', text, command: `sysctl -w net.ipv4.ip_local_reserved_ports=${within.join(',')}` };
}

function checkMemory({ connections, workers }: NodeConfig, { memoryBytes }: Machine): Finding {
  const name = 'memory';
  const needed = connections * BYTES_PER_CONNECTION + workers * 100e6;
  const sum = `${connections} connections × ${BYTES_PER_CONNECTION} B + ${workers} × 100 MB = ${gigabytes(needed)}`;
  if (memoryBytes >= needed) return ok(name, `${gigabytes(memoryBytes)} for ${sum}`);
  const fits = Math.max(1, Math.floor((memoryBytes - workers * 100e6) / BYTES_PER_CONNECTION));
  const command = `blindbeam start --connections ${fits}`;
  return { name, status: 'warn', text: `${gigabytes(memoryBytes)}, and ${sum}`, command };
}

function checkDisk({ data, storeBytes }: NodeConfig, machine: Machine): Finding {
  const name = 'disk';
  const disk = machine.disk(data);
  if (disk === undefined) return { name, status: 'fail', text: `${data} is on no disk that can be asked` };
  const remote = REMOTE.get(disk.type);
  if (remote !== undefined) {
    return { name, status: 'fail', text: `${data} is on ${remote}: the store needs a local disk, or it breaks` };
  }
  if (disk.type === TMPFS)
    return { name, status: 'warn', text: `${data} is in memory (tmpfs): a restart of the machine loses every message` };
  if (disk.freeBytes >= storeBytes)
    return ok(name, `${gigabytes(disk.freeBytes)} free, store-bytes ${gigabytes(storeBytes)}`);
  const text = `${gigabytes(disk.freeBytes)} free, and store-bytes is ${gigabytes(storeBytes)}: the disk is full before the store is`;
  return { name, status: 'warn', text, command: `blindbeam start --store-bytes ${Math.floor(disk.freeBytes * 0.7)}` };
}

function checkStore({ data }: NodeConfig, { stat, user }: Machine): Finding {
  const name = 'store';
  const found = stat(data);
  if (found === undefined) return ok(name, `${data} will be made`);
  const others = found.mode & 0o077;
  if (user !== undefined && found.owner !== user && user !== 0)
    return {
      name,
      status: 'fail',
      text: `${data} belongs to another user`,
      command: `chown -R ${user} ${data}`,
    };
  if (others === 0) return ok(name, data);
  const mode = (found.mode & 0o777).toString(8);
  return { name, status: 'fail', text: `${data} can be read by others (${mode})`, command: `chmod 700 ${data}` };
}

function checkCertificate({ tls, host }: NodeConfig, { nowMs, stat }: Machine): Finding {
  const name = 'certificate';
  if (tls === undefined) {
    const text = 'none: connections are not encrypted by the node';
    return /^(127\.|localhost$|::1$)/.test(host)
      ? ok(name, `${text}, which listens on ${host} alone`)
      : { name, status: 'warn', text };
  }
  const found = checkPair(tls, nowMs);
  if ('problem' in found) return { name, status: 'fail', text: found.problem };
  const mode = stat(tls.key)?.mode ?? 0;
  if ((mode & 0o007) !== 0)
    return { name, status: 'fail', text: `${tls.key} can be read by everybody`, command: `chmod o= ${tls.key}` };
  const days = Math.floor((found.expiresAtMs - nowMs) / DAY_MS);
  return { name, status: days < 14 ? 'warn' : 'ok', text: `${found.subject}, ${days} days left` };
}

function checkExposure({ host, verifier, metricsHost }: NodeConfig): Finding {
  const name = 'exposure';
  if (!/^(127\.|localhost$|::1$)/.test(metricsHost))
    return { name, status: 'warn', text: `metrics are served on ${metricsHost}: let a firewall keep others away` };
  if (!/^(127\.|localhost$|::1$)/.test(host) && verifier === 'log')
    return { name, status: 'warn', text: 'codes go to the log: whoever reads it can register any number' };
  return ok(name, 'nothing is served to others that should not be');
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

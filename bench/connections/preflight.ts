/**
 * Whether this machine is set up for so many connections, before anything is started; for each setting that is too low, the
 * command that raises it. Linux. What cannot be read is not judged.
 */

import { readSetting } from '../harness/environment.ts';
import { readAvailableBytes } from '../harness/memory.ts';

/** What a run needs of the machine; both ends of every connection are on it. */
export interface Needs {
  readonly connections: number;
  /** Connections that one server process takes at a time: its backlog. */
  readonly parallel: number;
  /** From one source address to one server port. */
  readonly connectionsOfSource: number;
  readonly serverPorts: { readonly first: number; readonly last: number };
}

/** A setting that is too low. */
export interface Shortage {
  readonly what: string;
  readonly command: string;
  /** Whether the run cannot succeed with it. */
  readonly isFatal: boolean;
}

/** Of the kernel, both ends and their buffers; measured 8.3 KB idle here, and more while all log in at once. */
const KERNEL_BYTES = 9_500;
/** Of a server and its clients, with the heap that a login needs for a while. */
const USER_BYTES = 4_000;
const PROCESS_BYTES = 60_000_000;
const PAGE_BYTES = 4_096;
/** Pages of TCP memory below which the kernel does not count: data in flight is little, one page for a socket at most. */
const TCP_PAGES_OF_CONNECTION = 0.5;

/** Reads a setting as /proc/sys has it; `undefined` where there is none. */
export type ReadSetting = (path: string) => string | undefined;

/** The settings that a run depends on, for the report. */
export const SETTINGS = [
  'fs/file-max',
  'fs/nr_open',
  'kernel/sched_autogroup_enabled',
  'net/core/somaxconn',
  'net/ipv4/ip_local_port_range',
  'net/ipv4/tcp_congestion_control',
  'net/ipv4/tcp_max_syn_backlog',
  'net/ipv4/tcp_mem',
  'net/ipv4/tcp_rmem',
  'net/ipv4/tcp_wmem',
  'vm/overcommit_memory',
] as const;

/** Looks at the machine. The worst comes first. */
export function preflight(
  needs: Needs,
  processes: number,
  read: ReadSetting = readSetting,
  availableBytes: number | undefined = readAvailableBytes(),
): Shortage[] {
  const numbers = (path: string): number[] => (read(path) ?? '').split(/\s+/).filter(Boolean).map(Number);
  const found = [
    filesOf(needs, numbers('fs/file-max')[0]),
    portsOf(needs, numbers('net/ipv4/ip_local_port_range')),
    rangeOf(needs, numbers('net/ipv4/ip_local_port_range')),
    atLeast('net.core.somaxconn', numbers('net/core/somaxconn')[0], needs.parallel),
    atLeast('net.ipv4.tcp_max_syn_backlog', numbers('net/ipv4/tcp_max_syn_backlog')[0], needs.parallel),
    tcpMemoryOf(needs, numbers('net/ipv4/tcp_mem')),
    memoryOf(needs, processes, availableBytes),
  ];
  const shortages = found.filter((each) => each !== undefined);
  return shortages.sort((left, right) => Number(right.isFatal) - Number(left.isFatal));
}

function filesOf({ connections }: Needs, fileMax: number | undefined): Shortage | undefined {
  const wanted = 2 * connections + 100_000;
  if (fileMax === undefined || fileMax >= wanted) return undefined;
  const what = `fs.file-max is ${fileMax}: two files for each connection`;
  return { what, command: `sysctl -w fs.file-max=${wanted}`, isFatal: true };
}

function portsOf({ connectionsOfSource }: Needs, [first, last]: readonly number[]): Shortage | undefined {
  if (first === undefined || last === undefined || last - first + 1 >= connectionsOfSource) return undefined;
  const what = `net.ipv4.ip_local_port_range has ${last - first + 1} ports, a source address needs ${connectionsOfSource}`;
  return { what, command: 'sysctl -w net.ipv4.ip_local_port_range="16000 65000"', isFatal: true };
}

/** A server port within the range may be taken by a client before the server has it. */
function rangeOf({ serverPorts }: Needs, [first, last]: readonly number[]): Shortage | undefined {
  if (first === undefined || last === undefined) return undefined;
  if (serverPorts.last < first || serverPorts.first > last) return undefined;
  const what = `the server's ports ${serverPorts.first} to ${serverPorts.last} lie in net.ipv4.ip_local_port_range`;
  return { what, command: `choose another --port, below ${first}`, isFatal: true };
}

function atLeast(name: string, value: number | undefined, wanted: number): Shortage | undefined {
  if (value === undefined || value >= wanted) return undefined;
  const what = `${name} is ${value}: clients that dial at once are dropped and dial again a second later`;
  return { what, command: `sysctl -w ${name}=${Math.max(wanted, 4096)}`, isFatal: false };
}

function tcpMemoryOf({ connections }: Needs, [, , pages]: readonly number[]): Shortage | undefined {
  const wanted = Math.ceil(2 * connections * TCP_PAGES_OF_CONNECTION);
  if (pages === undefined || pages >= wanted) return undefined;
  const what = `net.ipv4.tcp_mem allows ${Math.round((pages * PAGE_BYTES) / 2 ** 20)} MiB in the buffers of all sockets`;
  return { what, command: 'sysctl -w net.ipv4.tcp_mem="2000000 3000000 4000000"', isFatal: false };
}

function memoryOf({ connections }: Needs, processes: number, available: number | undefined): Shortage | undefined {
  const wanted = connections * (KERNEL_BYTES + USER_BYTES) + processes * PROCESS_BYTES;
  if (available === undefined || available >= wanted) return undefined;
  const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  const what = `${gib(available)} GiB of memory are available, about ${gib(wanted)} are needed`;
  return { what, command: 'ask for fewer connections, or end other programs', isFatal: available < wanted * 0.7 };
}

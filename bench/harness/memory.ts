/**
 * What connections take, as the kernel counts it: the memory of a process by kind, and the kernel's own for sockets. Linux
 * only; elsewhere there is nothing to read and the figures are left out.
 *
 * A process has *anonymous* memory, which is its own (heaps, what the allocator has), and pages of *files*: code, and the
 * store, whose pages the kernel takes back when it needs them. The first is what a connection costs; the second belongs to
 * what is stored.
 */

import { readFileSync } from 'node:fs';

const KIB = 1024;
/** Pages of /proc/net/sockstat. */
const PAGE_BYTES = 4096;

/** Memory of one process. */
export interface ProcessMemory {
  readonly anonymousBytes: number;
  readonly fileBytes: number;
}

/** Memory of the kernel for everything that the machine does. */
export interface KernelMemory {
  /** Structures: sockets, descriptors, inodes. */
  readonly slabBytes: number;
  /** Data in TCP's buffers. */
  readonly tcpBufferBytes: number;
  /** Sockets of TCP in use, both ends where both are here. */
  readonly tcpSockets: number;
}

/** What process `pid` has now; `undefined` where there is no /proc, or the process has ended. */
export function readProcessMemory(pid: number): ProcessMemory | undefined {
  try {
    return parseProcessMemory(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Reads the text of /proc/pid/status. Shared memory between the threads of a process counts as its own. */
export function parseProcessMemory(status: string): ProcessMemory {
  return {
    anonymousBytes: kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem'),
    fileBytes: kilobytes(status, 'RssFile'),
  };
}

/** What the kernel has now; `undefined` where there is no /proc. */
export function readKernelMemory(): KernelMemory | undefined {
  try {
    const sockets = ['sockstat', 'sockstat6'].map((name) => readFileSync(`/proc/net/${name}`, 'utf8'));
    return parseKernelMemory(readFileSync('/proc/meminfo', 'utf8'), sockets.join(''));
  } catch {
    return undefined;
  }
}

/** Reads the texts of /proc/meminfo and /proc/net/sockstat. */
export function parseKernelMemory(meminfo: string, sockstat: string): KernelMemory {
  const tcp = /^TCP: inuse (\d+) .*\bmem (\d+)/m.exec(sockstat);
  return {
    slabBytes: kilobytes(meminfo, 'Slab'),
    tcpSockets: Number(tcp?.[1] ?? 0),
    tcpBufferBytes: Number(tcp?.[2] ?? 0) * PAGE_BYTES,
  };
}

/** What the machine could still give away, in bytes; `undefined` where there is no /proc. */
export function readAvailableBytes(): number | undefined {
  try {
    return kilobytes(readFileSync('/proc/meminfo', 'utf8'), 'MemAvailable');
  } catch {
    return undefined;
  }
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * KIB;
}

/**
 * How many sockets a process may have: its limit of descriptors, read, explained and kept to. Linux; elsewhere a modest
 * number is taken that every system allows.
 *
 * The limit is one for the process: its worker threads share it. Who needs more connections than that needs more processes,
 * or a higher hard limit (`ulimit -Hn`, `LimitNOFILE=` of systemd), which only the machine's administrator can give.
 */

import { readFileSync } from 'node:fs';

/** What is left for files, the store, pipes and the event loop of a process that holds sockets. */
export const RESERVED_DESCRIPTORS = 500;
/** Where the limit cannot be read. */
const ASSUMED_LIMIT = 4_096;

/** Descriptors that a process of ours gets: Node raises its own limit to the hard one when it starts. */
export function readDescriptorLimit(): number {
  try {
    return parseDescriptorLimit(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return ASSUMED_LIMIT;
  }
}

/** Reads the text of /proc/self/limits. */
export function parseDescriptorLimit(limits: string): number {
  const [, hard = ''] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  if (hard === 'unlimited') return Number.MAX_SAFE_INTEGER;
  return /^\d+$/.test(hard) ? Number(hard) : ASSUMED_LIMIT;
}

/** Connections that one process can hold. */
export function connectionsOfProcess(limit: number = readDescriptorLimit()): number {
  return Math.max(1, limit - RESERVED_DESCRIPTORS);
}

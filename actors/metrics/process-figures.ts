/**
 * What the operating system knows of the process, under the names that every Prometheus client uses. Read when a scrape comes; the
 * main thread writes it into its own figures.
 */

import { readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { gauge, set } from './meter.ts';

const CPU = gauge('process_cpu_seconds_total');
const RESIDENT = gauge('process_resident_memory_bytes');
const OPEN_FDS = gauge('process_open_fds');
const MAX_FDS = gauge('process_max_fds');
const DISK_FREE = gauge('blindbeam_disk_free_bytes');

/** Notes the figures of now. @param directory - Of the store. */
export function noteProcess(directory: string): void {
  const { user, system } = process.cpuUsage();
  set(CPU, (user + system) / 1e6);
  set(RESIDENT, process.memoryUsage.rss());
  set(OPEN_FDS, openDescriptors() ?? 0);
  set(MAX_FDS, descriptorLimit() ?? 0);
  const { bavail, bsize } = statfsSync(directory);
  set(DISK_FREE, bavail * bsize);
}

/** Open descriptors of this process; undefined where /proc is not there. Since Linux 6.2 the size of the directory tells; a listing of many takes long. */
function openDescriptors(): number | undefined {
  try {
    const { size } = statSync('/proc/self/fd');
    return size > 0 ? size : readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

/** The soft limit on descriptors; undefined where /proc is not there or there is none. */
function descriptorLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

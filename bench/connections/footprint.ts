/**
 * The heap of an idle connection by layer, measured in a process of its own. See `footprint-main.ts`.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

const ENTRY: string = fileURLToPath(new URL('./footprint-main.js', import.meta.url));

/** Bytes of the heap for each connection. */
export interface Footprint {
  /** Devices that were there in the end, for a check. */
  readonly online: number;
  readonly actor: number;
  readonly store: number;
  readonly session: number;
  readonly total: number;
}

/** @param wasteBytes - To be wasted by each connection, so that the check is seen to fail. */
export async function measureFootprint(wasteBytes: number = 0): Promise<Footprint> {
  const argv = ['--expose-gc', ENTRY, String(wasteBytes)];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, argv, { timeout: LIMITS.programMsMax });
    return JSON.parse(stdout) as Footprint;
  } catch (error) {
    throw new BenchError('BENCH_CHILD', `the footprint was not measured: ${(error as Error).message}`);
  }
}

/**
 * What has grown by more than `tolerance` against the baseline, in words. The layers are told for orientation: what is garbage at
 * the border of two may be counted to either, so they vary by a tenth, and their sum by a hundredth.
 */
export function grownBeyond(measured: Footprint, baseline: Footprint, tolerance: number): string | undefined {
  if (measured.total <= baseline.total * (1 + tolerance)) return undefined;
  const told = (footprint: Footprint): string =>
    (['actor', 'store', 'session', 'total'] as const)
      .map((layer) => `${layer} ${Math.round(footprint[layer])}`)
      .join(', ');
  return `${told(measured)} bytes; was ${told(baseline)}`;
}

/**
 * People and programs who look at a node, each as our tools do it and as often: `blindbeam top`, the operators' page, Prometheus.
 *
 * They run in the process of the benchmark, so what they cost themselves is not counted as the node's. Read next:
 * `../workloads/operators.ts`, which says when they look.
 */

import type { TopFrame } from '../../actors/admin/top.ts';
import type { ConsoleAddress } from '../../actors/console/verbs.ts';
import type { AdminClient } from '../../bin/operator/client.ts';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';

export interface Looker {
  readonly name: 'top' | 'console' | 'scrape';
  /** Looks as long as nobody leaves. Resolves soon after `signal` is aborted. */
  look(signal: AbortSignal): Promise<void>;
  /** What it asks once in a while, each to be answered soon. Resolves when the answer is there. */
  readonly questions: readonly (() => Promise<void>)[];
}

/** Milliseconds between two looks of each. */
export const EVERY_MS = 1_000;
/** What `blindbeam top` asks for, at least; its list can be gone through. */
const TOP_ROWS = 100;
const PAGE_ROWS = 25;

/** `blindbeam top` in a terminal. */
export function topLooker(admin: AdminClient): Looker {
  const watch = async (frames: number, signal?: AbortSignal): Promise<void> => {
    const parameters = { rows: TOP_ROWS, intervalMs: EVERY_MS, frames };
    for await (const frame of admin.watch<TopFrame>('top', parameters, signal)) checkFrame(frame);
  };
  const ask = async (verb: string): Promise<void> => void (await admin.request(verb, {}, LIMITS.statisticsMsMax));
  return {
    name: 'top',
    look: (signal) => watch(0, signal),
    questions: [() => watch(1), () => ask('status'), () => ask('actor.tree')],
  };
}

/** The operators' page in a browser: a live view, and what it asks for when it is opened. */
export function consoleLooker({ url }: ConsoleAddress): Looker {
  const { origin } = new URL(url);
  const ask = async (verb: string, parameters: object = {}): Promise<void> => {
    const headers = { 'content-type': 'application/json', 'x-blindbeam-console': '1' };
    const answer = await fetch(`${origin}/ask`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ verb, parameters }),
    });
    const { error } = (await answer.json()) as { readonly error?: { readonly message: string } };
    if (error !== undefined) throw new BenchError('BENCH_SERVER', `the console refused ${verb}: ${error.message}`);
  };
  return {
    name: 'console',
    look: async (signal) => {
      const query = `verb=top&by=messages&rows=${PAGE_ROWS}&intervalMs=${EVERY_MS}`;
      await untilAborted(signal, async () => {
        const { body } = await fetch(`${origin}/live?${query}`, { signal });
        const reader = body!.getReader();
        while (!(await reader.read()).done);
      });
    },
    questions: [
      () => ask('top', { rows: PAGE_ROWS, frames: 1 }),
      () => ask('actor.tree', { children: 12 }),
      () => ask('reload.list'),
    ],
  };
}

/** Prometheus, at sixty times its usual rate. @param url - Of `/metrics`. */
export function scrapeLooker(url: string): Looker {
  const scrape = async (): Promise<void> => {
    const answer = await fetch(url);
    const text = await answer.text();
    if (!answer.ok || text === '') throw new BenchError('BENCH_SERVER', `a scrape was answered by ${answer.status}`);
  };
  return {
    name: 'scrape',
    look: async (signal) => {
      while (!signal.aborted) {
        const dueMs = systemClock.nowMs() + EVERY_MS;
        await scrape();
        await wait(dueMs - systemClock.nowMs(), signal);
      }
    },
    questions: [scrape],
  };
}

/** Waits for `ms`, or until `signal` is aborted. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const cancel = systemClock.after(Math.max(0, ms), resolve);
    signal?.addEventListener('abort', () => (cancel(), resolve()), { once: true });
  });
}

function checkFrame({ coverage, actors }: TopFrame): void {
  if (coverage > 0 && actors.length > 0) return;
  throw new BenchError('BENCH_SERVER', '"top" showed nobody');
}

/** What an abort ends is no failure. */
async function untilAborted(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

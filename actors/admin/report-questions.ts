/**
 * What a worker is asked about the reports that its shards keep: what the server knows of a reported message, and what the reporter
 * disclosed of it. What a report proves is said in docs/internals/abuse.md.
 */

import type { Clock } from '../../runtime/index.ts';
import type { InboxStore } from '../store/inbox-store.ts';
import type { PlacedReport, ProtectionStore } from '../store/protection-store.ts';
import type { Questions } from './agent.ts';
import { pause } from '../pause.ts';

/** What the questions are answered from: shards of this worker with their stores, in the same order. */
export interface ReportParts {
  readonly shards: readonly number[];
  readonly stores: readonly InboxStore[];
}

/** A report without what was disclosed. */
export interface ReportRow {
  /** Shard of the reporter, and place in it: `3.41`. */
  readonly report: string;
  /** Server time, milliseconds. */
  readonly at: number;
  readonly sender: string;
  readonly senderDevice: number;
  /** Which registration of the device wrote it. */
  readonly senderCreation: number;
  readonly reporter: string;
  /** Message id in the conversation from that device to the reporter. */
  readonly id: number;
  readonly evidenceBytes: number;
}

/** A report with what was disclosed. */
export interface ReportDetails extends ReportRow {
  /** As the reporter's client sent it, base64; empty for none. Nobody but the reporter vouches for it. */
  readonly evidence: string;
}

/** Reports that are read in one turn of the worker: with all the evidence allowed some 600 KB, two milliseconds. */
const PAGE_COUNT = 64;

interface ReportsQuestion {
  readonly sender?: string | undefined;
  readonly rows: number;
}

export function reportQuestions(parts: ReportParts): Questions {
  return {
    reports: (question: ReportsQuestion, { clock }) => newest(parts, question, clock),
    report: ({ shard, place }: { readonly shard: number; readonly place: number }) => show(parts, shard, place),
  };
}

/** The newest ones of each shard, at most `rows` of them. */
async function newest(parts: ReportParts, question: ReportsQuestion, clock: Clock): Promise<{ rows: ReportRow[] }> {
  const { shards, stores } = parts;
  const found: ReportRow[] = [];
  // Those of now: in a cluster shards come and go meanwhile.
  const those = shards.map((shard, index) => ({ shard, store: stores[index]! }));
  for (const { shard, store } of those) {
    const isHere = (): boolean => stores.includes(store);
    found.push(...(await newestOf(shard, store.protection, isHere, question, clock)));
  }
  return { rows: found };
}

/** Those of one sender may be anywhere among 100,000: after each page the worker has a turn for its other work. */
async function newestOf(
  shard: number,
  store: ProtectionStore,
  isHere: () => boolean,
  { sender, rows }: ReportsQuestion,
  clock: Clock,
): Promise<ReportRow[]> {
  const found: ReportRow[] = [];
  for (let end = isHere() ? store.lastReport() : 0; end > 0 && isHere(); end -= PAGE_COUNT) {
    const page = pageTo(store, end);
    // What is older has been removed.
    if (page.length === 0) break;
    for (const placed of page.reverse()) {
      if (sender === undefined || placed.report.sender === sender) found.push(rowOf(shard, placed));
      if (found.length === rows) return found;
    }
    await pause(clock, 0);
  }
  return found;
}

function pageTo(store: ProtectionStore, end: number): PlacedReport[] {
  const first = Math.max(1, end - PAGE_COUNT + 1);
  return store.reports(first, end - first + 1).filter(({ place }) => place <= end);
}

function show(
  { shards, stores }: ReportParts,
  shard: number,
  place: number,
): { readonly here: false } | ({ readonly here: true } & ReportDetails) {
  const store = stores[shards.indexOf(shard)];
  const [placed] = store?.protection.reports(place, 1) ?? [];
  if (placed?.place !== place) return { here: false };
  const evidence = Buffer.from(placed.report.evidence).toString('base64');
  return Object.assign({ here: true as const, evidence }, rowOf(shard, placed));
}

function rowOf(shard: number, { place, report }: PlacedReport): ReportRow {
  const { ts, sender, senderDevice, senderCreation, reporter, id, evidence } = report;
  const evidenceBytes = evidence.length;
  return { report: `${shard}.${place}`, at: ts, sender, senderDevice, senderCreation, reporter, id, evidenceBytes };
}

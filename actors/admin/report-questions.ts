/**
 * What a worker is asked about the reports that its shards keep: what the server knows of a reported message, and what the reporter
 * disclosed of it. What a report proves is said in docs/internals/abuse.md.
 */

import type { InboxStore } from '../store/inbox-store.ts';
import type { PlacedReport, ProtectionStore } from '../store/protection-store.ts';
import type { Questions } from './agent.ts';

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

/** Reports that are read at a time. */
const PAGE_COUNT = 256;

export function reportQuestions(parts: ReportParts): Questions {
  return {
    reports: (question: { readonly sender?: string | undefined; readonly rows: number }) => newest(parts, question),
    report: ({ shard, place }: { readonly shard: number; readonly place: number }) => show(parts, shard, place),
  };
}

/** The newest ones of each shard, at most `rows` of them. */
function newest(
  { shards, stores }: ReportParts,
  { sender, rows }: { readonly sender?: string | undefined; readonly rows: number },
): { readonly rows: ReportRow[] } {
  const found: ReportRow[] = [];
  for (const [index, shard] of shards.entries()) {
    const own: ReportRow[] = [];
    for (const placed of newestFirst(stores[index]!.protection)) {
      if (sender !== undefined && placed.report.sender !== sender) continue;
      own.push(rowOf(shard, placed));
      if (own.length === rows) break;
    }
    found.push(...own);
  }
  return { rows: found };
}

function* newestFirst(store: ProtectionStore): Generator<PlacedReport, void> {
  for (let end = store.lastReport(); end > 0; end -= PAGE_COUNT) {
    const first = Math.max(1, end - PAGE_COUNT + 1);
    const page = store.reports(first, PAGE_COUNT).filter(({ place }) => place <= end);
    // What is older has been removed.
    if (page.length === 0) return;
    yield* page.reverse();
  }
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

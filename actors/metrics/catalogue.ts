/**
 * Every metric of a node: name, meaning, kind, labels, buckets.
 *
 * Names and units as Prometheus asks for (base units, `_total` for counters, histograms and no summaries). Labels have few values, all
 * of them listed here: no metric knows an account, a device, an address or a number. `lint.ts` holds the rules, and a test; the
 * page docs/metrics.md is made from this table.
 *
 * Source: prometheus.io, "Metric and label naming" and "Histograms and summaries".
 */

import { APP_ERRORS } from '../errors.ts';

type Labels = Readonly<Record<string, readonly string[]>>;

interface Common {
  readonly help: string;
  /** Each label with all its values. */
  readonly labels?: Labels;
  /** Whether each worker stands for itself, under the label `worker`; otherwise workers are summed up. */
  readonly perWorker?: true;
}

export type Metric = Common &
  (
    | { readonly kind: 'counter' | 'gauge' }
    /** `buckets`: upper bounds, ascending, without infinity. */
    | { readonly kind: 'histogram'; readonly buckets: readonly number[] }
  );

/** Seconds, from what an event loop does between two sockets to what a person calls broken. */
const SECONDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Counts, by fours. */
const COUNTS = [1, 4, 16, 64, 256, 1_024, 4_096];

/** Behaviours by the name that they have here; others are `other`. */
const BEHAVIORS: Readonly<Record<string, string>> = {
  'actors/connection': 'connection',
  'actors/inbox': 'inbox',
  'actors/groups': 'groups',
  'actors/accounts': 'accounts',
  'actors/presence': 'presence',
  'actors/relations': 'relations',
  'actors/wakeups': 'wakeups',
  'actors/links': 'links',
  'actors/quotas': 'quotas',
  'actors/media/keeper': 'media',
  'actors/outbox': 'outbox',
  dynamic_supervisor: 'supervisor',
  supervisor: 'supervisor',
};
const BEHAVIOR_NAMES: readonly string[] = [...new Set(Object.values(BEHAVIORS)), 'other'];

const CODES: readonly string[] = [...Object.keys(APP_ERRORS), 'other'];

/** What of the runtime's limits on a connection, an address or an account somebody ran into. */
// prettier-ignore
const LIMITERS = ['address', 'login', 'registration', 'message', 'bytes', 'group-message', 'request', 'ping'] as const;

export const METRICS = {
  blindbeam_connections: {
    kind: 'gauge',
    help: 'Open connections, by whether their client has logged in.',
    labels: { state: ['greeted', 'live'] },
  },
  blindbeam_connections_accepted_total: { kind: 'counter', help: 'Connections that were let in.' },
  blindbeam_logins_total: {
    kind: 'counter',
    help: 'Logins that succeeded, by how.',
    labels: { method: ['signature', 'ticket'] },
  },
  blindbeam_second_greetings_total: {
    kind: 'counter',
    help: 'Clients that were asked to log in again on the same connection, because a shard had moved.',
  },
  blindbeam_login_duration_seconds: {
    kind: 'histogram',
    help: 'From the greeting to the decision for a login; a person who types a code is in it.',
    buckets: SECONDS as readonly number[],
  },
  blindbeam_login_capacity_per_second: {
    kind: 'gauge',
    help: 'Logins by ticket that are taken in a second, as measured by admission control.',
  },
  blindbeam_refusals_total: {
    kind: 'counter',
    help: 'Requests, messages and connections that were refused or closed by the server, by code (docs/protocol.md).',
    labels: { code: CODES as readonly string[] },
  },
  blindbeam_limited_total: {
    kind: 'counter',
    help: 'Times that a bound on rates was reached, by which one.',
    labels: { limiter: LIMITERS as readonly string[] },
  },
  blindbeam_messages_accepted_total: {
    kind: 'counter',
    help: 'Messages whose commit is on the disk: what senders see one check mark for.',
  },
  blindbeam_messages_lost_total: {
    kind: 'counter',
    help: 'Messages that were given up, both ends being told, by why.',
    labels: { reason: ['expired', 'pruned', 'undeliverable', 'restored'] },
  },
  blindbeam_store_queued_bytes: { kind: 'gauge', help: 'Bytes of undelivered messages.' },
  blindbeam_store_queued_bytes_max: { kind: 'gauge', help: 'Bytes of undelivered messages that the node takes.' },
  blindbeam_store_commit_duration_seconds: {
    kind: 'histogram',
    help: 'From the start of a commit to its flush.',
    buckets: SECONDS as readonly number[],
  },
  blindbeam_store_commit_messages: {
    kind: 'histogram',
    help: 'Messages in one commit of an inbox; commits of receipts alone have none.',
    buckets: [0, ...COUNTS] as readonly number[],
  },
  blindbeam_store_commit_queue_depth: {
    kind: 'gauge',
    help: 'Operations of inboxes that wait for the next commit.',
  },
  blindbeam_store_oldest_message_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the oldest waiting message that the last round over the inboxes saw came in; 0 for none.',
    perWorker: true,
  },
  blindbeam_outbox_messages: {
    kind: 'gauge',
    help: 'Messages that have their check mark and wait for a shard that is out of reach.',
  },
  blindbeam_outbox_bytes: { kind: 'gauge', help: 'Bytes of the messages that wait for a shard that is out of reach.' },
  blindbeam_outbox_oldest_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the oldest message was taken that waits for a shard that is out of reach; 0 for none.',
    perWorker: true,
  },
  blindbeam_store_read_only: {
    kind: 'gauge',
    help: '1 while the disk is so full that new messages are refused, for each worker that sees it.',
  },
  blindbeam_cluster_tail_bytes: {
    kind: 'gauge',
    help: 'Bytes of commits that are on this disk alone because NATS does not answer (durability local); 0 soon after it does.',
  },
  blindbeam_overloaded: {
    kind: 'gauge',
    help: 'Workers that let nobody in because their heap or their number of connections is at its bound.',
  },
  blindbeam_disk_free_bytes: { kind: 'gauge', help: 'Bytes that may still be written to the disk of the store.' },
  blindbeam_wake_ups_total: {
    kind: 'counter',
    help: 'Wake-ups handed to push services, by service and what became of them.',
    labels: { platform: ['web', 'apns', 'fcm'], outcome: ['sent', 'gone', 'later', 'failed'] },
  },
  blindbeam_key_bundles_total: {
    kind: 'counter',
    help: 'Keys of devices handed to those who begin a conversation, by whether a one-time key was left.',
    labels: { one_time: ['yes', 'no'] },
  },
  blindbeam_devices: { kind: 'gauge', help: 'Devices that are registered.' },
  blindbeam_one_time_keys: {
    kind: 'gauge',
    help: 'One-time keys that are left of all devices, by kind: for new conversations.',
    labels: { kind: ['curve', 'kem'] },
  },
  blindbeam_presence_shed_total: {
    kind: 'counter',
    help: 'Presence and typing that were dropped, refused or put off.',
  },
  blindbeam_actors: { kind: 'gauge', help: 'Living actors.' },
  blindbeam_actor_messages_total: {
    kind: 'counter',
    help: 'Messages of actors, by what became of them.',
    labels: { outcome: ['handled', 'refused', 'dropped'] },
  },
  blindbeam_actor_turn_duration_seconds: {
    kind: 'histogram',
    help: 'Turns of actors by behaviour; a sample of about one in 32.',
    labels: { behavior: BEHAVIOR_NAMES as readonly string[] },
    buckets: [0.00001, 0.0001, 0.001, 0.005, 0.025, 0.1, 1],
  },
  blindbeam_actor_mailbox_depth: {
    kind: 'histogram',
    help: 'Messages that waited for an actor at the start of a turn, by behaviour; a sample of about one in 32.',
    labels: { behavior: BEHAVIOR_NAMES as readonly string[] },
    buckets: COUNTS as readonly number[],
  },
  blindbeam_behavior_version: {
    kind: 'gauge',
    help: 'Version of the code that runs, by behaviour: it rises with each reload and falls with a rollback.',
    labels: { behavior: BEHAVIOR_NAMES as readonly string[] },
    perWorker: true,
  },
  blindbeam_scheduler_busy_seconds_total: {
    kind: 'counter',
    help: 'Time that a worker has spent in turns of its actors.',
    perWorker: true,
  },
  blindbeam_event_loop_busy_seconds_total: {
    kind: 'counter',
    help: 'Time that the event loop of a worker has worked: turns, sockets, garbage collection.',
    perWorker: true,
  },
  blindbeam_event_loop_delay_seconds: {
    kind: 'histogram',
    help: 'How late a timer of a worker fired, asked ten times a second; once, where it has little to do or the machine is crowded.',
    buckets: SECONDS as readonly number[],
  },
  blindbeam_gc_pause_seconds: {
    kind: 'histogram',
    help: 'Pauses for garbage collection in workers, by kind.',
    labels: { kind: ['minor', 'major', 'incremental', 'weak'] },
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1],
  },
  blindbeam_heap_used_bytes: { kind: 'gauge', help: 'Heap of a worker in use.', perWorker: true },
  blindbeam_heap_limit_bytes: { kind: 'gauge', help: 'Heap that a worker may use.', perWorker: true },
  blindbeam_log_lines_total: {
    kind: 'counter',
    help: 'Lines of the log, by level, those that were held back for their number included.',
    labels: { level: ['debug', 'info', 'warn', 'error'] },
  },
  blindbeam_trace_spans_total: {
    kind: 'counter',
    help: 'Spans of traced messages, by what became of them: taken by the collector, refused by it, or dropped while it was away.',
    labels: { outcome: ['exported', 'refused', 'dropped'] },
  },
  blindbeam_traces_missed_total: {
    kind: 'counter',
    help: 'Messages that were to be traced and were not, because too many are.',
  },
  blindbeam_draining: { kind: 'gauge', help: '1 while the node sends its clients away.' },
  blindbeam_worker_heartbeat_timestamp_seconds: {
    kind: 'gauge',
    help: 'When a worker last looked at itself; it does so once to ten times a second.',
    perWorker: true,
  },
  blindbeam_certificate_expiry_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the certificate in use ends; 0 without TLS.',
  },
  blindbeam_certificate_reloads_total: {
    kind: 'counter',
    help: 'Certificates that were taken while running, and those that could not be.',
    labels: { outcome: ['taken', 'refused'] },
  },
  blindbeam_start_timestamp_seconds: { kind: 'gauge', help: 'When the node began to serve.' },
  process_cpu_seconds_total: { kind: 'counter', help: 'User and system time of the process.' },
  process_resident_memory_bytes: { kind: 'gauge', help: 'Resident memory of the process.' },
  process_open_fds: { kind: 'gauge', help: 'Open file descriptors of the process.' },
  process_max_fds: { kind: 'gauge', help: 'File descriptors that the process may have.' },
} as const;

export type MetricName = keyof typeof METRICS;

export const METRIC_NAMES: readonly MetricName[] = Object.keys(METRICS) as MetricName[];

/** What the table says, without the narrowness of its literal. */
export function metricOf(name: MetricName): Metric {
  return METRICS[name];
}

/** The label value of a behaviour. */
export function behaviorLabel(name: string): string {
  return BEHAVIORS[name] ?? 'other';
}

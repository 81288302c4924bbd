/**
 * Every bound of ownership and replication, with its reason. Units stand in the names.
 *
 *   renewal ──300──▶ renewal ──▶ …              an owner whose last acknowledged renewal began 1,200 ms ago commits nothing
 *           silence of 1,500 ms                  and is dead to the others: 300 ms later, which is the margin for a slow answer
 */

export const LIMITS = {
  /** Between two renewals of a lease: four fit into it, so three may be lost. */
  renewalMs: 300,
  /** A lease lives this long from the beginning of the renewal that was acknowledged. */
  leaseMs: 1_200,
  /** Silence after which a node counts as dead. More than a lease, by what its last renewal may have taken to be heard. */
  deadMs: 1_500,
  /** Silence after which the servers are asked whether a seat is still connected: two renewals are missing. */
  suspectMs: 600,
  /** A seat without a connection, by two answers so far apart, is dead without waiting for the rest of its silence. It has forfeited its lease itself. */
  desertedMs: 200,
  /** A standby may be away this long, a restart, before another one is appointed and the log is cut without it. */
  standbyAwayMs: 30_000,
  /** After this long another copy is begun beside it. */
  copyAwayMs: 10_000,
  /** The nodes must have been the same for so long before copies are moved between them. */
  stableMs: 3_000,
  /** And for so long before owners are: each move costs the clients of a shard a reconnection, and a node that was restarted has none to give back in a hurry. */
  moveStableMs: 15_000,
  /** A copy has caught up when it has what its owner had so long ago: a renewal, and the way of it. */
  settledMs: 1_000,
  /** A connection that lost the owner of a shard waits so long at most for the next one: a take-over is over by then, or something is wrong that another node may know of. */
  orphanMs: 5_000,
  /** An owner that ended and is still the owner is believed to serve again after this long: two renewals, by which it would have said that it does not. */
  sameOwnerMs: 700,
  /** Connections that are told of a new owner in one look. With those in between, when seats say something, some thousands a second. */
  orphansToldMax: 500,
  /** A node that starts waits for its NATS servers; after so long its log says so, well before the end of a worker that does not become ready. */
  natsWaitMs: 3_000,
  /** Between two looks at what should change of a shard. */
  lookMs: 100,
  /** Between two looks whether the heir has all that was sealed: nobody serves the shard meanwhile. */
  heirLookMs: 5,
  /** Who knows less of the table than another seat for so long reads what it has missed: a change takes milliseconds, and a renewal that tells of it may be the faster one. */
  behindMs: 600,
  /** Changes of the table that are read at a time. */
  changesCountMax: 256,
  /** Renewals that are acknowledged and not heard for so long mean a dead subscription: it is made anew. */
  deafMs: 4_000,
  /** A node that has just come looks on for this long before it claims anything: it must have heard who is there. */
  settleMs: 2_000,
  /** An append that was not answered is asked about, or repeated, after this long. */
  appendRetryMs: 150,
  /** Of one record of the log; JetStream takes 1 MiB with headers. A larger write set goes out in parts. */
  recordBytesMax: 900_000,
  /** With so few write sets left in its tail an owner waits for the log to have them, a few milliseconds, and goes to the log first again. */
  tailWaitCountMax: 8,
  /** And looks so often whether it has. */
  tailLookMs: 5,
  /** Of a tail; then new messages are refused with `APP_UNAVAILABLE`. An hour of a busy shard, and a disk has room for twelve of them. */
  tailBytesMax: 1_073_741_824,
  /** Of a page of a copy: read in one go on the owner's thread, a few milliseconds. */
  pageBytes: 131_072,
  /** Records that a copy applies in one transaction. */
  applyCountMax: 256,
  applyBytesMax: 4_194_304,
  /**
   * Between two transactions of a copy, which waits for more records meanwhile: each is a flush, and the disk and the processors are the owners' first. A twentieth
   * of a second is what a copy lacks at the most, and what a hand-over waits for it.
   */
  copyGatherMs: 50,
  /** A copy that heard nothing for so long looks whether there is something. */
  idleLookMs: 2_000,
  /** Between two cuts of the log. */
  trimMs: 5_000,
  /**
   * A copy that is away, or has no room, and that nobody can replace holds the log for so long; then the log is cut without it, and it is made anew when
   * it is back. Ten minutes: any restart, and few enough records for the servers' disks.
   */
  holdMs: 600_000,
  /** A copy that began with a page of ours holds the log from there for so long without another one. */
  pinMs: 60_000,
  /** Shards that a node copies anew at a time: a copy reads the whole shard on its owner's thread. */
  copyCountMax: 2,
  /** A take-over takes milliseconds; one that takes so long is told of in the log, with what it waits for, and again after twice as long. */
  slowMs: 2_000,
  /** A take-over or a hand-over that came to nothing is tried again after this long. */
  retryMs: 200,
  /** A request to JetStream that is not answered by then is of unknown outcome. */
  requestMs: 1_000,
  /** A page that has not come by then is asked for again. */
  pageMs: 3_000,
  /** A subscription to lives that is well says something with each renewal, this seat's own at least; one to the table with each sign of life. Who hears nothing for longer reads. */
  livesQuietMs: 700,
  tableQuietMs: 1_500,
  /** And so often: a renewal. */
  readMs: 300,
  /** Between two attempts at a consumer: servers without a leader refuse at once, and each seat follows a dozen streams. */
  consumerRetryMs: 500,
  /** Who is not told of a consumer that it asked for asks for the same one for so long, then for another. Making one takes milliseconds, and where the servers are slow seconds. */
  consumerMakeMs: 3_000,
  /** Between signs of life of a subscription to a log; two that are missing make a new one. */
  heartbeatMs: 1_000,
  /** Between two announcements to other data centres, who serves what: they hear of a new owner at once, and after a cut so soon at the latest. */
  announceMs: 1_000,
  /** What another centre said of a shard stands against lower epochs for so long after it was said last: ten announcements. */
  claimMs: 10_000,
  /** Attempts to open a stream while the servers elect their leaders: half a minute. */
  openTriesMax: 150,
  /** Shards of a new cluster wait so long for the nodes that it is said to begin with. */
  foundMs: 15_000,
  /** A server that says so often in a row that a log ends before what is here is believed. */
  lostTriesMax: 10,
} as const;

const { renewalMs, leaseMs, deadMs, suspectMs, recordBytesMax } = LIMITS;
if (leaseMs < 3 * renewalMs) throw new RangeError('a lease expected at least three renewals');
if (deadMs < leaseMs + renewalMs) throw new RangeError('silence of death expected a lease and a renewal at least');
if (suspectMs < 2 * renewalMs) throw new RangeError('a suspicion expected two missing renewals');
if (recordBytesMax > 1_000_000) throw new RangeError('a record of the log expected to fit a message of 1 MiB');

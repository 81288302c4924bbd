/**
 * Every bound of the benchmark, unit in its name, reason beside it.
 *
 * A bound here protects the measurement: from an endless wait, from memory that grows with a slow server, from a figure
 * that was taken over too short a time. What a workload may be asked for stands in its own options (`harness/registry.ts`).
 */

export const LIMITS = {
  /** From the start of the server to its `node_started` line; the first run after a build pays for a cold disk. */
  serverStartMsMax: 60_000,

  /** From SIGTERM to the end of the process; a server that drains longer is killed, and the run says so. */
  serverStopMsMax: 30_000,

  /** The same in a run that was interrupted, where somebody waits for its end. One that takes longer in a run that was not is noted. */
  serverStopHurriedMsMax: 10_000,

  /** How long the end of a server is waited for after its connections have ended, to tell why. */
  lastWordsMsMax: 5_000,

  /** How long the server may take to log its statistics after SIGUSR2. */
  statisticsMsMax: 30_000,

  /** From `exit` to the end of a child that has nothing to drain; then it is killed. */
  childStopMsMax: 15_000,

  /** The same in a run that was interrupted. */
  childStopHurriedMsMax: 3_000,

  /** From the interruption of a run until what it waits for is given up: a request to a server that hangs, say. Most ends at once. */
  interruptedMsMax: 3_000,

  /** Registering and logging in all connections of a generator. 200 take under 2 s here; 10,000 must still fit. */
  openingMsMax: 60_000,

  /** Connections that a generator opens at a time: enough to hide the round trips, few enough for a listen backlog of 128. */
  openingParallelMax: 32,

  /** The same of clients for a storm, which are many: a registration waits for two commits. */
  stormOpeningParallelMax: 256,

  /** From the cut until every client is back, or the run fails. A refused client may be told to wait for half of it. */
  stormMsMax: 30_000,

  /** A client that was cut off without a word dials again after this. */
  stormRedialMs: 250,

  /** After the last word to a client, the next storm waits this long: what a login leaves to be done is part of none. */
  stormPauseMs: 1_500,

  /** After the last send, everything in flight must come through within this, or it counts as lost. */
  drainMsMax: 10_000,

  /**
   * Messages of one pair that wait for their receipt; their intended times are kept in a ring of this size, so it is a
   * power of two. An open loop that reaches it has found a server that does not keep up.
   */
  outstandingCountMax: 8_192,

  /** Latencies are recorded in microseconds up to a minute; whatever takes longer is recorded as a minute. */
  latencyUsMax: 60_000_000,

  /** Bytes that one socket is given in a turn; more waits for the next turn. Under the default send buffer of the kernel. */
  turnBytesMax: 65_536,

  /** Payload of one WebSocket message, both directions: the bound of protocol/wire. */
  webSocketPayloadBytesMax: 16_384,

  /** The answer to an upgrade request. Servers send a few hundred bytes. */
  upgradeAnswerBytesMax: 8_192,

  /** Interval of the pacing timer. Timers of Node are no finer; what it adds counts as latency, against us. */
  paceTickMs: 1,

  /** Of one publish of the bare log: the bound of a record of a shard's log (actors/cluster/limits.ts). */
  bareLogBytesMax: 900_000,

  /** All clients of `bench connections` back, each by ticket; 19,000 take under 4 s here. */
  returnMsMax: 120_000,

  /** Memory counts as steady when it has not moved by more than this, over so long; after the last, it is taken as it is. */
  settledBytes: 1_048_576,
  settledMs: 3_000,
  settlingMsMax: 15_000,
  settlingLookMs: 250,

  /** A cluster has settled when no shard has moved for so long; the moves of one go on within a tenth of a second of each other. */
  clusterSettledMs: 1_000,
  /** A node that joins is given shards after 15 s, and copies of them before. */
  clusterSettlingMsMax: 60_000,

  /**
   * A resource of the machine has given out when it was at its limit for so many seconds in a row: all processors nearly busy, or mostly, with so many
   * threads in the queue of each; everybody waiting for the disk or for memory for such a share of the time; available memory at twice the
   * floor at which a run ends itself.
   */
  scarceSeconds: 5,
  scarceBusyShare: 0.95,
  scarceBusyShareQueued: 0.8,
  scarceQueueOfProcessor: 2,
  scarceDiskStallShare: 0.3,
  scarceMemoryStallShare: 0.1,
  scarceMemoryFloors: 2,

  /** How often the processes of a run are looked at for its charts. */
  courseLookMs: 500,

  /** From the start of many nodes to the last `node_started`: each takes a second of a core here. */
  crowdStartMsMax: 300_000,
  /** Without any client more for so long, a crowd does not come together. */
  crowdStallMsMax: 60_000,
  /** How often the processes of a crowd are looked at. */
  crowdLookMs: 1_000,
  /** The memory of all nodes is steady when it has not moved by more than this share for so long; it is taken as it is in the end: each collects in its time. */
  crowdSettledShare: 0.002,
  crowdSettledMs: 6_000,
  crowdSettlingMsMax: 60_000,
  /** How long nodes have to become quiet after a crowd has left, before what they keep is looked at. */
  crowdLeaveMs: 12_000,

  /** Filling or draining all backlogs: a million messages take 10 s here. */
  fillMsMax: 120_000,

  /** Messages that one filling connection has under way: a hundred of them stay below the bound of a shard's queue. */
  fillFlightMax: 100,

  /** Messages a second of one filling connection: the bound of actors/limits.ts, and a little room for two clocks. */
  fillPerSecondMax: 1_900,

  /** Above this share of one core a single-threaded generator is itself the limit, and the report says so. */
  generatorCoreShareMax: 0.9,

  /** Above this the generator's own lateness is a visible part of the latency that it reports. */
  generatorLagMsMax: 5,

  /** A late generator is more than a note when this share of the latency at p99 was spent before anything was sent. */
  generatorLateShareMax: 0.5,

  /**
   * Messages a second of each pair under a planted fault, unless --rate says otherwise: few, so that nothing else makes them late;
   * and so many that what is held for 50 ms has two behind it. At 20 a second it has none, and exactly one in a hundred is late: p99 then
   * falls to either side of it.
   */
  controlRateOfPair: 50,

  /** The slow server of `--control slow`: one message of a connection in so many waits for so long. */
  controlSlowEvery: 100,
  controlSlowMs: 50,

  /** The starved generator of `--control starved`: stopped for so long, so often. */
  controlStarvedMs: 200,
  controlStarvedEveryMs: 1_000,

  /** Other processes that use more than this share of a core disturb a run on a small machine, and the report says so. */
  otherCoresMax: 0.2,

  /** One run of a program of actors. The longest takes 15 s here, on a peer. */
  programMsMax: 120_000,

  /** All programs of actors with --quick, which promises 45 s: room is left for what does not depend on rounds. */
  actorsQuickMsMax: 40_000,

  /** For how long each side of a program runs before it is measured. Without, V8 shows half of what it does after a second. */
  actorsWarmUpMs: 400,

  /** What a program of actors takes in a short run. When there is less for each that is left, the rest runs one round. */
  actorsProgramMs: 1_200,

  /** How long the actors of a program may take to end after their root. A million take under a second here. */
  programEndMsMax: 30_000,

  /** From the start of a program's process to its first word; compiling the Erlang twins. */
  programStartMsMax: 30_000,

  /** One upload or download of `bench media`: 90 MiB by 64 clients at 50 MB/s in all. */
  mediaTransferMsMax: 120_000,

  /** Bytes in which files of `bench media` are made, and in which the bare library sends. */
  mediaPieceBytes: 262_144,

  /** Bytes of a request to the bare library: as many as the SDK puts into one. */
  bareSliceBytes: 1_048_576,

  /** From the start of ejabberd to its last account: it boots in 2 s here and registers 10,000 in another 2. */
  ejabberdStartMsMax: 60_000,

  /** Lines of a child's stderr that a failure shows. */
  stderrLinesMax: 20,
} as const;

function assertRelation(holds: boolean, relation: string): void {
  if (!holds) throw new RangeError(`limits of bench contradict each other: ${relation}`);
}

assertRelation((LIMITS.outstandingCountMax & (LIMITS.outstandingCountMax - 1)) === 0, 'the ring is a power of two');
assertRelation(LIMITS.turnBytesMax >= 2 * LIMITS.webSocketPayloadBytesMax, 'a turn holds at least two full messages');

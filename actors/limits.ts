/**
 * Every bound of the messaging server, with its reason. Units stand in the names.
 *
 * Relations between bounds are asserted when the module loads, so a change that breaks one is noticed at start.
 */

import { LIMITS as WIRE_LIMITS } from '../protocol/wire/index.ts';
import { LIMITS as RUNTIME_LIMITS } from '../runtime/index.ts';
import { followLimits } from './live-limits.ts';

export const LIMITS = {
  /** Descriptors of a node that are not connections: files, the store, pipes, HTTP, the event loop. */
  descriptorsReserved: 400,
  /** Of `--processes`: nodes that start at a time; how long one must have lived for its end to be the first again; ends in a row. */
  processesStartingMax: 4,
  processSettledMs: 60_000,
  processFailuresMax: 8,
  /** Pause before a node that ended is started again; doubled each time. */
  processPauseMs: 500,
  /** A nonce is good for this long: long enough for a slow phone, short enough that a recorded login is worthless. */
  nonceAgeMsMax: 60_000,
  /** A resume ticket is good for this long: a phone that was away for a week signs again. Whole days, as its key is one day's. */
  resumeTicketAgeMs: 604_800_000,
  /** A login by a ticket that lives no longer than this gets a new one; earlier, it would cost both sides for nothing. */
  resumeTicketRenewMs: 302_400_000,
  /** Logins by ticket that a worker takes in a second before anything was measured; one core did 5,000 to 8,000 (2026-11). */
  loginsPerSecondStart: 6_000,
  /** However busy with messages, a worker takes so many: everybody comes back in the end. And never more than so many. */
  loginsPerSecondMin: 500,
  loginsPerSecondMax: 50_000,
  /** Logins admitted ahead of what is served, in seconds of the rate: who is admitted waits about so long, and well below two. */
  loginQueueSeconds: 1.5,
  /** Tokens for a signature beyond the one of its connection: Ed25519, two look-ups and a count cost as much as two logins by ticket. */
  signatureTokens: 2,
  /**
   * How often a worker looks at itself for its metrics, and how often closely: 20 µs, and 100 µs once a second. Only the close looks are left to a worker
   * that is busy for less than a share of the time, and on a crowded machine: where fifty nodes share two processors each wake-up costs half a
   * millisecond, for nothing of the node is in their caches any more.
   */
  observeMs: 100,
  observeCloselyMs: 1_000,
  observeQuietShare: 0.1,
  /** A worker that has not looked at itself for so long does not count as alive: twice what `--stuck-ms` waits by default. */
  heartbeatMsMax: 10_000,
  /** Connections to the port of metrics, and the time for one request there. */
  metricsConnectionsMax: 64,
  metricsRequestMs: 5_000,
  /** How often a drain sends some of its clients away. */
  drainSliceMs: 20,
  /** Lines of one event at warning or above that stand in the log at once, and then in a second; the rest are counted. */
  logRepeatsBurst: 20,
  logRepeatsPerSecond: 1,
  /** Events whose repetition is remembered. */
  logEventsMax: 1_000,
  /** How often the files of the certificate are looked at. */
  certificateLookMs: 5_000,
  /** How long admission watches before it corrects the rate. */
  admissionIntervalMs: 200,
  /** Pause asked at most of a client that is not admitted. A longer one would be wrong by the time it ends. */
  deferSecondsMax: 60,
  /** Least pause asked when the worker has no room for another connection, or an address has all of its own. */
  fullRetrySeconds: 5,
  addressFullRetrySeconds: 30,
  /** Clients whose connection is closed by the server come back over so many seconds, drawn one by one. */
  comeBackSecondsSpan: 5,
  /** Addresses that a worker remembers; 200 bytes each. */
  visitorCountMax: 200_000,
  /** Pings of one connection, stanzas and WebSocket frames apart: a client that asks does so every ten seconds. */
  pingsPerSecondMax: 1,
  pingsBurstMax: 20,
  /** Pings over the rate that go unanswered before the connection is closed. */
  pingRefusalsMax: 100,
  /** Devices of a shard that are read out of the store at a time: times a window, 16 MiB. */
  catchUpCountMax: 64,
  /** How long one of them may take without losing its place. */
  catchUpMsMax: 5_000,
  /** How soon a free place is noticed when nothing else happens. */
  catchUpLookMs: 500,
  /** A shard whose log does not answer looks again after this long. */
  cutOffPauseMs: 200,
  /** A node of a cluster lets clients in when every shard has an owner, and after this long in any case. */
  clusterReadyMsMax: 20_000,
  /** So long a node that stops waits for others to take its shards: below the time that its workers have to stop. */
  clusterLeaveMsMax: 3_500,
  /** An unauthenticated connection lives this long, so that a person can type a verification code on it. */
  loginMsMax: 600_000,
  /** WebSocket: without any byte for this long the connection is closed; uWebSockets.js pings 16 s before. */
  idleSecondsMax: 120,
  /** Bytes in one WebSocket message, either direction (protocol/wire holds the same bound). */
  messageBytesMax: 16_384,
  /** uWS cuts the connection without a close code above this; between the two we can still say 4413. */
  payloadBytesMax: 65_536,
  /** Bytes that may wait in a socket before uWS drops: above the push window of a device, so it is never reached. */
  backpressureBytesMax: 1_048_576,
  /** Ciphertext of one envelope: leaves room for addresses and framing in a message of 16 KiB. */
  ciphertextBytesMax: 15_360,
  /** Connections of one worker thread; the descriptor limit is shared by the workers and checked at start. */
  connectionCountMax: 1_000_000,
  /** Sends of one connection. Far above a person and above a busy bridge; a flood is stopped here. */
  messagesPerSecondMax: 2_000,
  messagesBurstMax: 4_000,
  /**
   * Bytes of the messages of one connection, whatever is in them: what a busy bridge says with messages of 2 KB, and a burst of a
   * thousand of the largest. Above it files would travel here, which go over HTTP.
   */
  inboundBytesPerSecondMax: 4_194_304,
  inboundBytesBurstMax: 16_777_216,
  /** Acknowledgements and read marks of one connection: as many as messages may come to it, each acknowledged alone. */
  marksPerSecondMax: 4_000,
  marksBurstMax: 8_000,
  /** What a connection handed over is answered after a commit or two. What has waited from one look to the next ends the connection. */
  answerLookMs: 15_000,
  /** Looks are due at whole multiples of this, so that those of many connections come at once. */
  answerLookStepMs: 1_000,
  /** Between two questions of a login to a shard that has no owner for now, and how many: ten seconds, several times what a take-over lasts. */
  shardLookMs: 100,
  shardMissesMax: 100,
  /** Requests (iq) of one connection. */
  requestsPerSecondMax: 20,
  requestsBurstMax: 60,
  /** So many refusals for rate more than what was taken, and the connection is closed: a flood, and not a client that waits and says it again. */
  rateRefusalsMax: 1_000,
  /** People and, apart, groups whose messages one connection has refused and waits for; it ends with the next: its client comes again and begins with them. */
  awaitedCountMax: 1_000,
  /** How often a client goes back in one conversation while what it said is unanswered, as far as it is counted copy by copy: it does so when it is refused. */
  unansweredRunsMax: 64,
  /** Mailbox of a connection actor: a push window, its receipts and the frames of one read of the socket. */
  connectionMailboxMax: 4_096,
  /** Connections that may be opened before the supervisor of connections has its turn: more than admission lets in at once. */
  openingMailboxMax: 131_072,
  /** Mailbox of an inbox or accounts actor: what all connections of a node may have under way to one shard. */
  shardMailboxMax: 65_536,
  /** Operations in one commit: bounds the time of a commit and so the latency of the next. */
  commitOperationsMax: 4_096,
  /** Ciphertext in one commit: far below the free space at which a failed commit counts as a full disk. */
  commitBytesMax: 8_388_608,
  /** Acknowledged entries that one commit removes, give or take a window: while it is written, others are pushed the next. */
  commitRemovalsMax: 8_192,
  /** On a crowded machine, how long acknowledgements wait for a commit that goes anyway, and how many go without one. */
  removalWaitMs: 100,
  removalCompanyCount: 16,
  /** Threads that want a processor, for each there is, above which a machine is crowded. A busy node alone on it stays well below. */
  crowdedLoad: 4,
  /** Fresh entries of a former life that one commit moves when an inbox takes its store over. */
  settleCountMax: 4_096,
  /**
   * What an outbox holds of one device, for one shard, and in all: beyond it messages are refused with APP_OVERLOADED and wait with their clients. A device writes
   * for hours to as many as it likes; a shard that is away for a day takes no more than a quarter of what there is for all.
   */
  outboxDeviceCountMax: 1_000,
  outboxDeviceBytesMax: 4_194_304,
  /** Recipients that something of one device waits for. They are named in the answer to its login. */
  outboxDeviceRowsMax: 64,
  outboxShardBytesMax: 67_108_864,
  outboxBytesMax: 268_435_456,
  /** Messages in an outbox: its next owner reads what it keeps of each of them, some microseconds, before it begins. */
  outboxCountMax: 65_536,
  /** Of them in one turn: a page of them is 8 MiB at the most, and passes in 5 ms. */
  outboxPageCount: 512,
  /** Rows that an outbox looks at in one turn: the first message of each may have to be read. */
  outboxLookCount: 128,
  /** How often an outbox looks whether a shard is back, and when what had no answer goes again: a commit there may wait for seconds. */
  outboxLookMs: 500,
  outboxAnswerMs: 5_000,
  /** What goes at a time of one conversation before the recipient's shard has answered: as much as a window of an inbox. */
  outboxFlightCountMax: 64,
  outboxFlightBytesMax: 262_144,
  /** Operations that wait for the next commit. Beyond it, submissions are refused with APP_OVERLOADED. */
  commitQueueMax: 32_768,
  /** And beyond this, what its sender says again: acknowledgements, read marks, messages of groups. */
  repeatedQueueMax: 65_536,
  /** Pushed and unacknowledged messages of one device, by count and by bytes. */
  windowCountMax: 512,
  windowBytesMax: 262_144,
  /** Pushed messages that an inbox hands to a connection at once: in the packet between threads there is room for their addresses. */
  pushBytesMax: 65_536,
  /** Undelivered messages of one device, by count: thirty days of a busy group member. Beyond it senders are refused. */
  inboxCountMax: 100_000,
  /** Undelivered messages of one device, by bytes: above it the largest conversation loses its oldest messages. A thousand such inboxes fill a disk of 64 GB. */
  inboxBytesMax: 67_108_864,
  /** How far below its bound a pruned inbox is brought, so that a full one is not pruned for each message. */
  inboxPruneBytes: 8_388_608,
  /** Entries that one commit prunes or expires of one inbox, and entries that are looked at for them: a commit stays short. */
  lossCountMax: 1_024,
  lossLooksMax: 4_096,
  lossBytesMax: 1_048_576,
  /** Gaps that the record of a conversation keeps for its sender; as many as protocol/wire puts into an answer. */
  gapCountMax: 16,
  /** Undelivered messages are deleted after this long: thirty days. */
  messageAgeMsMax: 2_592_000_000,
  /** Inboxes whose oldest entry is looked at in a slice of the sweep for expired ones: under a millisecond of work. */
  expiryLooksMax: 128,
  /** Pause between two slices, and between two rounds. */
  expirySliceMs: 100,
  expiryRoundMs: 3_600_000,
  /** Conversations that a staged inbox begins with, and messages of each: together one push window. */
  aheadConversationCountMax: 32,
  aheadPageCountMax: 16,
  /** Entries of the inbox that are looked at for one such page. */
  aheadLooksMax: 256,
  /** Connections in a row on which a device got messages and acknowledged none, after which it gets one at a time. */
  fruitlessCountMax: 4,
  /** And after which that one is set aside: sixteen more, far beyond what bad reception explains. */
  undeliverableCountMax: 20,
  /**
   * Recipients kept in memory by one shard while none of their devices is online: 700 bytes each. More would be most of what a node
   * keeps that everybody has left, and saves a few look-ups in pages that are in memory too.
   */
  recipientCacheMax: 4_096,
  /** Conversations remembered for one recipient. */
  conversationCacheMax: 1_024,
  /** Presence and typing of one connection: what a person does in a chat, and a client's repetitions after a reconnection. */
  presenceSignalsPerSecondMax: 5,
  presenceSignalsBurstMax: 40,
  /** Subscriptions of one connection: the chats that a screen shows at a time, with room for a large screen. */
  presenceSubscriptionsMax: 32,
  /** Subscriptions to one person; beyond it the question is answered and nothing more is told. */
  presenceWatchersMax: 1_024,
  /** A person's watchers are told of a change at once, of the next not before this pause: people flap with their networks. */
  presencePauseMs: 5_000,
  /** Changes and typing that one shard tells in a second, whatever happens: a tenth of the messages that it moves. */
  presenceNoticesPerSecondMax: 10_000,
  /**
   * Connections that are told who types in a group, those that opened its chat last: the screens of a lively group. Of a group of 1,024
   * who all look at it some miss that somebody types, and no message.
   */
  groupTypingWatchersMax: 256,
  /** Members of a group of whom it is told at a time that they type; a screen shows two names and a number. */
  groupTypistsMax: 4,
  /** What is told of the typing in one group in a second: four who repeat it and some who begin and end. */
  groupTypingPerSecondMax: 2,
  groupTypingBurstMax: 8,
  /** Who goes on typing is told of again after this time; a client says so every 5 seconds. */
  groupTypingRepeatMs: 4_000,
  /** Without a word for so long nobody types any more: as long as a client shows it. */
  groupTypistMsMax: 15_000,
  /** What a shard tells of typing in groups in a second, of all groups: half of what presence may, which it must not crowd out. */
  groupTypingTellsPerSecondMax: 5_000,
  /** Mailbox of a presence actor; beyond it a connection's signals are lost and its questions refused. */
  presenceMailboxMax: 8_192,
  /** Messages that wait for a presence actor, and operations that wait for the commit of its shard, from which on presence is shed. */
  presenceShedCount: 2_048,
  presenceShedQueueCount: 8_192,
  /** Pause asked of a client whose question was shed. */
  presenceRetrySeconds: 5,
  /** People kept in memory by one shard while they are neither there nor watched. */
  presenceCacheMax: 20_000,
  /** Changes of privacy under way on one shard. */
  presenceChangesMax: 1_024,
  /** How often what was put off is told; how often the minutes of all are written, and how many people's in one commit. */
  presenceTickMs: 1_000,
  presenceSaveMs: 60_000,
  presenceSaveCountMax: 4_096,
  /** Somebody who stays is written this often: what a crash may take from "last seen". */
  presenceRefreshMinutes: 60,
  /** Messages of one connection to groups: above a person, and each becomes up to 1,024 deliveries. */
  groupMessagesPerSecondMax: 20,
  groupMessagesBurstMax: 40,
  /** Buckets of these that a worker keeps of connections that have ended: each is full again after two seconds, and who floods comes back sooner. */
  groupBucketsKeptMax: 10_000,
  /** Changes of a group that are kept for members who missed them: months of a large group. */
  groupChangesKept: 64,
  /** Bytes of changes in one answer: with its addresses it fits a message of 16 KiB. */
  groupChangesBytesMax: 15_360,
  /** Accepted messages of one group that are not in every shard's inboxes yet. Beyond it, submissions get APP_OVERLOADED. */
  groupOutgoingCountMax: 256,
  /**
   * The same once something of the group has been outgoing for `groupStuckMs` to a shard that nobody serves, as behind a cut between data centres: what waits for it
   * is in no queue but here.
   */
  groupAwayCountMax: 4_096,
  /** What is outgoing of all groups of one shard, in memory. Beyond it a group may have one message on its way, so those whose members are all there go on. */
  groupOutgoingBytesMax: 67_108_864,
  /** What an outgoing message takes beyond its ciphertext: its record and what is noted for each shard. */
  groupOutgoingOverheadBytes: 1_024,
  /**
   * What is outgoing for so long stands before a shard that is away: then what waits for it is refused, for its senders' connections must not wait for an answer
   * until it is back. Longer than a take-over, shorter than a connection waits.
   */
  groupStuckMs: 5_000,
  /** Submissions to one group that wait for a change to reach every shard; the same beyond it. */
  groupHeldCountMax: 1_024,
  /** What was sent to a shard and is not confirmed after so long is sent again: its actor was restarted, or its disk was full. */
  groupRetryMs: 1_000,
  /** Changes by which somebody has left, and of which the presence of the shard has not been told, because it was full or being restarted. */
  groupLeaversUntoldMax: 1_024,
  /** Groups kept in memory by one shard; those with work under way stay. */
  groupCacheMax: 2_000,
  /** Groups of which a shard remembers the last place that it took; one that it forgot is sent again from where it confirmed. */
  groupPlacesMax: 20_000,
  /** Bodies of groups that a shard remembers, so that pushing and counting needs no read. */
  groupBodiesCacheMax: 1_024,
  /**
   * Connections that are handed what groups push at a time, the pause between two such slices, and the share of those that wait which a slice is at least.
   * A message to 256 members takes some fifteen milliseconds on two workers, one to 1,024 forty.
   */
  groupSliceCount: 8,
  groupSlicePauseMs: 1,
  groupSliceShare: 16,
  /** Connections that are told how far members of a group have come; the one that asked longest ago makes room. */
  groupWatchersMax: 32,
  /** Receipts of a group are gathered for so long: a message to 1,024 members brings two or three stanzas and not a thousand. */
  groupReceiptsPauseMs: 500,
  /** Groups that one account may create in an hour. */
  groupCreationsPerHourMax: 50,
  /** Accounts whose creations a shard remembers; the one that created longest ago makes room. */
  groupCreatorsMax: 100_000,
  /** One-time pre-keys held for a device. */
  preKeyCountMax: 200,
  /** One-time KEM pre-keys held for a device: 1.6 KB each on the disk, so a million devices that fill it take 52 GB. */
  kemPreKeyCountMax: 32,
  /** Devices of an account: the primary one and four linked. Each message to it is encrypted for each, within 16 KiB. */
  accountDevicesMax: 5,
  /** A device waits this long to be linked: long enough to find the other phone, short enough for a code on a screen. */
  linkAgeMsMax: 300_000,
  /** Ids that are drawn for a link until one is kept on this node: of three nodes one is missed by all with 1 in 400,000. */
  linkDrawsMax: 32,
  /** Devices that wait on one worker, with their keys: 6 KB each, 12 MB in all. */
  pendingLinksMax: 2_000,
  /** Pause asked of a device when as many wait. */
  linkRetrySeconds: 30,
  /** Verification: life of a code, tries for one code, pause between two codes for one number. */
  codeAgeMsMax: 300_000,
  codeTriesMax: 5,
  codePauseMsMin: 30_000,
  /** Verifications pending on one shard; the oldest makes room. */
  pendingCodesMax: 100_000,
  /** Pause asked of a client when the store is full. */
  storeFullRetrySeconds: 5,
  /** After a refused commit the disk is left alone for this long; submissions are refused meanwhile. */
  storeFullPauseMs: 1_000,
  /** Ciphertext of one medium: a file of 128 MiB, padded and sealed, and room for formats to come. */
  mediaBytesMax: 142_606_336,
  /** Media that one account may upload in a day, refilled steadily: seven of the largest, or a thousand photos. */
  mediaDayBytesMax: 1_073_741_824,
  /** Accounts whose quota a worker remembers; the one that asked longest ago makes room. */
  mediaQuotaAccountsMax: 100_000,
  /** Quotas are saved this long after one was used: what a killed node forgets of them. */
  mediaQuotaSaveMs: 30_000,
  /** Only accounts that have used as much are saved: the others get it back by a restart, and the file stays small. */
  mediaQuotaSavedBytesMin: 67_108_864,
  /** Unfinished uploads of one account: what a client sends side by side, and some that it gave up. */
  openUploadsMax: 8,
  /** A ticket is good for this long; another is asked for in between, and the upload goes on under it. */
  mediaTicketAgeMs: 3_600_000,
  /** Media are deleted this long after their last byte came, as undelivered messages are. */
  mediaAgeMsMax: 2_592_000_000,
  /** An upload without progress for this long is given up. */
  uploadAgeMsMax: 86_400_000,
  /** Pause between two slices of a sweep, and between two rounds. */
  mediaSweepSliceMs: 100,
  mediaSweepRoundMs: 3_600_000,
  /** Bytes of the disk that media leave free: ten times what the inboxes keep, so that a flood of files never stops a message. */
  mediaDiskReserveBytes: 268_435_456,
  /** Uploads and downloads under way on one worker: times the buffers below, 128 MiB at most. */
  mediaTransferCountMax: 128,
  /** Bytes of an upload that wait for the disk before its socket is read no further; one read of the socket may add 512 KiB. */
  mediaIntakeBytesMax: 262_144,
  /** Bytes of a refused upload that are read on, so that the client hears why; beyond it the connection is closed. */
  mediaDiscardBytesMax: 4_194_304,
  /** Bytes read from the disk at a time for a download: the next are read when the socket has taken these. */
  mediaReadBytes: 262_144,
  /** Media in an object store: bytes of a part, all but the last. Above the 5 MiB that S3 asks for; 10,000 parts would be 78 GiB. */
  mediaPartBytes: 8_388_608,
  /** Connections of one worker to the object store: one for each transfer under way. */
  objectStoreSocketsMax: 128,
  /** A request to the object store in which nothing moves for this long has failed. */
  objectStoreIdleMs: 10_000,
  /** Attempts at one request, and the pause before the second; each further one waits twice as long, less chance. */
  objectStoreAttemptsMax: 4,
  objectStorePauseMs: 200,
  /** Bytes of an answer of the object store that is not a medium: a page of a listing has under 100 KiB. */
  objectStoreAnswerBytesMax: 1_048_576,
  /** Objects looked at in one slice of a sweep, and removals of it side by side. */
  mediaSweepKeysMax: 200,
  mediaSweepParallelMax: 8,
  /** An object stays for so long after its medium has expired: for those who are reading it, 136 MiB at 16 KB a second. */
  mediaObjectGraceMs: 10_800_000,
  /** Pause asked of a client when the object store does not answer. */
  mediaUnavailableRetrySeconds: 5,
  /** Look-ups of phone numbers by one account in a day, refilled steadily: a full address book, and no crawl. */
  contactsPerDayMax: 1_000,
  /** Key bundles fetched by one account: a group of the largest size at once and as many again, and so many in a day. */
  bundlesBurstMax: 2_048,
  bundlesPerDayMax: 2_048,
  /** Messages reported by one account in a day. */
  reportsPerDayMax: 20,
  /** Accounts whose buckets a worker or shard remembers; the one that was used longest ago makes room. */
  quotaAccountsMax: 100_000,
  /** Bundles of one target for one requester: a first contact and some repairs; then one in ten minutes. */
  bundlesOfOneTargetMax: 6,
  bundleOfOneTargetMs: 600_000,
  /** One-time pre-keys of one target for everybody together: half of what it may hold, then one a minute. */
  oneTimeKeysBurstMax: 100,
  oneTimeKeyMs: 60_000,
  /** Pairs of requester and target that a shard remembers, and targets. */
  bundlePairsMax: 200_000,
  /** Conversations begun by one account in a day, in each shard: two groups of the largest size at once. */
  firstContactsBurstMax: 4_096,
  firstContactsPerDayMax: 4_096,
  /** Messages of a stranger to an account that asks, until it is accepted: enough to say who one is. */
  strangerMessagesMax: 5,
  /** Pause asked of a stranger who has said as much: waiting helps when a person has decided. */
  strangerRetrySeconds: 3_600,
  /** Decisions of one account about others, and how many of them one answer holds. */
  relationsMax: 10_000,
  relationsPageMax: 500,
  /** Changes that wait for the disk on one shard. */
  relationsQueueMax: 1_024,
  /** Reports that a shard keeps; the oldest makes room: 20 MB and, with all the evidence allowed, 900 MB. */
  reportCountMax: 100_000,
  /** A device that asked for notices is told of its stock of pre-keys only below this: the first keys taken are no news. */
  preKeyNoticeCountMax: 100,
  /** A device that has acknowledged nothing for this long while something waits is woken; and a wake-up is tried again after it. */
  wakeAfterMs: 60_000,
  /** A device that stays silent is woken again by something new after this long: a push may have been lost. */
  wakeAgainMs: 86_400_000,
  /** Tries of one wake-up, and the longest pause that a push service may ask for between two. */
  wakeTriesMax: 5,
  wakePauseMsMax: 3_600_000,
  /** Wake-ups of one shard that are under way at push services; each is a request of some kilobytes. */
  wakeUpsUnderWayMax: 64,
  /** Silent devices that a shard has in mind, and woken ones: 150 bytes each. Beyond it they are woken by a later message. */
  silentDevicesMax: 200_000,
  /** Connected devices looked at for silence in one look, and the pause between two: 80,000 within twenty seconds. */
  silenceLookCountMax: 4_096,
  silenceLookMs: 1_000,
  /** How long a push service keeps a wake-up for a device that it cannot reach: as long as messages wait here. */
  wakeTtlSeconds: 2_419_200,
  /** A request to a push service without an answer for this long has failed. */
  pushTimeoutMs: 10_000,
  /** Bytes read of an answer of a push service; the reason stands at its beginning. */
  pushAnswerBytesMax: 4_096,
  /** Push services for which a token is kept. */
  pushOriginsMax: 256,
  /** Age of a VAPID token: it is good for twice as long, and at most a day is allowed. */
  vapidAgeMsMax: 21_600_000,
  /** Age of a token for APNs, which takes those from 20 to 60 minutes. */
  apnsTokenAgeMs: 2_400_000,
  /** An access token for FCM is renewed so long before its end. */
  accessTokenMarginMs: 300_000,
  /** How long a call between actors may take before the caller gives up. */
  callTimeoutMs: 5_000,
} as const;

function assertRelations(): void {
  const broken: string[] = [];
  if (LIMITS.ciphertextBytesMax >= LIMITS.messageBytesMax) broken.push('ciphertext fits a message');
  if (LIMITS.messageBytesMax > LIMITS.inboundBytesBurstMax) broken.push('a message fits the bucket of bytes');
  if (LIMITS.windowBytesMax * 2 > LIMITS.backpressureBytesMax) broken.push('window fits the socket buffer twice');
  if (LIMITS.loginsPerSecondMin > LIMITS.loginsPerSecondStart) broken.push('the first rate is within its bounds');
  const openingsMax = LIMITS.loginsPerSecondMax * LIMITS.loginQueueSeconds;
  if (openingsMax > LIMITS.openingMailboxMax) broken.push('who is admitted at once is started');
  if (LIMITS.signatureTokens >= LIMITS.loginsPerSecondMin) broken.push('a signature fits the slowest rate');
  if (LIMITS.resumeTicketRenewMs >= LIMITS.resumeTicketAgeMs) broken.push('a new ticket is not renewed at once');
  if (LIMITS.windowCountMax >= LIMITS.connectionMailboxMax) broken.push('window fits the mailbox');
  if (LIMITS.aheadConversationCountMax * LIMITS.aheadPageCountMax > LIMITS.windowCountMax)
    broken.push('what comes ahead fits the window');
  if (LIMITS.inboxPruneBytes + LIMITS.commitBytesMax > LIMITS.inboxBytesMax) broken.push('a pruned inbox has room');
  if (LIMITS.gapCountMax > WIRE_LIMITS.gapsMax) broken.push('the gaps of a record fit an answer');
  if (LIMITS.fruitlessCountMax >= LIMITS.undeliverableCountMax) broken.push('one at a time comes before aside');
  if (LIMITS.ciphertextBytesMax > LIMITS.pushBytesMax) broken.push('a ciphertext fits a push');
  if (LIMITS.pushBytesMax * 2 > RUNTIME_LIMITS.workerPacketBytesMax)
    broken.push('a push fits a packet between threads');
  if (LIMITS.commitOperationsMax > LIMITS.commitQueueMax) broken.push('commit fits the queue');
  if (LIMITS.outboxDeviceBytesMax > LIMITS.outboxShardBytesMax || LIMITS.outboxShardBytesMax > LIMITS.outboxBytesMax)
    broken.push('a device fits what waits for a shard, and that an outbox');
  if (LIMITS.outboxDeviceCountMax > LIMITS.outboxCountMax) broken.push('the messages of a device fit an outbox');
  if (LIMITS.presenceShedCount >= LIMITS.presenceMailboxMax) broken.push('presence is shed before it is refused');
  if (LIMITS.groupTypingWatchersMax * LIMITS.groupTypingBurstMax > LIMITS.groupTypingTellsPerSecondMax)
    broken.push('one group does not take what is told of all');
  if (LIMITS.groupOutgoingCountMax > LIMITS.groupAwayCountMax)
    broken.push('a group behind a shard that is away goes on for longer than one that floods');
  if (LIMITS.presenceShedQueueCount >= LIMITS.commitQueueMax) broken.push('presence is shed before messages');
  if (LIMITS.mediaBytesMax > LIMITS.mediaDayBytesMax) broken.push('the largest medium fits the quota of a day');
  if (LIMITS.mediaPartBytes < 5_242_880) broken.push('a part is as large as S3 asks for');
  if (LIMITS.objectStoreSocketsMax < LIMITS.mediaTransferCountMax) broken.push('each transfer has its connection');
  if (LIMITS.vapidAgeMsMax * 2 >= 86_400_000) broken.push('a VAPID token ends within a day');
  if (LIMITS.oneTimeKeysBurstMax > LIMITS.preKeyCountMax) broken.push('strangers cannot take all that a device holds');
  if (LIMITS.mediaTicketAgeMs > LIMITS.uploadAgeMsMax) broken.push('a ticket ends before its upload');
  if (LIMITS.linkAgeMsMax > LIMITS.loginMsMax) broken.push('a link outlives no connection that waits for it');
  if (broken.length > 0) throw new RangeError(`limits contradict each other: ${broken.join(', ')}`);
}
assertRelations();
followLimits(LIMITS);

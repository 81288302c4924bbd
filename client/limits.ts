/**
 * Every bound of the client, its unit in the name and its reason beside it. Relations between them are asserted when
 * this file loads, so a changed number that breaks another one fails before the first test.
 */

/** The bounds of the SDK. Constant: a caller who needs another value needs another design, or an option. */
export const LIMITS = {
  /** Bytes of text in one message, UTF-8. Two recipient devices must fit into a 16,384-byte frame, also while the sessions begin. */
  textBytesMax: 4_096,
  /** Content is padded to one of these lengths, so that its length tells an observer at most 2.6 bits: most chat fits the
   *  first. The largest holds the longest text with a quotation, and three devices' worth of it fit into a frame,
   *  two where their sessions begin. */
  contentBucketsBytes: [160, 320, 640, 1_280, 2_560, 4_480],
  /** Bytes of the excerpt that a reply carries of its target. */
  quoteBytesMax: 120,
  /** Bytes of a reaction: the longest emoji sequences in use have 35. */
  emojiBytesMax: 64,
  /** Messages that one receipt names. */
  receiptTargetCountMax: 64,
  /** One's own message may be edited for a quarter of an hour, and deleted for everyone for two days. */
  editWindowMs: 900_000,
  deleteWindowMs: 172_800_000,
  /** The longest disappearing timer: a year. Beyond it "for good" is the honest word. */
  timerSecondsMax: 31_622_400,
  /** Longest wait for the next message to forget; longer ones are waited for in steps, since timers end at 2^31 ms. */
  expiryStepMsMax: 86_400_000,
  /** Bytes of encoded content accepted from a peer; a frame cannot carry more. */
  contentBytesMax: 16_384,

  /** Characters of a passphrase for a backup. Less is guessed too soon, whatever scrypt costs. */
  passphraseLengthMin: 12,
  /** Bytes of one key and of one value in a backup: four times the largest record that is backed up. */
  backupKeyBytesMax: 256,
  backupValueBytesMax: 65_536,
  /** Bytes of a whole backup; a million texts have some 200 MB. */
  backupBytesMax: 2_147_483_648,
  /** Records written to the store at a time while restoring. */
  restoreGroupCountMax: 512,

  /** Messages sent in one conversation and not yet acknowledged. 16 hides a round trip of 50 ms at 300 messages/s, and
   *  keeps the echo of one refusal (each later message comes back out of order) below the server's patience. */
  flightCountMax: 16,
  /** Messages of one conversation that have not come and to which something is to be done; the longest waiting goes first. */
  waitingMessageCountMax: 64,
  /** What is to be done to one of them; the newest are kept. */
  waitingEffectCountMax: 16,
  /** How long the server may take to show the list that names a new device, before it counts as one that no list names. */
  vouchMs: 30_000,
  /** Entries waiting in the outbox over all conversations: about 10 MB of memory at common sizes. */
  outboxCountMax: 10_000,
  /** Drafts journalled by one store write. Larger groups save no more flushes worth having. */
  draftGroupCountMax: 64,
  /** Refusals of one conversation in a row, without an acknowledgement between, before its device list is given up. */
  renewalCountMax: 4,

  /** Incoming messages decrypted and stored by one synced write, and acknowledged by one `<ack seq>`. */
  intakeGroupCountMax: 128,
  /** Messages received and not yet stored. Beyond it the connection is dropped: the server keeps what is not
   *  acknowledged and sends it again, which is the only flow control a browser's WebSocket leaves us. */
  intakeQueueCountMax: 4_096,

  /** Messages of one gap that are marked as lost in the history: the last ones, which a person may look at. */
  lostNotedCountMax: 1_000,
  /** Events waiting for a slow reader of `events()`; the oldest go first, and the reader is told how many. */
  eventQueueCountMax: 1_024,

  /** One-time pre-keys made at registration, and at most in one request: the protocol's bound. */
  preKeyCountMax: 100,
  /** Fewer than this left at the server and the client uploads more. */
  preKeyCountMin: 20,

  /**
   * One-time KEM pre-keys kept at the server. Each is 1.6 KB there and on the way, so there are sixteen of them to a hundred
   * of the small ones: 26 KB in two requests after registration. One goes with each new correspondent; when more than sixteen come
   * between two logins, the last-resort key serves the rest, which costs them forward secrecy until it is rotated, no more.
   */
  kemPreKeyCountMax: 16,
  /** Fewer than this left and the client uploads more: eight, so that a request goes out full. */
  kemPreKeyCountMin: 9,
  /** KEM pre-keys in one request: the protocol's bound. */
  kemPreKeyUploadCountMax: 8,
  /** Age at which the signed and the last-resort pre-key are replaced: a week bounds what either one's theft gives away. */
  signedPreKeyAgeMsMax: 604_800_000,
  /** How often a client that stays connected looks at the age of its signed pre-key. */
  rotationLookMs: 86_400_000,
  /** Signed pre-keys kept with their last-resort keys, the present one among them: offers of five weeks ago are readable. */
  signedPreKeyCountMax: 5,
  /** What the offer of a new session adds to a message: ids, keys, and a KEM ciphertext of 1,568 bytes. */
  offerBytesMax: 2_048,

  /** Presence and subscriptions are said again this often: the server may lose them when it is busy. */
  presenceRepeatMs: 300_000,
  /** A message of somebody of whom nothing is known makes the client ask again, this often at most. */
  presenceAskAgainMs: 30_000,
  /** A person who goes on typing is said to once in this time, and to have stopped after this long without a key. */
  typingRepeatMs: 5_000,
  typingIdleMs: 6_000,
  /** A peer is shown as typing for this long after they last said so: three of their repetitions. */
  typingShownMs: 15_000,

  /** Messages of one conversation that are kept for sending once more. A peer who loses its session notices at the next one. */
  keptCountMax: 200,
  /** And for how long: a phone that was off for a holiday still heals. */
  keptAgeMsMax: 1_209_600_000,
  /** Messages that one request asks for. */
  retryNumberCountMax: 32,
  /** Pause between two requests to one peer, and before one is repeated: spoiled ciphertexts must not become a flood. */
  retryPauseMs: 600_000,
  /** Requests for one message. After that its placeholder stays. */
  retryTryCountMax: 2,

  /** Changes of a group that are kept ahead of the one that we know: as many as the server keeps. */
  groupChangesAheadMax: 64,
  /** Hashes of passed changes that are kept to be compared with what members say: as many. */
  groupHeadsMax: 64,
  /** Messages of one device to a group that are kept unread, for a key that has not come: as many as its author keeps. */
  groupUnreadCountMax: 200,
  /** Attempts at a change that others are ahead of, and at getting what is missing, in a row. */
  groupTryCountMax: 5,
  /**
   * Refusals of one group in a row because of its epoch, and failures to get the changes since, before its messages are given up:
   * about two minutes with a server that has the changes and does not hand them out.
   */
  groupRenewalCountMax: 12,
  /** How long a message to a group waits for the keys that go before it; who has none by then heals. */
  groupHandOutMs: 5_000,
  /** A message whose chain has not come is asked for after this time: the chain may be on its way. */
  groupAskDelayMs: 10_000,
  /** Bytes of a group's name. */
  groupNameBytesMax: 256,
  /** Bytes of a roster that goes with an invitation, which must fit a content: some 450 members. Others ask the server for it. */
  groupInviteRosterBytesMax: 3_800,
  /** Admins whom a link names: one of them has to come online to let somebody in, and each is asked. */
  groupLinkAdminCountMax: 8,
  /** Numbers of messages in groups that encrypt for each device begin here, so that they name no other message. */
  pairwiseNumberBase: 1_099_511_627_776,

  /** Bytes of one upload request. Lost at most once by a cut, and held in memory; large enough that flushes do not matter. */
  mediaSliceBytes: 1_048_576,
  /** A slice that takes longer is sent again from where the server is: 17 KB/s, the least that the server bears with. */
  mediaRequestTimeoutMs: 60_000,
  /** A download in which nothing came for this long is taken up anew. */
  mediaStallMs: 30_000,
  /** Attempts in a row that move nothing before a transfer gives up: about four minutes of a lost network. */
  mediaSetbackCountMax: 12,
  /** The longest pause that a server may ask of a request that is repeated by itself; a longer one is the caller's to decide. */
  requestPauseMsMax: 120_000,

  /** Bytes of the name that a new device gives itself in its code. */
  linkNameBytesMax: 32,
  /** Characters of a typed code: 160 at most, and as many blanks as people like. */
  linkCodeLengthMax: 512,
  /** Contacts that a new device starts with: 9 KB of the one stanza that brings them. Others are looked up when they are needed. */
  linkContactCountMax: 200,

  /** A piece of a transferred history is sealed as soon as it is so long: some 1,000 texts; one record more may go in. */
  transferChunkBytes: 262_144,
  /** The longest that is taken. */
  transferChunkBytesMax: 524_288,
  /** A request for the history that nobody has granted for so long has expired; so has a transfer that stands still for so long. */
  transferAskMsMax: 86_400_000,
  transferStallMsMax: 604_800_000,
  /** What was granted holds for so long: as long as the server keeps what is said about it. */
  transferGrantMsMax: 2_592_000_000,
  /** Pause before a piece is tried again for which the network was missing. */
  transferRetryMs: 10_000,
  /** How often a piece is asked for anew that was gone or damaged when it was fetched. */
  transferLossCountMax: 3,
  /**
   * Local numbers of a linked device begin here: below is room for the history from before the linking, newest first, so that it stands
   * before everything that has come since.
   */
  linkedOrdinalBase: 1_099_511_627_776,

  /** Requests open at one time; more wait their turn. */
  requestCountMax: 8,
  /** A request without an answer for this long fails; the connection is probably half open. */
  requestTimeoutMs: 15_000,

  /** From dialling to `<success>`. Generous: a server under a reconnect storm admits slowly. */
  handshakeTimeoutMs: 20_000,
  /** Silence after which the client asks `<ping>`. Below common idle timeouts of NAT boxes (60 s and more). */
  heartbeatQuietMs: 30_000,
  /** Silence after a `<ping>` that proves the connection dead. */
  heartbeatAnswerMs: 10_000,

  /** First step of the backoff. The delay is uniform in 0 to the step (full jitter), which spreads a herd best. */
  backoffBaseMs: 500,
  /** The longest pause before a reconnect that a server may ask for; more would let a lying one keep us away. */
  backoffFloorMsMax: 300_000,
  /** What the server holds of our pre-keys is asked for when it was last told so long ago: a login by ticket does not tell. */
  heldKeysAgeMsMax: 3_600_000,
  /** The question is put at a random time within this after the login: a thousand clients may have come back at once. */
  heldKeysAskMsMax: 60_000,
  /** Largest step. A server that was away for long is found again within a minute. */
  backoffStepMsMax: 60_000,
  /** Least pause after the server said that we ask too much (close 4429). */
  backoffRateLimitedMsMin: 5_000,
  /** A connection that was live for this long resets the backoff; a shorter one was part of the trouble. */
  backoffResetMs: 10_000,

  /** Least pause of a conversation after a retryable refusal that names no time. */
  pauseMsMin: 1_000,
  /** Longest pause of a conversation that the client chooses by itself. */
  pauseMsMax: 60_000,
  /** How long the echoes of a refused flight are awaited before the flight is sent again all the same. */
  settleTimeoutMs: 5_000,

  /** Bytes of frames gathered into one WebSocket message; the protocol's bound. */
  transportMessageBytesMax: 16_384,
  /** Records read by one scan of the store. */
  scanCountMax: 256,
} as const;

function assertRelation(holds: boolean, relation: string): void {
  if (!holds) throw new RangeError(`client/limits.ts: expected ${relation}`);
}

const largestBucketBytes: number = LIMITS.contentBucketsBytes.at(-1)!;
assertRelation(largestBucketBytes * 3 < LIMITS.transportMessageBytesMax, 'three devices in one message');
assertRelation(LIMITS.textBytesMax + LIMITS.quoteBytesMax + 200 < largestBucketBytes, 'the longest reply in a bucket');
assertRelation(largestBucketBytes <= LIMITS.contentBytesMax, 'what we write to be read by us');
assertRelation(LIMITS.contentBytesMax * 4 <= LIMITS.backupValueBytesMax, 'every history record in a backup');
assertRelation(LIMITS.editWindowMs <= LIMITS.deleteWindowMs, 'what can be edited to be deletable');
assertRelation(
  2 * (largestBucketBytes + LIMITS.offerBytesMax) < LIMITS.transportMessageBytesMax,
  'two devices in one message while their sessions begin',
);
assertRelation(LIMITS.groupInviteRosterBytesMax + 300 < largestBucketBytes, 'a roster within an invitation');
assertRelation(LIMITS.groupUnreadCountMax <= LIMITS.keptCountMax, 'what is kept unread to be kept by its author');
assertRelation(
  LIMITS.transferChunkBytes + 4 * LIMITS.contentBytesMax < LIMITS.transferChunkBytesMax,
  'a piece with its longest last record to be taken',
);
assertRelation(LIMITS.flightCountMax <= LIMITS.outboxCountMax, 'a flight within the outbox');
assertRelation(LIMITS.typingRepeatMs < LIMITS.typingIdleMs, 'typing to be repeated before it ends');
assertRelation(2 * LIMITS.typingRepeatMs < LIMITS.typingShownMs, 'typing to be shown over a lost repetition');
assertRelation(LIMITS.preKeyCountMin < LIMITS.preKeyCountMax, 'the low-water mark below the refill');
assertRelation(LIMITS.kemPreKeyCountMin < LIMITS.kemPreKeyCountMax, 'the low-water mark of KEM keys below the refill');
assertRelation(LIMITS.intakeGroupCountMax <= LIMITS.intakeQueueCountMax, 'a group within the queue');
assertRelation(LIMITS.requestTimeoutMs < LIMITS.handshakeTimeoutMs, 'a request to fail before its handshake');

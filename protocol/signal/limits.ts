/**
 * Every bound of the Signal half of the protocol, with its unit in its name and its reason beside it.
 *
 * Three kinds stand here: bounds that both ends must share for messages to be readable (`forwardJumpCountMax` and the
 * caps on what is kept for late messages), bounds on what a stranger's bytes may cost us, and bounds that follow from
 * the others and are asserted at the end of the file. Read next: `errors.ts` (what a caller is told at a bound).
 */
export const LIMITS = {
  /**
   * Chain steps that one message may ask for. Each costs two HMACs, so a forged header costs at most about 0.1 s
   * natively; a correspondent who lost fewer messages than this in a row is still readable. Shared with other
   * implementations of session version 3.
   */
  forwardJumpCountMax: 25_000,

  /**
   * The same, where an archived session is tried for a ratchet key that it has never seen. All of the archive may be
   * tried for one message, and together it may cost a forger's victim no more than one full jump. A late message of a
   * superseded session is near the start of its chain, or in a known chain, for which the full jump holds.
   */
  archivedForwardJumpCountMax: 625,

  /** Unused message keys kept in one receiving chain, 36 B each at rest; beyond it the oldest are forgotten. */
  skippedKeyCountMax: 2_000,

  /** Receiving chains kept in one session: late messages survive this many turns of the ratchet, less one. */
  receiverChainCountMax: 5,

  /** Superseded sessions kept in one record: simultaneous initiation needs one, restored backups a few. */
  archivedSessionCountMax: 40,

  /** Content of one message before padding. Four times a transport message (16 KiB): media travel apart. */
  plaintextBytesMax: 65_536,

  /**
   * A whole ciphertext message: `plaintextBytesMax`, one block of padding, a KEM ciphertext, what a post-quantum ratchet may
   * add, and less than 496 bytes of headers.
   */
  messageBytesMax: 69_664,

  /** The trailer of a ratchet message of session version 3: HMAC-SHA-256 cut to 64 bits, as the recordings have it. */
  macBytes: 8,

  /** The same in session version 4, where no recording binds us: 128 bits, so that guessing is out of the question. */
  hybridMacBytes: 16,

  /**
   * The field that session version 4 keeps for a post-quantum ratchet: room for a key or a ciphertext of ML-KEM-1024, whole or
   * in pieces. Read, authenticated and ignored by this release.
   */
  postQuantumRatchetBytesMax: 2_048,

  /** 32 bytes of X25519 after a type byte. */
  publicKeyBytes: 33,
  privateKeyBytes: 32,
  signatureBytes: 64,

  /** ML-KEM-1024 (FIPS 203, table 3): the encapsulation key after a type byte, the seed d ‖ z, ciphertext, shared secret. */
  kemPublicKeyBytes: 1_569,
  kemSeedBytes: 64,
  kemCiphertextBytes: 1_568,
  kemSecretBytes: 32,

  /** Registration ids are 14-bit without 0 and the topmost few, as `docs/protocol.md` and other clients expect. */
  registrationIdMin: 1,
  registrationIdMax: 16_380,

  /** Pre-key ids that we hand out fit in 24 bits, as other implementations expect; what we read may be any uint32. */
  preKeyIdMin: 1,
  preKeyIdMax: 0xff_ffff,

  /** One-time pre-keys made in one call: each costs a scalar multiplication, and the server holds 200 for a device. */
  oneTimePreKeyBatchCountMax: 200,

  /** KEM pre-keys made in one call: each costs a key generation of 0.7 ms in plain JavaScript and a signature. */
  kemPreKeyBatchCountMax: 32,

  /** Counters, pre-key ids and registration ids are uint32 on the wire. A chain that reached this end sends no more. */
  uint32Max: 0xffff_ffff,

  /**
   * Plaintext of one chunk of a sealed stream, as a power of two: 64 KiB. Measured (Node 20.20, one core of an AMD EPYC,
   * November 2026): see `MEDIA.md`. A reader holds one chunk and its tag, whatever the size of the whole.
   */
  streamChunkExponent: 16,

  /** What a reader accepts: 4 KiB, below which tags and calls cost more than the text, to 1 MiB, which bounds its memory. */
  streamChunkExponentMin: 12,
  streamChunkExponentMax: 20,

  /** Version, chunk exponent, salt and key commitment. */
  streamHeaderBytes: 50,
  streamSaltBytes: 16,
  streamKeyBytes: 32,
  gcmTagBytes: 16,
  gcmNonceBytes: 12,
  digestBytes: 32,

  /** One media file, 2 GiB: 2^15 chunks, far from the 2^32 that one AES-GCM key may seal. */
  mediaBytesMax: 2_147_483_648,

  /** Files up to this size are equally long when encrypted: voice notes, stickers and thumbnails look alike in groups. */
  mediaBucketBytesMin: 4_096,

  /** Ciphertext that a resumed upload holds back until the part sent before has been checked: 64 chunks. */
  mediaResumeGapBytesMax: 4_195_328,

  /** A backup's key in digits: 212 bits, sixteen groups of four. */
  backupDigitCount: 64,
  backupSaltBytes: 16,

  /** What a backup's header may ask of scrypt: from 16 MiB up to 256 MiB and four passes, two seconds natively. */
  scryptCostLog2Min: 14,
  scryptCostLog2Max: 18,
  scryptBlockSizeMax: 8,
  scryptParallelismMax: 4,

  /** One stored skipped key: a 4-byte counter and a 32-byte seed. */
  skippedKeyBytes: 36,

  /** A receiving chain at rest without its skipped keys: ratchet key, chain key, counter and their field headers. */
  receiverChainHeadBytesMax: 96,

  /** A session at rest without its receiving chains: five keys, three secrets, six numbers, a KEM ciphertext, field headers. */
  sessionHeadBytesMax: 1_984,

  /** Names a device's sender keys for one group; a UUID in other implementations. */
  distributionIdBytes: 16,

  /** Chains of one device that are remembered in one group: late messages survive this many rotations, less one. */
  senderKeyStateCountMax: 5,

  /**
   * Messages under one chain before it is rotated. A chain does not heal, so this bounds what a stolen key reads;
   * handing the next one to the largest group costs about what these messages cost. Far below `forwardJumpCountMax`:
   * no honest message is ever too far.
   */
  senderKeyMessageCountMax: 1_000,

  /** Age at which a chain is rotated however little was sent: a week, as signed pre-keys are. */
  senderKeyAgeMsMax: 604_800_000,

  /** Members of a group: the list must be one answer of the server. */
  groupMemberCountMax: 1_024,

  /** Devices in one account: a primary and four linked ones, the owner's of a phone, two computers, a tablet, a spare. */
  accountDeviceCountMax: 5,

  /** Devices to which one sender key goes. */
  groupDeviceCountMax: 5_120,

  /** The name by which a caller tells devices apart: user id, device id, creation and their separators. */
  deviceNameBytesMax: 64,

  /** A device's own sender key at rest has about 140 bytes. */
  senderKeyBytesMax: 256,

  /** A chain at rest without its skipped keys: id, two keys, two numbers, field headers. */
  senderKeyStateHeadBytesMax: 128,

  /** What is remembered of one device in one group, every chain full. A usual one has 110 bytes for each chain. */
  senderKeyRecordBytesMax: 400_000,

  /** To whom a chain went, at rest: every name with its field header. */
  distributionLedgerBytesMax: 400_000,

  /** A device list: an epoch, five keys with their ids, a hash and a signature take about 320 bytes. */
  deviceListBytesMax: 1_024,

  /** The name of an account that a device list or safety number is bound to: a user id or a phone number. */
  accountNameBytesMax: 64,

  /** A whole record at rest, every session full: only a correspondent who tries gets there. A usual one has 400 bytes. */
  recordBytesMax: 15_000_000,
} as const;
Object.freeze(LIMITS);

const chainBytesMax = LIMITS.receiverChainHeadBytesMax + LIMITS.skippedKeyCountMax * LIMITS.skippedKeyBytes;
const sessionBytesMax = LIMITS.sessionHeadBytesMax + LIMITS.receiverChainCountMax * chainBytesMax;

/** Bounds that follow from others. Wrong here means every record or message near a bound is refused by ourselves. */
const relations: readonly [string, boolean][] = [
  [
    'a message holds the largest plaintext beside all that may stand in front of it',
    LIMITS.messageBytesMax >=
      LIMITS.plaintextBytesMax + 16 + LIMITS.kemCiphertextBytes + LIMITS.postQuantumRatchetBytesMax + 496,
  ],
  [
    'a record holds every session full',
    LIMITS.recordBytesMax >= (LIMITS.archivedSessionCountMax + 1) * sessionBytesMax,
  ],
  [
    'the archive together is tried no further than one chain',
    LIMITS.archivedSessionCountMax * LIMITS.archivedForwardJumpCountMax <= LIMITS.forwardJumpCountMax,
  ],
  [
    'the chunks that we write are read by us',
    LIMITS.streamChunkExponentMin <= LIMITS.streamChunkExponent &&
      LIMITS.streamChunkExponent <= LIMITS.streamChunkExponentMax,
  ],
  [
    'a media file has fewer chunks than a key may seal',
    LIMITS.mediaBytesMax / 2 ** LIMITS.streamChunkExponentMin < 2 ** 32,
  ],
  [
    'a resumed upload may hold back 64 chunks of ours',
    LIMITS.mediaResumeGapBytesMax >= 64 * (2 ** LIMITS.streamChunkExponent + LIMITS.gcmTagBytes),
  ],
  [
    'what is known of a sender holds every chain full',
    LIMITS.senderKeyRecordBytesMax >
      LIMITS.senderKeyStateCountMax *
        (LIMITS.senderKeyStateHeadBytesMax + LIMITS.skippedKeyCountMax * LIMITS.skippedKeyBytes),
  ],
  [
    'every device of the largest group gets the key',
    LIMITS.groupDeviceCountMax >= LIMITS.groupMemberCountMax * LIMITS.accountDeviceCountMax &&
      LIMITS.distributionLedgerBytesMax > LIMITS.groupDeviceCountMax * (LIMITS.deviceNameBytesMax + 2),
  ],
  ['no honest group message is too far', LIMITS.senderKeyMessageCountMax < LIMITS.forwardJumpCountMax],
  ['what is kept can be jumped over', LIMITS.skippedKeyCountMax <= LIMITS.forwardJumpCountMax],
];
for (const [relation, holds] of relations) {
  if (!holds) throw new RangeError(`protocol/signal/limits.ts contradicts itself: ${relation}`);
}

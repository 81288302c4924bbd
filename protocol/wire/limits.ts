/**
 * Every bound of the wire format, with its unit in its name and its reason beside it.
 *
 * Encoder and decoder obey the same bounds, so what one end may write the other end will read. Widening a bound is a
 * new version of the format (FORMAT.md, "How the format grows"). The relations between bounds are asserted at the end.
 * Read next: `stanza.ts`.
 */

/** The bounds, shared by both directions. A type of the same name describes the object. */
export const LIMITS = {
  /**
   * A WebSocket message, all its frames together. The WebSocket library keeps a buffer of this size for a connection that ever
   * sent a fragmented message, so a million connections make this number 16 GB in the worst case; media go out of band.
   */
  messageBytesMax: 16_384,

  /** The length field in front of a stanza. Three bytes, so that a later transport may widen the bound without a new header. */
  frameHeaderBytes: 3,

  /** A stanza without its length field: a frame must fit into a message. */
  stanzaBytesMax: 16_381,

  /** Nesting; the root is at depth 1. The deepest stanza of version 1 is bundle > device > signed > key inside an iq: 5. */
  depthMax: 8,

  /** Attributes of one stanza. The richest of version 1 has 7. Small, because duplicates are found by comparing pairs. */
  attributesMax: 16,

  /** Children of one stanza: a group has at most 1,024 members, and its list must be one answer. */
  childrenMax: 1_024,

  /**
   * Stanzas in one frame, the root counted: a full list of children with one child each. A stanza of two bytes takes 54 of
   * heap, so a frame makes at most 0.1 MB, and a message full of such frames 0.44 MB (Node 20).
   */
  nodesMax: 2_049,

  /** A tag or an attribute name, which are ASCII. The longest word of the dictionary that can be a name has 15. */
  nameBytesMax: 32,

  /** A text value in UTF-8. The longest in use are the sentences of `<error text/>`; anything longer is content. */
  textBytesMax: 1_024,

  /** A packed value: its length is one byte. User ids have 15 characters, phone numbers up to 16. */
  digitsMax: 255,

  /** 2^53 - 1: integers are the ones that a JavaScript number holds exactly. */
  integerMax: 9_007_199_254_740_991,

  /** Message ids a client chooses, and they are kept in six bytes: at a thousand a second, enough for nine thousand years. */
  messageIdMax: 0xffff_ffff_ffff,

  /** Device ids are 1 to 127: a device fits into one byte of the login signature, and the top bit stays free. */
  deviceIdMax: 127,

  /** Envelopes of a message, devices of an answer: one for each device id. The message bound is reached earlier by long ones. */
  devicesMax: 127,

  /** One-time pre-keys in one request. A hundred make 4.2 KB, so an upload always fits into a message. */
  oneTimeKeysMax: 100,

  /** One-time KEM pre-keys in one request. Eight, a last-resort key and a signed pre-key make 15 KB: an upload fits a message. */
  kemKeysMax: 8,

  /** Users in each of the two lists of exceptions of an account's privacy. Both full make 6.7 KB. */
  privacyUsersMax: 256,

  /** A KEM pre-key element at most: 1,569 bytes of key, 64 of signature, their heads and the id. */
  kemElementBytesMax: 1_656,

  /** Devices of one bundle: with a KEM pre-key each takes 1.9 KB, and the answer must be one stanza. */
  bundleDevicesMax: 8,

  /** Members in one stanza of receipts: with up to 20 bytes each they must fit, and a group of 1,024 takes two or three. */
  groupMarksMax: 512,

  /** A signed device list: five devices make 310 bytes; with a bundle of eight hybrid devices it still fits a stanza. */
  deviceListBytesMax: 1_024,

  /** Signal pre-key ids are 32-bit in the messages that name them. */
  preKeyIdMax: 0xffff_ffff,

  /** Signal registration ids are 14 bits, a few values at the top being reserved. */
  registrationIdMax: 16_380,

  /** Gaps of one conversation in an answer: what is lost in one piece is one gap. */
  gapsMax: 16,

  /** Decisions about others in one answer: some 13 KB. */
  relationsPageMax: 500,

  /** Evidence in a report: some texts with what signs them; media stay where they are. */
  reportBytesMax: 8_192,

  /** An error code such as APP_OUT_OF_ORDER. */
  errorCodeBytesMax: 64,

  /** Members of a group: a roster and the change that adds them all must each fit a stanza. */
  groupMembersMax: 1_024,

  /** Actions of one group change: create, add everybody but the author, and set info, link and policy. */
  groupActionsMax: 1_032,

  /** What members encrypt about their group: a name, a description, a picture's reference. */
  groupInfoBytesMax: 1_024,

  /** A group change: head, signature, every member added, and the largest of everything else. */
  groupChangeBytesMax: 12_288,

  /** A roster: head, link, info, every member. */
  groupRosterBytesMax: 9_472,

  /** Epochs are four bytes; one change a second uses them up in 136 years. */
  groupEpochMax: 0xffff_ffff,

  /** Times in a group change are six bytes of milliseconds. */
  groupTimeMax: 0xffff_ffff_ffff,
} as const;

/** The type of {@link LIMITS}. */
export type Limits = typeof LIMITS;

function assertRelation(holds: boolean, relation: string): void {
  if (!holds) throw new Error(`limits of protocol/wire contradict each other: ${relation}`);
}

assertRelation(LIMITS.frameHeaderBytes + LIMITS.stanzaBytesMax === LIMITS.messageBytesMax, 'a frame fits a message');
assertRelation(LIMITS.stanzaBytesMax < 1 << 14, 'content lengths fit the two-byte count');
assertRelation(LIMITS.childrenMax < 1 << 14, 'list lengths fit the two-byte count');
assertRelation(LIMITS.attributesMax < 1 << 6, 'the attribute count fits its six bits');
assertRelation(LIMITS.childrenMax * 2 + 1 <= LIMITS.nodesMax, 'a full list with one child each is allowed');
assertRelation(LIMITS.digitsMax < 1 << 8, 'the length of packed digits fits its byte');
assertRelation(LIMITS.nameBytesMax < 1 << 8, 'the length of a name fits the one-byte text length');
assertRelation((LIMITS.kemKeysMax + 1) * LIMITS.kemElementBytesMax + 512 <= LIMITS.stanzaBytesMax, 'an upload fits');
assertRelation(
  LIMITS.bundleDevicesMax * (LIMITS.kemElementBytesMax + 256) + LIMITS.deviceListBytesMax <= LIMITS.stanzaBytesMax,
  'a bundle fits a stanza',
);
assertRelation(LIMITS.groupMembersMax < LIMITS.groupActionsMax, 'everybody is added at once');
assertRelation(
  92 + 64 + 9 * LIMITS.groupMembersMax + LIMITS.groupInfoBytesMax + 256 <= LIMITS.groupChangeBytesMax,
  'the change that adds everybody is no larger than a change may be',
);
assertRelation(
  82 + LIMITS.groupInfoBytesMax + 8 * LIMITS.groupMembersMax <= LIMITS.groupRosterBytesMax,
  'the largest roster is no larger than a roster may be',
);
assertRelation(LIMITS.groupChangeBytesMax + 256 <= LIMITS.stanzaBytesMax, 'a group change fits a stanza');
assertRelation(LIMITS.groupMarksMax * 24 <= LIMITS.stanzaBytesMax, 'a page of marks fits a stanza');
assertRelation(LIMITS.devicesMax <= LIMITS.deviceIdMax, 'devices have distinct ids');

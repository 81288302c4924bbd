/**
 * The wire protocol: stanzas, their binary form, and the messages they stand for. Imports nothing, runs anywhere.
 *
 *   bytes ──decodeMessage──▶ Stanza ──parseClientMessage / parseServerMessage──▶ ClientMessage / ServerMessage
 *   bytes ◀──FrameWriter──── Stanza ◀──…Stanza constructors────────────────────  fields
 *
 * Expected outcomes are returned: a `WireError` (plain data, see `isWireError`) in place of the result. Wrong calls throw.
 * Decoded bytes are borrowed from the input; `copyStanza` keeps them.
 *
 * Reading order: stanza.ts, FORMAT.md, limits.ts, tokens.ts, encode.ts, decode.ts, frame.ts, messages.ts; for groups
 * group-change.ts, group-roster.ts. The vocabulary of the protocol is docs/protocol.md.
 */

export { formatAddress, isDeviceId, isPhone, isUserId, parseAddress, type DeviceAddress } from './address.ts';
export { decodeStanza } from './decode.ts';
export { encode, encodedLength, encodeStanza } from './encode.ts';
export { isWireError, WIRE_ERRORS, wireError } from './errors.ts';
export type { WireError, WireErrorCode, WireErrorEntry } from './errors.ts';
export { idBeside, PARTITION_COUNT, partitionOf } from './partition.ts';
export { decodeMessage, eachStanza, FrameReader, FrameWriter } from './frame.ts';
export {
  decodeGroupChange,
  encodeGroupChange,
  GROUP_HASH_BYTES,
  groupChangeStatement,
  hashOfChange,
  hashOfGate,
  joinStatement,
  NO_HASH,
} from './group-change.ts';
export type {
  GroupAction,
  GroupActionKind,
  GroupChange,
  GroupLink,
  GroupMode,
  GroupRole,
  Sha512,
  SignedGroupChange,
} from './group-change.ts';
export { GROUP_REFUSALS, groupRefusal, isGroupRefusal } from './group-errors.ts';
export type { GroupRefusal, GroupRefusalCode, GroupRefusalEntry } from './group-errors.ts';
export {
  applyGroupChange,
  decodeRoster,
  draftGroupChange,
  encodeRoster,
  hashOfRoster,
  isMemberInRoster,
} from './group-roster.ts';
export type { GroupIntent, GroupRoster, GroupState } from './group-roster.ts';
export { LIMITS, type Limits } from './limits.ts';
export * from './messages.ts';
export { attribute, bytesOf, childrenOf, copyStanza, isChildren, NO_ATTRIBUTES } from './stanza.ts';
export type { Attributes, AttributeValue, Content, Stanza } from './stanza.ts';
export { DICTIONARY_VERSION } from './tokens.ts';

/**
 * The Blindbeam SDK, portable: browsers and Node. It uses web APIs only; network, disk, time and randomness are injected.
 *
 * ```ts
 * const client = await createClient({ url: 'wss://chat.example', store: memoryStore(), transport, clock, random });
 * await client.requestCode('+4915100000001');
 * await client.confirmCode('+4915100000001', '123456');
 * await client.connect();
 *
 * const message = await client.send('+4915100000002', 'hello'); // first check mark: on the server's disk
 * void message.delivered.then(() => console.log('second check mark'));
 *
 * for await (const received of client.messages()) {
 *   console.log(received.phone ?? received.from, received.text);
 *   await received.markRead();
 * }
 * ```
 *
 * In Node, `node/index.ts` fills in everything but address and store. Reading order: `client.ts` · `outbox.ts`,
 * `conversation.ts` · `inbox.ts`, `reader.ts` · `content.ts`, `effects.ts`, `composer.ts` · `groups.ts`, `group-book.ts`, `group-conversation.ts` · `media.ts` · `transfer.ts` · `sessions.ts` · `connection.ts` · `store.ts`, `journal.ts`, `layout.ts`.
 */

export { restoreBackup } from './backup.ts';
export type { BackupOptions, RestoreOptions } from './backup.ts';
export type { BackupManifest } from './backup-format.ts';
export { Client, createClient } from './client.ts';
export type { ClientOptions, ConversationInfo } from './client.ts';
export type { AccountInfo, Linking } from './enrolment.ts';
export type { TransportClose } from './close-reason.ts';
export type { ConnectionState } from './connection.ts';
export type { Clock, Random } from './environment.ts';
export { CLIENT_CODES, ClientError, codeOf, describeCode } from './errors.ts';
export type { ClientCode, CodeEntry, ErrorCode } from './errors.ts';
export type { ClientEvent, EventListener } from './events.ts';
export type { GroupName } from './group-layout.ts';
export type { GroupInfo, GroupMember, Groups } from './groups.ts';
export type { HistoryRange } from './history.ts';
export { cautiousIdentityPolicy } from './identities.ts';
export type { IdentityChange, IdentityPolicy } from './identities.ts';
export { LIMITS as CLIENT_LIMITS } from './limits.ts';
export { decodeLinkCode } from './linking-code.ts';
export type { LinkCode } from './linking-code.ts';
export type { OwnDevice } from './own-devices.ts';
export { memoryStore } from './memory-store.ts';
export type { Attachment } from './content-body.ts';
export type { MediaProgress, MediaSource, MediaTransferOptions, UploadOptions } from './media.ts';
export type { Fetch } from './media-http.ts';
export type { Reaction } from './history-layout.ts';
export type {
  HistoryItem,
  MemberState,
  MessageBody,
  MessageHead,
  MessageState,
  MessageTraits,
  OutgoingMessage,
  ReceivedMessage,
  SentMessage,
} from './messages.ts';
export { encodeQr, QR_QUIET_MODULES } from './qr-code.ts';
export type { QrCode, QrLevel, QrOptions } from './qr-code.ts';
export type { GroupTypist } from './group-typing.ts';
export type { PeerPresence } from './presence.ts';
export { Protection } from './protection.ts';
export type { Limit, PushInfo, PushTarget, Relation, StrangersPolicy } from './protection.ts';
export type { Standing } from './strangers.ts';
export type { PeerSafety } from './safety.ts';
export type { Durability, Store, StoreChange, StoreEntry, StoreRange, StoreSource } from './store.ts';
export type { HistoryRequestOptions } from './transfer-incoming.ts';
export type { TransferInfo, TransferState } from './transfer-layout.ts';
export type { Transport, TransportListener, TransportSocket } from './transport.ts';
export type { Audience, PrivacySettings, TypingState } from '../protocol/wire/index.ts';
export { generateBackupDigits, parseBackupDigits } from '../protocol/signal/index.ts';
export type { BackupSecret } from '../protocol/signal/index.ts';

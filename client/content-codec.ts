/**
 * The bytes of each kind of content. What the kinds mean: `content-body.ts`.
 *
 *   kind                  body, in this order
 *   1  text               text
 *   2  reply              name · quote, text · text
 *   3  reaction           name · emoji, text; empty takes the reaction back
 *   4  edit               name · text
 *   5  delete             name
 *   6  timer              seconds, uint; 0: messages stay
 *   7  attachment         locator, text · key, bytes · digest, bytes · size, uint · type, text · file name, text ·
 *                         caption, text · width, uint · height, uint · duration in ms, uint · thumbnail, bytes
 *   8  receipt            state, 1 byte: 1 delivered, 2 read, 3 viewed · count, uint · that many names
 *   9  sender key         group, text · distribution message, bytes · [epoch, uint · head of the group there, bytes]
 *   10 profile key        key, bytes
 *   11 retry              author's device, 1 byte · code, text · count, uint · that many message ids, uint
 *   12 resent             message id, uint · sentAt, uint · content, bytes: kind, 1 byte · flags, 1 byte · timer, uint · body
 *   13 sent              to, user id as text · their phone number, text, empty while unverified · message id, uint · sentAt, uint · content, bytes, as in 12: a message of the same account
 *   14 progress          to, text · sent, uint · delivered, uint · read, uint: message ids, of the sending device's messages to that user
 *   15 seen              sender's user id, text · sender's device, 1 byte · message id, uint: read up to there
 *   16 transfer request  transfer, bytes · to, 1 byte · version, uint: the history, to this device
 *   17 transfer chunk    transfer, bytes · to, 1 byte · number, uint · next, uint · last, 1 byte · messages, uint · total, uint · locator, text · key, bytes · digest, bytes · size, uint
 *   18 transfer pull     transfer, bytes · to, 1 byte · number, uint · cursor, uint
 *   19 transfer end      transfer, bytes · to, 1 byte · code, text; empty: all of it has come
 *   20 group invitation   group, text · epoch, uint · head, bytes · info key, bytes · roster, bytes; none where it is too long
 *   21 group retry        group, text · author's device, 1 byte · code, text · count, uint · that many message ids, uint
 *   22 group resent       group, text · message id, uint · sentAt, uint · content, bytes, as in 12
 *   23 in group           group, text · message id, uint · content, bytes, as in 12 · in newer writers sentAt, uint: a message of a
 *                         group that encrypts pairwise
 *   24 group knock        group, text · secret of a link, bytes
 *   25 decided            user id, text; empty for what holds for all strangers: ask the server what this account has decided
 *
 *   name                  author's user id, text · author's device, 1 byte · message id, uint · sentAt, uint
 *
 * Fields as in `record.ts`. A later release may append fields to a body: a reader ignores them.
 */

import { isUserId } from '../protocol/wire/index.ts';
import type {
  Attachment,
  ContentBody,
  ContentKind,
  GroupInviteBody,
  MessageName,
  ReceiptState,
  RetryBody,
  SenderKeyBody,
  TransferChunkBody,
  TransferHead,
} from './content-body.ts';
import { LIMITS } from './limits.ts';
import { byteLength, RecordReader, RecordWriter } from './record.ts';

/** How one kind is written and read. `read` answers zeros where the reader fails, and undefined for what makes no sense. */
interface BodyCodec<Body> {
  readonly number: number;
  write(writer: RecordWriter, body: Body): void;
  read(reader: RecordReader): Body | undefined;
}

type BodyOf<Kind extends ContentKind> = Extract<ContentBody, { readonly kind: Kind }>;

const RECEIPT_STATES: readonly ReceiptState[] = ['delivered', 'read', 'viewed'];

const KEY_BYTES = 32;

const CODECS: { readonly [Kind in ContentKind]: BodyCodec<BodyOf<Kind>> } = {
  text: {
    number: 1,
    write: (writer, { text }) => void writer.text(text),
    read: (reader) => ({ kind: 'text', text: reader.text() }),
  },
  reply: {
    number: 2,
    write: (writer, { target, quote, text }) => void writeName(writer, target).text(quote).text(text),
    read: (reader) => ({ kind: 'reply', target: readName(reader), quote: reader.text(), text: reader.text() }),
  },
  reaction: {
    number: 3,
    write: (writer, { target, emoji }) => void writeName(writer, target).text(emoji),
    read(reader) {
      const [target, emoji] = [readName(reader), reader.text()];
      return byteLength(emoji) <= LIMITS.emojiBytesMax ? { kind: 'reaction', target, emoji } : undefined;
    },
  },
  edit: {
    number: 4,
    write: (writer, { target, text }) => void writeName(writer, target).text(text),
    read: (reader) => ({ kind: 'edit', target: readName(reader), text: reader.text() }),
  },
  delete: {
    number: 5,
    write: (writer, { target }) => void writeName(writer, target),
    read: (reader) => ({ kind: 'delete', target: readName(reader) }),
  },
  timer: {
    number: 6,
    write: (writer, { seconds }) => void writer.uint(seconds),
    read(reader) {
      const seconds = reader.uint();
      return seconds <= LIMITS.timerSecondsMax ? { kind: 'timer', seconds } : undefined;
    },
  },
  attachment: { number: 7, write: writeAttachment, read: readAttachment },
  receipt: {
    number: 8,
    write(writer, { state, targets }) {
      writer.byte(RECEIPT_STATES.indexOf(state) + 1).uint(targets.length);
      for (const target of targets) writeName(writer, target);
    },
    read: readReceipt,
  },
  'sender-key': { number: 9, write: writeSenderKey, read: readSenderKey },
  'profile-key': {
    number: 10,
    write: (writer, { key }) => void writer.bytes(key),
    read(reader) {
      const key = reader.bytes();
      return key.length === KEY_BYTES ? { kind: 'profile-key', key } : undefined;
    },
  },
  retry: { number: 11, write: writeRetry, read: readRetry },
  resent: {
    number: 12,
    write: (writer, { number, sentAt, content }) => void writer.uint(number).uint(sentAt).bytes(content),
    read: (reader) => ({ kind: 'resent', number: reader.uint(), sentAt: reader.uint(), content: reader.bytes() }),
  },
  sent: {
    number: 13,
    write: (writer, { to, phone, number, sentAt, content }) =>
      void writer.text(to).text(phone).uint(number).uint(sentAt).bytes(content),
    read: (reader) => ({
      ...{ kind: 'sent', to: reader.text(), phone: reader.text(), number: reader.uint() },
      ...{ sentAt: reader.uint(), content: reader.bytes() },
    }),
  },
  progress: {
    number: 14,
    write: (writer, { to, sentId, deliveredId, readId }) =>
      void writer.text(to).uint(sentId).uint(deliveredId).uint(readId),
    read: (reader) => ({
      ...{ kind: 'progress', to: reader.text(), sentId: reader.uint() },
      ...{ deliveredId: reader.uint(), readId: reader.uint() },
    }),
  },
  seen: {
    number: 15,
    write: (writer, { user, device, id }) => void writer.text(user).byte(device).uint(id),
    read: (reader) => ({ kind: 'seen', user: reader.text(), device: reader.byte(), id: reader.uint() }),
  },
  'transfer-request': {
    number: 16,
    write: (writer, { transfer, to, version }) => void writer.bytes(transfer).byte(to).uint(version),
    read: (reader) => readTransfer(reader, (head) => ({ kind: 'transfer-request', ...head, version: reader.uint() })),
  },
  'transfer-chunk': { number: 17, write: writeTransferChunk, read: readTransferChunk },
  'transfer-pull': {
    number: 18,
    write: (writer, { transfer, to, number, cursor }) => void writer.bytes(transfer).byte(to).uint(number).uint(cursor),
    read: (reader) =>
      readTransfer(reader, (head) => ({
        ...{ kind: 'transfer-pull', ...head },
        ...{ number: reader.uint(), cursor: reader.uint() },
      })),
  },
  'transfer-end': {
    number: 19,
    write: (writer, { transfer, to, code }) => void writer.bytes(transfer).byte(to).text(code),
    read: (reader) => readTransfer(reader, (head) => ({ kind: 'transfer-end', ...head, code: reader.text() })),
  },
  'group-invite': { number: 20, write: writeInvite, read: readInvite },
  'group-retry': {
    number: 21,
    write: (writer, { group, ...retry }) => writeRetry(writer.text(group), { ...retry, kind: 'retry' }),
    read(reader) {
      const [group, retry] = [reader.text(), readRetry(reader)];
      return retry && { ...retry, kind: 'group-retry', group };
    },
  },
  'group-resent': {
    number: 22,
    write: (writer, { group, number, sentAt, content }) =>
      void writer.text(group).uint(number).uint(sentAt).bytes(content),
    read: (reader) => ({
      ...{ kind: 'group-resent', group: reader.text() },
      ...{ number: reader.uint(), sentAt: reader.uint(), content: reader.bytes() },
    }),
  },
  'in-group': {
    number: 23,
    write(writer, { group, number, content, sentAt }) {
      writer.text(group).uint(number).bytes(content);
      if (sentAt !== undefined) writer.uint(sentAt);
    },
    read(reader) {
      const [group, number, content] = [reader.text(), reader.uint(), reader.bytes()];
      const body = { kind: 'in-group', group, number, content } as const;
      return reader.remainingBytes === 0 ? body : { ...body, sentAt: reader.uint() };
    },
  },
  'group-knock': {
    number: 24,
    write: (writer, { group, secret }) => void writer.text(group).bytes(secret),
    read(reader) {
      const [group, secret] = [reader.text(), reader.bytes()];
      return secret.length === KEY_BYTES ? { kind: 'group-knock', group, secret } : undefined;
    },
  },
  decided: {
    number: 25,
    write: (writer, { user }) => void writer.text(user),
    read(reader) {
      const user = reader.text();
      return user === '' || isUserId(user) ? { kind: 'decided', user } : undefined;
    },
  },
};

const KINDS: ReadonlyMap<number, ContentKind> = new Map(
  Object.entries(CODECS).map(([kind, { number }]) => [number, kind as ContentKind]),
);

/** The number of a kind in the bytes. */
export function numberOfKind(kind: ContentKind): number {
  return CODECS[kind].number;
}

/** The kind of a number; undefined for one of a later release. */
export function kindOfNumber(number: number): ContentKind | undefined {
  return KINDS.get(number);
}

/** Encodes a body, without its kind. @returns Owned bytes. */
export function encodeBody(body: ContentBody): Uint8Array {
  const writer = new RecordWriter();
  (CODECS[body.kind] as BodyCodec<ContentBody>).write(writer, body);
  return writer.finish();
}

/** Decodes a body. Never throws. @param bytes - Borrowed. @returns undefined where they are none of that kind. */
export function decodeBody(kind: ContentKind, bytes: Uint8Array): ContentBody | undefined {
  const reader = new RecordReader(bytes);
  const body = CODECS[kind].read(reader);
  return reader.failed || (body !== undefined && 'group' in body && !isUserId(body.group)) ? undefined : body;
}

function writeName(writer: RecordWriter, { author, device, number, sentAt }: MessageName): RecordWriter {
  return writer.text(author).byte(device).uint(number).uint(sentAt);
}

function readName(reader: RecordReader): MessageName {
  return { author: reader.text(), device: reader.byte(), number: reader.uint(), sentAt: reader.uint() };
}

function writeAttachment(writer: RecordWriter, attachment: Attachment): void {
  const { locator, key, digest, bytes, type, name, caption, width, height, durationMs, thumbnail } = attachment;
  writer.text(locator).bytes(key).bytes(digest).uint(bytes).text(type).text(name).text(caption);
  writer.uint(width).uint(height).uint(durationMs).bytes(thumbnail);
}

function readAttachment(reader: RecordReader): BodyOf<'attachment'> | undefined {
  const attachment = {
    kind: 'attachment' as const,
    locator: reader.text(),
    key: reader.bytes(),
    digest: reader.bytes(),
    bytes: reader.uint(),
    type: reader.text(),
    name: reader.text(),
    caption: reader.text(),
    width: reader.uint(),
    height: reader.uint(),
    durationMs: reader.uint(),
    thumbnail: reader.bytes(),
  };
  return attachment.key.length === KEY_BYTES && attachment.digest.length === KEY_BYTES ? attachment : undefined;
}

function readReceipt(reader: RecordReader): BodyOf<'receipt'> | undefined {
  const state = RECEIPT_STATES[reader.byte() - 1];
  const count = reader.uint();
  if (state === undefined || count > LIMITS.receiptTargetCountMax) return undefined;
  const targets: MessageName[] = [];
  while (targets.length < count && !reader.failed) targets.push(readName(reader));
  return { kind: 'receipt', state, targets };
}

function writeSenderKey(writer: RecordWriter, { group, distribution, view }: SenderKeyBody): void {
  writer.text(group).bytes(distribution);
  if (view !== undefined) writer.uint(view.epoch).bytes(view.head);
}

function readSenderKey(reader: RecordReader): SenderKeyBody | undefined {
  const body = { kind: 'sender-key' as const, group: reader.text(), distribution: reader.bytes() };
  if (reader.remainingBytes === 0) return body;
  const view = { epoch: reader.uint(), head: reader.bytes() };
  return view.head.length === KEY_BYTES ? { ...body, view } : undefined;
}

const TRANSFER_BYTES = 16;

function readTransfer<Body>(reader: RecordReader, rest: (head: TransferHead) => Body): Body | undefined {
  const head = { transfer: reader.bytes(), to: reader.byte() };
  return head.transfer.length === TRANSFER_BYTES ? rest(head) : undefined;
}

function writeTransferChunk(writer: RecordWriter, chunk: TransferChunkBody): void {
  const { transfer, to, number, next, isLast, count, total, locator, key, digest, bytes } = chunk;
  writer.bytes(transfer).byte(to).uint(number).uint(next);
  writer.byte(isLast ? 1 : 0).uint(count);
  writer.uint(total).text(locator).bytes(key).bytes(digest).uint(bytes);
}

function readTransferChunk(reader: RecordReader): TransferChunkBody | undefined {
  return readTransfer(reader, (head) => {
    const place = { number: reader.uint(), next: reader.uint(), isLast: reader.byte() === 1 };
    const counts = { count: reader.uint(), total: reader.uint() };
    const where = { locator: reader.text(), key: reader.bytes(), digest: reader.bytes(), bytes: reader.uint() };
    const isWhole = where.key.length === KEY_BYTES && where.digest.length === KEY_BYTES;
    return isWhole ? { kind: 'transfer-chunk', ...head, ...place, ...counts, ...where } : undefined;
  });
}

function writeInvite(writer: RecordWriter, { group, epoch, head, key, roster, inviter }: GroupInviteBody): void {
  writer.text(group).uint(epoch).bytes(head).bytes(key).bytes(roster);
  if (inviter !== undefined) writer.text(inviter);
}

function readInvite(reader: RecordReader): GroupInviteBody | undefined {
  const [group, epoch] = [reader.text(), reader.uint()];
  const [head, key, roster] = [reader.bytes(), reader.bytes(), reader.bytes()];
  const isWhole = head.length === KEY_BYTES && key.length === KEY_BYTES;
  // A group begins with its first change.
  if (!isWhole || epoch < 1) return undefined;
  const body = { kind: 'group-invite', group, epoch, head, key, roster } as const;
  return reader.remainingBytes === 0 ? body : { ...body, inviter: reader.text() };
}

function writeRetry(writer: RecordWriter, { device, code, numbers }: RetryBody): void {
  writer.byte(device).text(code).uint(numbers.length);
  for (const number of numbers) writer.uint(number);
}

function readRetry(reader: RecordReader): RetryBody | undefined {
  const [device, code, count] = [reader.byte(), reader.text(), reader.uint()];
  if (count > LIMITS.retryNumberCountMax) return undefined;
  const numbers: number[] = [];
  while (numbers.length < count && !reader.failed) numbers.push(reader.uint());
  return { kind: 'retry', device, code, numbers };
}

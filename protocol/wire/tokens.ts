/**
 * The dictionary: the words that cost one or two bytes instead of their letters.
 *
 * Append only. A word's place is its number on the wire, so a released word never moves, changes or goes; a new word is
 * put at the end of its list, and the dictionary version goes up with the subprotocol (FORMAT.md, "How the format
 * grows"). `vectors/v1.json` pins every released number. Read next: `text.ts`, which asks for them.
 */

/** Version of the dictionary below. Equal on both ends of a connection: it is fixed by the subprotocol. */
export const DICTIONARY_VERSION: 1 = 1;

/** One-byte words: the first has number 1. Tags, attribute names and the values that hot stanzas repeat. */
export const WORDS: readonly string[] = Object.freeze(
  [
    // every message and its acknowledgements
    ['message', 'ack', 'receipt', 'enc', 'to', 'from', 'id', 'seq', 'ts', 'type', 'device', 'ratchet', 'prekey'],
    ['delivered', 'read', 'sent', 'error', 'code', 'text', 'retry-after', 'expected', 'ping', 'pong'],
    // opening
    ['stream', 'version', 'auth', 'user', 'success', 'failure', 'prekeys', 'offline', 'nonce', 'ticket', 'resume'],
    // requests and registration
    ['iq', 'get', 'set', 'result', 'register', 'phone', 'expires', 'confirm', 'registration', 'login', 'identity'],
    ['signed', 'key', 'signature', 'onetime', 'account', 'contact', 'bundle', 'count', 'receipts'],
    // groups
    ['group', 'groups', 'participant', 'participants', 'member', 'admin', 'owner', 'role', 'create', 'join', 'leave'],
    ['add', 'remove', 'invite', 'promote', 'demote', 'subject', 'description', 'revision', 'sender-key', 'epoch'],
    // presence
    ['presence', 'available', 'unavailable', 'typing', 'composing', 'recording', 'paused', 'subscribe', 'unsubscribe'],
    ['last-seen', 'online', 'state', 'audio'],
    // media
    ['media', 'upload', 'download', 'url', 'hash', 'size', 'slot', 'chunk', 'offset', 'digest', 'image', 'video'],
    ['document', 'thumbnail', 'blob'],
    // devices, history, profile
    ['devices', 'primary', 'linked', 'link', 'unlink', 'list', 'proof', 'challenge', 'response', 'pin', 'lock'],
    ['history', 'transfer', 'backup', 'profile', 'picture', 'name', 'status', 'username', 'platform', 'push', 'token'],
    ['contacts', 'block', 'unblock', 'blocked', 'privacy', 'everyone', 'nobody', 'report', 'spam'],
    // general
    ['notify', 'notification', 'retry', 'reason', 'limit', 'before', 'after', 'next', 'cursor', 'since', 'until'],
    ['true', 'false', 'none', 'all', 'batch', 'sync', 'gap', 'pruned', 'ephemeral', 'silent', 'kem', 'last-resort'],
    ['update', 'delete', 'query', 'features', 'language', 'close'],
    // groups, continued
    ['order', 'group-change', 'roster', 'more'],
    // devices, continued
    ['link-begin', 'link-approve', 'envelope'],
  ].flat(),
);

/** Two-byte words: the first has number 256. Values that are long and rare, above all error codes. */
export const EXTENDED_WORDS: readonly string[] = Object.freeze([
  ...['APP_BAD_SIGNATURE', 'APP_NONCE_EXPIRED', 'APP_UNKNOWN_DEVICE', 'APP_LOGIN_TIMEOUT', 'APP_REPLACED'],
  ...['APP_UNREGISTERED', 'APP_TEXT_FRAME', 'APP_RATE_LIMITED', 'APP_OVERLOADED', 'APP_RESTARTING', 'APP_DRAINING'],
  ...['APP_PROTOCOL', 'APP_OUT_OF_ORDER', 'APP_DEVICES_CHANGED', 'APP_UNKNOWN_USER', 'APP_BAD_CODE'],
  ...['APP_CODE_EXPIRED', 'APP_INBOX_FULL', 'APP_FORBIDDEN', 'APP_NOT_FOUND', 'APP_BAD_REQUEST', 'APP_NOT_MEMBER'],
  ...['APP_UNKNOWN_GROUP', 'APP_GROUP_FULL', 'APP_UNAVAILABLE', 'WIRE_BAD_STANZA', 'WIRE_FRAME_TOO_LARGE'],
  ...['APP_MESSAGE_TOO_LARGE', 'APP_STORE_FULL', 'APP_VERIFIER_FAILED', 'APP_BAD_KEYS', 'APP_PREKEYS_FULL'],
  ...['APP_BAD_TICKET', 'APP_UNKNOWN_MEDIA', 'APP_WRONG_OFFSET', 'APP_MEDIA_TOO_LARGE', 'APP_BAD_RANGE'],
  ...['APP_UPLOAD_BUSY', 'APP_TOO_MANY_UPLOADS', 'APP_MEDIA_QUOTA', 'APP_EXPIRED', 'APP_PRUNED', 'APP_UNDELIVERABLE'],
  ...[
    'APP_GROUP_EPOCH',
    'APP_NOT_A_MEMBER',
    'APP_GROUP_FORBIDDEN',
    'APP_GROUP_BAD_CHANGE',
    'APP_TOO_MANY_SUBSCRIPTIONS',
  ],
  // protection
  ...['limits', 'action', 'left', 'max', 'full', 'relation', 'relations', 'accepted', 'pending', 'strangers', 'policy'],
  ...['open', 'ask', 'web', 'apns', 'fcm', 'APP_REQUEST_PENDING', 'APP_RELATIONS_FULL', 'APP_UNKNOWN_MESSAGE'],
  ...['APP_BAD_PUSH'],
  ...['APP_UNKNOWN_LINK', 'APP_NOT_PRIMARY', 'APP_TOO_MANY_DEVICES', 'APP_NO_OTHER_DEVICE', 'APP_RESTORED'],
]);

/** The number of the last one-byte word is at most this; lead bytes above it mean other things. */
export const WORDS_MAX: 191 = 191;

/** The number of the first two-byte word. */
export const EXTENDED_BASE: 256 = 256;

/** How many two-byte words there can be: the second byte is the index. */
const EXTENDED_WORDS_MAX: 256 = 256;

/** A tag or attribute name: 1 to 32 characters. Kept narrow so that a name can never be taken for a number or a path. */
const NAME: RegExp = /^[a-z][a-z0-9-]{0,31}$/;

/** Whether a value may be a tag or an attribute name. */
export function isName(value: string | number): value is string {
  return typeof value === 'string' && NAME.test(value);
}

/** Word by number; numbers without a word hold `undefined`. */
const wordByNumber: (string | undefined)[] = new Array<string | undefined>(EXTENDED_BASE + EXTENDED_WORDS_MAX);
const nameByNumber: (string | undefined)[] = new Array<string | undefined>(EXTENDED_BASE + EXTENDED_WORDS_MAX);
const numberByWord: Map<string, number> = new Map();
let wordLength = 0;

function define(word: string, number: number): void {
  // The forms of a value exclude each other because a word is never a string of digits: FORMAT.md, "One form each".
  if (!/^[A-Za-z]/.test(word)) throw new Error(`dictionary word ${number} does not begin with a letter`);
  if (numberByWord.has(word)) throw new Error(`dictionary word ${number} stands twice`);
  wordByNumber[number] = word;
  nameByNumber[number] = isName(word) ? word : undefined;
  numberByWord.set(word, number);
  wordLength = Math.max(wordLength, word.length);
}

wordByNumber.fill(undefined);
nameByNumber.fill(undefined);
if (WORDS.length > WORDS_MAX) throw new Error('more one-byte words than numbers');
if (EXTENDED_WORDS.length > EXTENDED_WORDS_MAX) throw new Error('more two-byte words than numbers');
WORDS.forEach((word, index) => define(word, index + 1));
EXTENDED_WORDS.forEach((word, index) => define(word, EXTENDED_BASE + index));

/** Length of the longest word: a longer text need not be looked up. */
export const WORD_LENGTH_MAX: number = wordLength;

/** The word with this number, or `undefined` when the dictionary has none. */
export function wordOf(number: number): string | undefined {
  return wordByNumber[number];
}

/** The word with this number if it may be a tag or an attribute name. */
export function nameOf(number: number): string | undefined {
  return nameByNumber[number];
}

/** The number of this word: 1 to 191 in one byte, 256 to 511 in two, or `undefined` for a text that is no word. */
export function tokenOf(word: string): number | undefined {
  return numberByWord.get(word);
}

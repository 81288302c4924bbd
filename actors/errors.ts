/**
 * The catalogue of refusals of the messaging server: `APP_*` codes.
 *
 * A refusal is data, never a class: it crosses threads, reloads and the wire, and is compared by `code`. The table
 * gives for each code the sentence a person reads, whether the client may try the same thing again, and the close
 * status when the refusal ends the connection. `docs/protocol.md` lists the same codes; a test compares the two.
 */

/** What is known of a code. `retry`: the same request may succeed later. `closeCode`: absent when the connection lives on. */
export interface ErrorEntry {
  readonly text: string;
  readonly retry: boolean;
  readonly closeCode?: number;
  /** Status of the answer where a media request is refused with it. */
  readonly httpStatus?: string;
}

/** The catalogue. Codes are stable: they may be added, never renamed or given another meaning. */
export const APP_ERRORS = {
  APP_PROTOCOL: { text: 'This stanza is not expected here; see docs/protocol.md.', retry: false, closeCode: 4400 },
  APP_TEXT_FRAME: { text: 'The protocol is binary: send binary WebSocket messages.', retry: false, closeCode: 4415 },
  APP_BAD_SIGNATURE: {
    text: 'The login signature does not fit the key of this device.',
    retry: false,
    closeCode: 4401,
  },
  APP_NONCE_EXPIRED: {
    text: 'The nonce is older than 60 seconds: connect again and sign the new one.',
    retry: true,
    closeCode: 4401,
  },
  APP_UNKNOWN_DEVICE: { text: 'No such device is registered: register first.', retry: false, closeCode: 4401 },
  APP_LOGIN_TIMEOUT: { text: 'No login within the time allowed: connect again.', retry: true, closeCode: 4401 },
  APP_REPLACED: { text: 'The same device logged in on another connection.', retry: false, closeCode: 4409 },
  APP_UNREGISTERED: {
    text: 'This device was removed from its account, or the number registered anew.',
    retry: false,
    closeCode: 4410,
  },
  APP_RATE_LIMITED: { text: 'Too many requests: wait for the given time.', retry: true, closeCode: 4429 },
  APP_OVERLOADED: {
    text: 'The server is busy: try again after a pause.',
    retry: true,
    closeCode: 4503,
    httpStatus: '503 Service Unavailable',
  },
  APP_RESTARTING: { text: 'A part of the server restarts: connect again.', retry: true, closeCode: 4503 },
  APP_DRAINING: { text: 'This server is being stopped: connect again.', retry: true, closeCode: 4503 },
  APP_UNKNOWN_USER: { text: 'No such user is registered.', retry: false },
  APP_DEVICES_CHANGED: { text: 'The recipient has other devices: encrypt for those listed.', retry: false },
  APP_UNKNOWN_LINK: { text: 'No device waits under this link, or has this id: begin anew.', retry: false },
  APP_NOT_PRIMARY: { text: 'Only the primary device changes the devices of an account.', retry: false },
  APP_TOO_MANY_DEVICES: { text: 'The account has as many devices as it may: unlink one.', retry: false },
  APP_NO_OTHER_DEVICE: { text: 'The account has no other device to be told.', retry: false },
  APP_OUT_OF_ORDER: {
    text: 'An earlier message of this conversation is missing: send from the expected id.',
    retry: true,
  },
  APP_INBOX_FULL: { text: 'The inbox of the recipient is full: try again later.', retry: true },
  APP_STORE_FULL: {
    text: 'The server cannot store messages now: try again later.',
    retry: true,
    httpStatus: '507 Insufficient Storage',
  },
  APP_UNAVAILABLE: { text: 'The servers that keep copies do not answer: try again.', retry: true },
  APP_EXPIRED: { text: 'Messages waited for thirty days and were deleted.', retry: false },
  APP_PRUNED: { text: 'Messages of a full inbox were deleted, the oldest of the largest conversation.', retry: false },
  APP_UNDELIVERABLE: {
    text: 'A message was pushed on many connections, never acknowledged, and set aside.',
    retry: false,
  },
  APP_RESTORED: { text: 'The server was restored from a backup that did not have these messages.', retry: false },
  APP_MESSAGE_TOO_LARGE: { text: 'The ciphertext is too large: send media out of band.', retry: false },
  APP_BAD_CODE: { text: 'The verification code is wrong.', retry: true },
  APP_CODE_EXPIRED: { text: 'No verification is pending for this number: request a new code.', retry: false },
  APP_VERIFIER_FAILED: { text: 'The code could not be delivered: try again later.', retry: true },
  APP_BAD_KEYS: { text: 'The keys of this registration are not acceptable.', retry: false },
  APP_PREKEYS_FULL: { text: 'The server holds as many pre-keys as it keeps for a device.', retry: false },
  APP_BAD_REQUEST: {
    text: 'A header of this request is missing or has a wrong form.',
    retry: false,
    httpStatus: '400 Bad Request',
  },
  APP_BAD_TICKET: {
    text: 'The ticket is missing, not of this server, or expired: sign in, or ask for another.',
    retry: true,
    httpStatus: '401 Unauthorized',
  },
  APP_UNKNOWN_MEDIA: { text: 'No such medium is here, or no longer.', retry: false, httpStatus: '404 Not Found' },
  APP_WRONG_OFFSET: {
    text: 'The upload does not end where the request begins: go on from the offset given.',
    retry: true,
    httpStatus: '409 Conflict',
  },
  APP_MEDIA_TOO_LARGE: {
    text: 'More bytes than a medium may have, or than were declared.',
    retry: false,
    httpStatus: '413 Content Too Large',
  },
  APP_BAD_RANGE: {
    text: 'The range is not within the medium.',
    retry: false,
    httpStatus: '416 Range Not Satisfiable',
  },
  APP_UPLOAD_BUSY: { text: 'Another request appends to this upload.', retry: true, httpStatus: '423 Locked' },
  APP_TOO_MANY_UPLOADS: {
    text: 'This account has too many unfinished uploads: finish one.',
    retry: true,
    httpStatus: '429 Too Many Requests',
  },
  APP_TOO_MANY_SUBSCRIPTIONS: {
    text: 'This connection has subscribed to as many people as it may: unsubscribe first.',
    retry: false,
  },
  APP_REQUEST_PENDING: {
    text: 'The recipient has not accepted your request yet: wait for an answer.',
    retry: true,
  },
  APP_RELATIONS_FULL: { text: 'This account has decided about as many others as it may.', retry: false },
  APP_UNKNOWN_MESSAGE: { text: 'The server knows of no such message to you.', retry: false },
  APP_BAD_PUSH: { text: 'This server sends no wake-ups of this kind or to this place.', retry: false },
  APP_MEDIA_QUOTA: { text: 'This account has uploaded as much as it may for now.', retry: true },
  APP_UNKNOWN_GROUP: { text: 'No such group is here.', retry: false },
  APP_NOT_A_MEMBER: { text: 'Only members of the group may do this.', retry: false },
  APP_GROUP_EPOCH: {
    text: 'The group has changed: take its changes, and send again for the epoch given.',
    retry: false,
  },
  APP_GROUP_FORBIDDEN: { text: 'The rules of the group do not let this member change that.', retry: false },
  APP_GROUP_FULL: { text: 'A group has at most 1,024 members.', retry: false },
  APP_GROUP_BAD_CHANGE: { text: 'The change does not decode, or is not of this group and this device.', retry: false },
} as const;

/** A stable code of the messaging server. */
export type AppCode = keyof typeof APP_ERRORS;

/** What the catalogue says of `code`. */
export function describe(code: AppCode): ErrorEntry {
  return APP_ERRORS[code];
}

/** A refusal as it travels between actors. Nothing secret and nothing from the user stands in it. */
export interface Refusal {
  readonly code: AppCode;
  /** Seconds until a retry makes sense. */
  readonly retryAfter?: number;
  /** With APP_OUT_OF_ORDER: the id that the conversation waits for. */
  readonly expected?: number;
  /** With APP_GROUP_EPOCH: the epoch of the group. */
  readonly epoch?: number;
  /** With APP_DEVICES_CHANGED: the recipient's devices. */
  readonly devices?: readonly number[];
}

/** What ends the process before it serves anybody. `STARTUP_ERRORS` says what each means and what to do. */
export const STARTUP_ERRORS = {
  APP_NODE_VERSION: 'This Node.js version is not supported: use 20.19 or later, up to 25.',
  APP_CONFIG: 'A setting is wrong: the message names it, its bounds and how to set it.',
  APP_PORT_BUSY: 'Another process listens on the port: stop it or choose another with --port.',
  APP_STORE_HELD: 'Another process holds the store directory: stop it or choose another with --data.',
  APP_STORE_UNREADABLE: 'The store directory cannot be opened: the message says why.',
  APP_CLUSTER:
    'The cluster does not take this node: the message says why. Compare its settings with those of the NATS servers.',
  APP_CLUSTER_SECRET: 'The cluster has another secret: give all of its nodes the same cluster-secret.',
  APP_CLUSTER_SHARDS: 'The cluster has another number of shards: set cluster-shards to what the message says.',
  APP_CLUSTER_CENTRES:
    'The cluster has other data centres, or the NATS servers are of another one: set cluster-centres and cluster-centre to what the message says.',
  APP_CLUSTER_VERSION:
    'The nodes of the cluster speak no version that this release knows: go on one release at a time.',
  APP_MEDIA_STORE: 'The object store of --media does not take us: the message says why, by the code of the store.',
  APP_ADMIN_SOCKET:
    'The socket for operators cannot be served: the message says why; choose another with --admin-socket.',
  APP_STORE_FAILED: 'The disk failed to take a commit; the process ends so that nothing unflushed is trusted.',
} as const;

export type StartupCode = keyof typeof STARTUP_ERRORS;

/** Tells our errors across two loaded copies of this module, where `instanceof` does not. */
const BRAND = 'blindbeam.startup-error';

/** Thrown while a node starts. Printed as one line with its code; exit status 1 (2 for APP_CONFIG). */
export class StartupError extends Error {
  readonly code: StartupCode;
  readonly brand: string = BRAND;

  constructor(code: StartupCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartupError';
    this.code = code;
  }
}

export function isStartupError(error: unknown): error is StartupError {
  return (error as { brand?: unknown } | null)?.brand === BRAND;
}

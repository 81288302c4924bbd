/**
 * What a server's refusal means to a person, and what to do about it. The codes are the protocol's (docs/protocol.md has all of them); those stand
 * here that somebody may meet who does nothing wrong. Any other is shown as it is.
 */

/** By code, one or two sentences. */
export const SERVER_WORDS: Readonly<Record<string, string>> = {
  APP_REPLACED:
    'The account has connected from somewhere else with the keys of this device. Two programs must not share a store.',
  APP_UNKNOWN_DEVICE:
    'The server does not know this device: its keys belong to another server, or the server has lost its store. Another server wants another store.',
  APP_UNREGISTERED:
    'This device is no longer one of the account: it was unlinked, or the number was registered anew. Register or link it again.',
  APP_BAD_CODE: 'The verification code is wrong. Look at it again; after five tries ask for another.',
  APP_CODE_EXPIRED: 'No code is pending for this number. Ask for a new one.',
  APP_VERIFIER_FAILED: 'The code could not be delivered. Try again.',
  APP_RATE_LIMITED: 'That was too often or too much at once. Wait a little and try again.',
  APP_OVERLOADED: 'The server has too much to do. It goes on by itself.',
  APP_RESTARTING: 'The server restarts. It goes on by itself.',
  APP_DRAINING: 'The server sends its clients elsewhere. It goes on by itself.',
  APP_UNAVAILABLE: 'The servers that keep copies do not answer, so nothing new is taken. Try again later.',
  APP_STORE_FULL: 'The server has no room at the moment. Try again later.',
  APP_INBOX_FULL: 'Too much waits for the recipient already. Try again when they were online.',
  APP_EXPIRED: 'They waited too long to be fetched.',
  APP_PRUNED: 'The inbox was full, and the oldest had to go.',
  APP_UNDELIVERABLE: 'A device broke off on them again and again.',
  APP_DEVICES_CHANGED: 'Their devices were others by the time it could be delivered.',
  APP_RESTORED: 'The server had to go back to a backup, in which they are not.',
  APP_REQUEST_PENDING: 'They have not accepted you yet, and take no more messages until then.',
  APP_RELATIONS_FULL: 'You have decided about too many people. Take a decision back first.',
  APP_UNKNOWN_USER: 'There is no such user any more.',
  APP_MEDIA_TOO_LARGE: 'The file is too large for this server.',
  APP_MEDIA_QUOTA: 'You have uploaded as much as the server allows in a day. Go on tomorrow.',
  APP_UNKNOWN_GROUP: 'There is no such group.',
  APP_NOT_A_MEMBER: 'You are not, or no longer, a member of this group.',
  APP_GROUP_FULL: 'The group has as many members as a group can have.',
  APP_GROUP_FORBIDDEN: 'Your role in the group does not allow that. Ask an admin.',
  APP_UNKNOWN_LINK:
    'No device waits with this code: it may have expired, or there is no such linked device. Begin anew on the new device.',
  APP_NOT_PRIMARY: 'Only the first device of the account can do that.',
  APP_TOO_MANY_DEVICES: 'The account has as many devices as it can have. Unlink one first.',
  APP_TOO_MANY_SUBSCRIPTIONS: 'Too many chats are watched at once. Close some.',
};

/**
 * The commands of the chat as people read them: what `/help` shows, and `--help` of the command line.
 */

/** What one may enter, by topic. */
export const TOPICS: Readonly<Record<string, string>> = {
  Chats: '/chats lists them, /to NUMBER opens one, /history, /who, /help, /quit',
  'The last message received':
    '/reply TEXT, /react EMOJI, /forward NUMBER, /save [FILE], also one that came earlier, /view',
  'Your last one': '/edit TEXT, /delete, /seen',
  'This chat':
    '/send FILE, /timer 8h or off, /safety, /accept, /again sends what was refused, /block, /unblock, /forget',
  Groups:
    '/group create TITLE NUMBER…, /group lists them, /group TITLE opens one, /group join LINK; in an open one /group with members, add NUMBER…, ' +
    'remove NUMBER…, admin NUMBER, member NUMBER, title TEXT, mode each or once, link, unlink, leave [NUMBER of the next admin]',
  Settings: '/privacy and /receipts with everyone, contacts or nobody; /strangers ask or open',
  Devices:
    '/devices, /approve CODE, /unlink NUMBER; /transfer on a new one asks the primary one for the history, which says /transfer allow NUMBER or ' +
    '/transfer refuse NUMBER; /transfer stop ends it; /backup FILE',
};

/** Each topic in a line. */
export const TOPIC_LINES: readonly string[] = Object.entries(TOPICS).map(([topic, words]) => `${topic}: ${words}.`);

/** What somebody is told who has not chosen yet. */
export const FIRST_STEPS =
  'Choose with /to NUMBER, or see your /chats. /help lists the commands; anything else is sent.';

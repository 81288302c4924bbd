/**
 * Figures of the programs that are part of the work, and therefore the same in a twin that has them.
 */

/**
 * Messages that an actor sends before it lets others run. Where they go to few actors it waits for the word of one of them,
 * so that a mailbox with its default bound of 10,000 refuses none; a mailbox of the BEAM has no bound and its twin no such
 * word. 1,000 messages cost two more, and lie in the cache.
 */
export const BATCH_MESSAGES = 1_000;

/** Actors spawned before they are waited for; their first words must fit into their parent's mailbox. */
export const BATCH_SPAWNS = 1_000;

/** Messages to another thread that may be without an acknowledgement: below the mailbox's bound of 10,000. */
export const WINDOW_MESSAGES = 8_000;

/** Messages that one acknowledgement stands for. */
export const ACKNOWLEDGED_MESSAGES = 1_000;

/**
 * Bounds of the programs that are part of the work and therefore the same in the twins where they appear there.
 */

/**
 * Messages that an actor sends before it lets others run. An actor of ours runs its handler to the end, and a mailbox has
 * a bound (10,000), so a sender of many sends in batches and a message to itself between them. The BEAM takes the
 * processor away from a sender after about as many.
 */
export const BATCH_MESSAGES = 1_000;

/** Actors spawned before they are waited for; their first words must fit into their parent's mailbox. */
export const BATCH_SPAWNS = 1_000;

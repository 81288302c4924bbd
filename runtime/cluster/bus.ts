/**
 * What carries bytes between nodes: subjects to publish to and to listen on, at most once and without a promise about
 * order across a reconnection. `channel.ts` makes more of it.
 *
 * For production it is NATS (`nats-bus.ts`), for tests a network in memory (`../testing/sim-bus.ts`).
 */

export interface Bus {
  /** Whether it is connected now. While it is not, `publish` drops. */
  readonly isUp: boolean;
  /** Bytes of the largest message. */
  readonly messageBytesMax: number;
  /** Sends `bytes`, which belong to the bus from now on and must not change. Never throws for want of a connection. */
  publish(subject: string, bytes: Uint8Array): void;
  /**
   * Listens on a subject, from now on and after each reconnection.
   *
   * @param onMessage - Its `bytes` are borrowed until it returns. If it throws, that message is passed over and logged.
   * @returns The end of it.
   */
  subscribe(subject: string, onMessage: (bytes: Uint8Array) => void): () => void;
  /**
   * Asks whether the bus knows that nobody listens on a subject: then whoever did has lost its connection, or is gone. Who listens gets one message, a
   * greeting that means nothing.
   *
   * @returns False where somebody listens, and where nothing can be said: a listener that is paused or cut off keeps its connection for a while.
   */
  isDeserted(subject: string): Promise<boolean>;
  /** Calls `listener` when the connection is there again, and when it is gone. Returns its removal. */
  watch(listener: (isUp: boolean) => void): () => void;
  /** Sends what is under way and parts. */
  close(): Promise<void>;
}

/** The subjects of one cluster. `cluster` and `node` are names by `isNodeName`. */
export const subjects: Readonly<{
  /** Where every node says that it lives, and the main thread of every node listens. */
  beat(cluster: string): string;
  /** Where one worker is spoken to. */
  worker(cluster: string, node: string, worker: number): string;
}> = Object.freeze({
  beat: (cluster: string) => `bb.${cluster}.beat`,
  worker: (cluster: string, node: string, worker: number) => `bb.${cluster}.to.${node}.${worker}`,
});

const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** Whether a text may name a node or a cluster: it becomes a token of a subject, and a part of a pid's text. */
export function isNodeName(name: unknown, charsMax: number): name is string {
  return typeof name === 'string' && name.length <= charsMax && NAME.test(name);
}

/** A tail in memory, for stores of tests. */

import type { CommitResult } from './inbox-store.ts';
import type { LogMark } from './raw-tables.ts';
import type { ShardTail } from './tail.ts';

export interface MemoryTailParts {
  /** Write sets by number, in order: the disk, which outlives a process. */
  readonly entries: Map<number, Buffer>;
  /** Runs `write` when its transaction is flushed; what it resolves to is the outcome. */
  readonly commit: (write: () => void) => Promise<CommitResult>;
  readonly apply: (writes: Buffer) => void;
  readonly setMark: (mark: LogMark) => void;
}

export function memoryTail({ entries, commit, apply, setMark }: MemoryTailParts): ShardTail {
  return {
    get count() {
      return entries.size;
    },
    get bytes() {
      return [...entries.values()].reduce((sum, writes) => sum + writes.length, 0);
    },
    add(writes) {
      const copy = Buffer.from(writes);
      return commit(() => {
        apply(copy);
        entries.set(Math.max(0, ...entries.keys()) + 1, copy);
      });
    },
    first(bytesMax) {
      const parts: Buffer[] = [];
      let through = 0;
      let bytes = 0;
      for (const [number, writes] of entries) {
        bytes += writes.length;
        if (bytes > bytesMax && parts.length > 0) break;
        parts.push(writes);
        through = number;
      }
      return parts.length === 0 ? undefined : { through, writes: Buffer.concat(parts) };
    },
    settle(through, mark) {
      return commit(() => {
        for (const number of [...entries.keys()]) if (number <= through) entries.delete(number);
        setMark(mark);
      });
    },
    replay: () => commit(() => entries.forEach(apply)),
  };
}

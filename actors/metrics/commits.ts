/** Measures the commits of a store, from the collecting of their writes to their flush. */

import type { Clock } from '../../runtime/index.ts';
import type { InboxStore } from '../store/inbox-store.ts';
import { Distribution } from './meter.ts';

const DURATION = new Distribution('blindbeam_store_commit_duration_seconds');

/** `store`, as far as it commits, with a look at the clock before and after. One that failed for good is not measured. */
export function timedCommits(
  store: Pick<InboxStore, 'commit'>,
  clock: Pick<Clock, 'monotonicMs'>,
): Pick<InboxStore, 'commit'> {
  return {
    async commit(write) {
      const beganMs = clock.monotonicMs();
      const result = await store.commit(write);
      DURATION.note((clock.monotonicMs() - beganMs) / 1_000);
      return result;
    },
  };
}

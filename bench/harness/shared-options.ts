/** Settings that several workloads have, with the same bounds and the same words. */

import type { WorkloadOption } from './registry.ts';

/** How many threads the server under load gets. */
export const WORKERS_OPTION: WorkloadOption = {
  default: 0,
  min: 0,
  max: 64,
  help: 'worker threads of the server; 0 leaves it to the server',
};

/** How long a message is. The most is what the server takes. */
export const BYTES_OPTION: WorkloadOption = { default: 100, min: 4, max: 15_360, help: 'bytes of a ciphertext' };

/** At what rate an open loop sends behind a closed one, which has found how much there is. */
export const HALF_LOAD_OPTION: WorkloadOption = {
  default: 0,
  min: 0,
  max: 1_000_000,
  help: 'messages per second at half load; 0 takes half of the saturated rate',
};

/** Of a cluster under load. */
export const NATS_SERVERS_OPTION: WorkloadOption = {
  default: 3,
  min: 1,
  max: 3,
  help: 'nats-server processes: 1 or 3',
};

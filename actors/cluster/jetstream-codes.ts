/** The refusals of JetStream that are answers to us, by its own numbers (nats-server, `errors.json`). */

export const JETSTREAM = {
  consumerNameExists: 10_013,
  noMessage: 10_037,
  streamNotFound: 10_059,
  wrongLastSequence: 10_071,
} as const;

/** The number of a refusal; `undefined` for what is none, as silence. */
export function jetStreamCodeOf(error: unknown): number | undefined {
  return (error as { api_error?: { err_code?: number } }).api_error?.err_code;
}

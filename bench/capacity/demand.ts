/**
 * What a service is to carry: the inputs of the planner, each with unit, default and meaning. Pure.
 *
 * The defaults are the published sizing of WhatsApp (two billion people a day, a hundred billion messages), so that a bare
 * `blindbeam capacity` answers the question that everybody asks.
 */

/** One input. */
interface Input {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly help: string;
}

const SECONDS_OF_A_DAY = 86_400;

/** Flags of `blindbeam capacity`. */
export type InputName =
  | 'users'
  | 'accounts'
  | 'connections'
  | 'messages-per-day'
  | 'message-bytes'
  | 'recipients'
  | 'peak'
  | 'retention-days'
  | 'offline-share'
  | 'offline-hours'
  | 'reconnects-per-day'
  | 'recovery-minutes'
  | 'media-share'
  | 'media-bytes'
  | 'account-bytes'
  | 'copies'
  | 'log-replicas'
  | 'node-cores'
  | 'node-memory'
  | 'node-connections'
  | 'headroom';

export type Demand = Readonly<Record<InputName, number>>;

export const INPUTS: Readonly<Record<InputName, Input>> = {
  users: { default: 2e9, min: 1, max: 1e11, help: 'people active in a day' },
  accounts: { default: 3e9, min: 1, max: 1e11, help: 'people registered' },
  connections: { default: 5e8, min: 1, max: 1e11, help: 'connections at a time' },
  'messages-per-day': { default: 1e11, min: 0, max: 1e15, help: 'messages sent in a day' },
  'message-bytes': { default: 100, min: 1, max: 65_536, help: 'bytes of a message as it is stored' },
  recipients: {
    default: 1.5,
    min: 1,
    max: 1_024,
    help: 'inbox entries of a message, on average: groups and linked devices',
  },
  peak: { default: 1, min: 1, max: 100, help: 'the busiest second over the average one' },
  'retention-days': { default: 30, min: 1, max: 365, help: 'days that an undelivered message is kept' },
  'offline-share': { default: 0.05, min: 0, max: 1, help: 'part of the messages whose recipient is away' },
  'offline-hours': { default: 12, min: 0, max: 720, help: 'hours until such a recipient is back' },
  'reconnects-per-day': { default: 1, min: 0, max: 10_000, help: 'logins of each connection in a day' },
  'recovery-minutes': {
    default: 5,
    min: 0.1,
    max: 1_440,
    help: 'minutes in which everybody is back after a failure of everything',
  },
  'media-share': { default: 0.05, min: 0, max: 1, help: 'part of the messages that carry a file' },
  'media-bytes': { default: 500_000, min: 0, max: 1e10, help: 'bytes of such a file' },
  'account-bytes': { default: 1_000, min: 0, max: 1e6, help: 'bytes of an account with its devices and public keys' },
  copies: { default: 2, min: 1, max: 3, help: 'nodes that hold each inbox: its owner and standby' },
  'log-replicas': { default: 3, min: 1, max: 5, help: 'servers of NATS that hold each record of the log' },
  'node-cores': { default: 24, min: 1, max: 1_024, help: 'cores of a node' },
  'node-memory': { default: 96e9, min: 1e8, max: 1e13, help: 'bytes of memory of a node' },
  'node-connections': {
    default: 0,
    min: 0,
    max: 1e8,
    help: 'connections that a node is to hold; 0: what its memory holds',
  },
  headroom: { default: 0.5, min: 0, max: 0.95, help: 'part of cores and memory that is left free' },
};

export const INPUT_NAMES: readonly InputName[] = Object.keys(INPUTS) as InputName[];

/**
 * Completes what was given with the defaults.
 *
 * @param given - Numbers as text, `2e9` allowed.
 * @returns The demand, or a sentence that says which input is wrong and what it expects.
 */
export function readDemand(given: Readonly<Partial<Record<InputName, string>>>): Demand | string {
  const demand: Partial<Record<InputName, number>> = {};
  for (const name of INPUT_NAMES) {
    const { default: fallback, min, max } = INPUTS[name];
    const text = given[name];
    const value = text === undefined ? fallback : Number(text);
    const isNumber = text === undefined || /^\d/.test(text);
    if (!isNumber || !(value >= min && value <= max))
      return `"${name}" expected a number from ${min} to ${max}, got "${text}"`;
    demand[name] = value;
  }
  return demand as Demand;
}

/** Messages a second, averaged over a day. */
export function messagesPerSecond(demand: Demand): number {
  return demand['messages-per-day'] / SECONDS_OF_A_DAY;
}

/** Logins a second, averaged over a day. */
export function loginsPerSecond(demand: Demand): number {
  return (demand.connections * demand['reconnects-per-day']) / SECONDS_OF_A_DAY;
}

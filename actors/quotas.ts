/**
 * The quotas of accounts: what an account may do in a day over all its devices and connections.
 *
 * One on each worker, for the accounts of its shards. A request that costs something comes here first and goes on from here
 * to whom it is for, so no connection waits and none can pass by. What a connection alone bounds (its messages and requests a
 * second) it brings along when somebody asks what is left. Buckets are in memory: a restart of the node fills them.
 */

import type { Limit, LimitedAction } from '../protocol/wire/index.ts';
import type { Behavior, Context } from '../runtime/index.ts';
import { answer, refuse } from './answering.ts';
import type { AppCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { QuotasMessage } from './messages.ts';
import { takeFrom, viewOf, type BucketRule, type Buckets } from './rate-limit.ts';

/** An action whose quota belongs to the account. */
export type AccountAction = Exclude<LimitedAction, 'message' | 'bytes' | 'request'>;

const DAY_SECONDS = 86_400;

/** The rules, and the order in which `<limits/>` tells them. */
const ACCOUNT_RULES: Readonly<Record<AccountAction, BucketRule>> = {
  contact: { burst: LIMITS.contactsPerDayMax, perSecond: LIMITS.contactsPerDayMax / DAY_SECONDS },
  bundle: { burst: LIMITS.bundlesBurstMax, perSecond: LIMITS.bundlesPerDayMax / DAY_SECONDS },
  report: { burst: LIMITS.reportsPerDayMax, perSecond: LIMITS.reportsPerDayMax / DAY_SECONDS },
};

const ACTIONS = Object.keys(ACCOUNT_RULES) as AccountAction[];

export type QuotasState = Readonly<Record<AccountAction, Buckets>>;

export const quotas: Behavior<QuotasState, undefined, QuotasMessage> = {
  name: 'actors/quotas',

  init() {
    return { contact: new Map(), bundle: new Map(), report: new Map() };
  },

  handleCast(message, state, ctx) {
    if (message.kind === 'show-limits') return showLimits(message, state, ctx);
    spend(message, state, ctx);
  },
};

type Spend = Extract<QuotasMessage, { kind: 'spend' }>;

/** Takes one from the quota and sends the question on, or refuses it. */
function spend({ action, user, target, question }: Spend, state: QuotasState, ctx: Context): void {
  const now = ctx.clock.monotonicMs();
  const waitMs = takeFrom(state[action], user, ACCOUNT_RULES[action], now, LIMITS.quotaAccountsMax);
  if (waitMs > 0) return refuseQuestion(question, 'APP_RATE_LIMITED', Math.ceil(waitMs / 1000), ctx);
  if (ctx.cast(target, question) !== 'ok') refuseQuestion(question, 'APP_OVERLOADED', 1, ctx);
}

/** To whoever asked it; some of what is sent on is asked by nobody. */
function refuseQuestion(question: Spend['question'], code: AppCode, retryAfter: number, ctx: Context): void {
  if ('connection' in question && 'iq' in question) refuse(question, code, ctx, retryAfter);
}

type ShowLimits = Extract<QuotasMessage, { kind: 'show-limits' }>;

function showLimits({ connection, iq, user, own }: ShowLimits, state: QuotasState, ctx: Context): void {
  const now = ctx.clock.monotonicMs();
  const kept = ACTIONS.map((action): Limit => ({ action, ...viewOf(state[action], user, ACCOUNT_RULES[action], now) }));
  answer({ connection, iq }, { kind: 'limits', limits: [...own, ...kept] }, ctx);
}

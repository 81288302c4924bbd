/**
 * The actor `admin` of each worker: answers what operators ask of that worker, for the main thread, which asks by `ask.ts`.
 *
 * What it can be asked is a table of questions that the parts of the worker put there: it holds none of their state. A
 * question that takes its time is answered later, and others meanwhile.
 *
 * It answers its own node alone. Who may write to a cluster's subjects could otherwise load code here; what other nodes may
 * order stands in `../nodes/`.
 */

import { NO_REPLY, type Behavior, type Context, type From } from '../../runtime/index.ts';
import { isAdminError, type AdminRefusal } from './errors.ts';
import { LIMITS } from './limits.ts';

/** What a worker can be asked: by name, a function from plain data to plain data. May throw an `AdminError`. */
export type Questions = Readonly<Record<string, (parameters: never, ctx: Context) => unknown>>;

export interface AgentArgs {
  readonly questions: Questions;
  /** Nothing was asked for a while: what is kept for views can go. */
  readonly onIdle?: () => void;
}

export interface Question {
  readonly question: string;
  readonly parameters: unknown;
}

/** As the answer travels between threads: an error would lose its code. */
export type AgentAnswer = { readonly ok: unknown } | { readonly refused: AdminRefusal };

interface AgentState {
  readonly questions: Questions;
  readonly onIdle: (() => void) | undefined;
  openCount: number;
}

/** Under which it is registered on each worker. */
export const AGENT_NAME = 'admin';

export const agent: Behavior<AgentState, AgentArgs, never, Question, AgentAnswer> = {
  name: 'actors/admin',

  init: ({ questions, onIdle }) => ({ questions, onIdle, openCount: 0 }),

  handleCall({ question, parameters }, from, state, ctx) {
    if (from.pid.node !== ctx.self.node) return refuse('ADM_REFUSED', 'a worker is asked by its own node alone');
    const answer = Object.hasOwn(state.questions, question) ? state.questions[question] : undefined;
    if (answer === undefined) return refuse('ADM_UNKNOWN_VERB', `a worker is not asked for "${question}"`);
    if (state.openCount >= LIMITS.workerQuestionsMax) return refuse('ADM_BUSY', 'the worker has enough questions');
    state.openCount += 1;
    ctx.receiveTimeout(LIMITS.agentIdleMs);
    void settle(answer as (parameters: unknown, ctx: Context) => unknown, parameters, from, state, ctx);
    return NO_REPLY;
  },

  handleInfo(_timeout, state) {
    state.onIdle?.();
  },
};

async function settle(
  answer: (parameters: unknown, ctx: Context) => unknown,
  parameters: unknown,
  from: From,
  state: AgentState,
  ctx: Context,
): Promise<void> {
  let told: AgentAnswer;
  try {
    told = { ok: await answer(parameters, ctx) };
  } catch (error) {
    told = refusalOf(error, ctx);
  }
  state.openCount -= 1;
  ctx.reply(from, told);
}

function refusalOf(error: unknown, ctx: Context): AgentAnswer {
  if (isAdminError(error)) return refuse(error.code, error.message);
  ctx.log.error('admin_question_failed', { reason: error instanceof Error ? error.stack : String(error) });
  return refuse('ADM_FAILED', 'the worker could not answer; its log has the reason');
}

function refuse(code: AdminRefusal['code'], message: string): AgentAnswer {
  return { refused: { code, message } };
}

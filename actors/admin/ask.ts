/**
 * The main thread's side of `agent.ts`: asks one worker, or all of them, through the runtime.
 */

import { isRuntimeError, type RuntimeNode } from '../../runtime/index.ts';
import { AGENT_NAME, type AgentAnswer, type Question } from './agent.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** The workers of a node, as far as they can be asked. */
export interface Askable {
  readonly node: RuntimeNode;
  /** They are numbered from 1. */
  readonly workerCount: number;
}

/** What one of several workers answered; a worker that is stuck does not keep the others' answers back. */
export type EachAnswer<T> =
  { readonly worker: number; readonly ok: T } | { readonly worker: number; readonly error: string };

/**
 * Asks one worker.
 *
 * @throws {AdminError} (as rejection) ADM_NOT_FOUND for a worker that is not there; ADM_NO_ANSWER; what the worker refused with.
 */
export async function askWorker<T>(
  { node, workerCount }: Askable,
  worker: number,
  question: string,
  parameters: unknown = {},
  timeoutMs: number = LIMITS.workerAnswerMs,
): Promise<T> {
  if (!(worker >= 1 && worker <= workerCount)) throw new AdminError('ADM_NOT_FOUND', `there is no worker ${worker}`);
  const request: Question = { question, parameters };
  let answer: AgentAnswer;
  try {
    answer = await node.call<AgentAnswer>({ name: AGENT_NAME, worker }, request, timeoutMs);
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    throw new AdminError('ADM_NO_ANSWER', `worker ${worker} did not answer: ${error.code}`);
  }
  if ('refused' in answer) throw new AdminError(answer.refused.code, answer.refused.message);
  return answer.ok as T;
}

/** Asks every worker at once. */
export function askEach<T>(
  workers: Askable,
  question: string,
  parameters: unknown = {},
  timeoutMs: number = LIMITS.workerAnswerMs,
): Promise<EachAnswer<T>[]> {
  const numbers = Array.from({ length: workers.workerCount }, (_, index) => index + 1);
  return Promise.all(
    numbers.map(async (worker): Promise<EachAnswer<T>> => {
      try {
        return { worker, ok: await askWorker<T>(workers, worker, question, parameters, timeoutMs) };
      } catch (error) {
        return { worker, error: (error as Error).message };
      }
    }),
  );
}

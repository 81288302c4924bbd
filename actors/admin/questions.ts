/**
 * What a worker of the messaging server can be asked: the table for its agent. Other parts of the worker add theirs here.
 */

import type { RuntimeNode } from '../../runtime/index.ts';
import type { WorkerStatistics } from '../worker-statistics.ts';
import { actorQuestions } from './actor-questions.ts';
import type { AgentArgs, Questions } from './agent.ts';
import { lastCrashes } from '../console/crash-book.ts';
import { workerFigures } from './status.ts';
import { Surveyor, type TopQuestion } from './surveyor.ts';

/** @param more - Questions of other parts, by name. */
export function workerQuestions(
  node: RuntimeNode,
  statistics: () => Promise<WorkerStatistics>,
  more: Questions = {},
): AgentArgs {
  const surveyor = new Surveyor(node);
  const questions: Questions = {
    figures: () => workerFigures(node, statistics),
    crashes: () => ({ crashes: lastCrashes() }),
    top: (question: TopQuestion) => surveyor.top(question),
    ...actorQuestions(node),
    ...more,
  };
  return { questions, onIdle: () => surveyor.forget() };
}

import t from 'tap';
import { agent, AGENT_NAME, type Questions } from './agent.ts';
import { askEach, askWorker } from './ask.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { createThreads, type Threads } from './test-kit.ts';

/** A main thread and two workers under virtual time, joined; the first has the questions. */
function threads(questions: Questions): Threads {
  const made = createThreads(2);
  made.workerNodes[0]!.node.spawn(agent, { questions }, { name: AGENT_NAME });
  made.workerNodes[1]!.node.spawn(agent, { questions: {} }, { name: AGENT_NAME });
  return made;
}

t.test('a worker answers, at once or later, and refuses by code', async (t) => {
  const { workers, outcome } = threads({
    double: ({ value }: { value: number }) => ({ doubled: value * 2 }),
    later: () => Promise.resolve('later'),
    refused: () => {
      throw new AdminError('ADM_NOT_FOUND', 'not here');
    },
    broken: () => Promise.reject(new Error('a bug')),
  } as Questions);
  const ask = (question: string, parameters?: unknown): Promise<unknown> =>
    outcome(askWorker(workers, 1, question, parameters));
  t.strictSame(await ask('double', { value: 21 }), { doubled: 42 });
  t.equal(await ask('later'), 'later');
  await t.rejects(ask('refused'), { code: 'ADM_NOT_FOUND', message: 'not here' });
  await t.rejects(ask('broken'), { code: 'ADM_FAILED' });
  await t.rejects(ask('toString'), { code: 'ADM_UNKNOWN_VERB' });
  await t.rejects(outcome(askWorker(workers, 3, 'double')), { code: 'ADM_NOT_FOUND' });
});

t.test('a worker that does not answer does not keep back what the others say', async (t) => {
  const { workers, advance, outcome } = threads({ slow: () => new Promise(() => undefined) } as Questions);
  const all = askEach(workers, 'slow');
  await advance(LIMITS.workerAnswerMs + 100);
  t.match(await outcome(all), [
    { worker: 1, error: /worker 1 did not answer: RT_CALL_TIMEOUT/ },
    { worker: 2, error: /not asked for "slow"/ },
  ]);
});

t.test('a worker works on so many questions at a time, and on others when they are answered', async (t) => {
  const open: (() => void)[] = [];
  const { workers, settle, outcome } = threads({
    wait: () => new Promise<void>((resolve) => void open.push(resolve)),
  } as Questions);
  const asked = Array.from({ length: LIMITS.workerQuestionsMax }, () => askWorker(workers, 1, 'wait'));
  await settle();
  t.equal(open.length, LIMITS.workerQuestionsMax);
  await t.rejects(outcome(askWorker(workers, 1, 'wait')), { code: 'ADM_BUSY' });
  for (const each of open.splice(0)) each();
  await outcome(Promise.all(asked));
  const again = askWorker(workers, 1, 'wait');
  await settle();
  t.equal(open.length, 1);
  open[0]!();
  await outcome(again);
});

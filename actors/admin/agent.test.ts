import t from 'tap';
import { createTestNode } from '../../runtime/testing/test-node.ts';
import { SimNetwork } from '../../runtime/testing/test-workers.ts';
import { agent, AGENT_NAME, type Questions } from './agent.ts';
import { askEach, askWorker, type Askable } from './ask.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** A main thread and two workers under virtual time, joined. */
function threads(questions: Questions): {
  workers: Askable;
  settle(): Promise<void>;
  advance(ms: number): Promise<void>;
} {
  const main = createTestNode({ worker: 0 });
  const others = [1, 2].map((worker) => createTestNode({ worker, clock: main.clock }));
  const network = new SimNetwork([main.node, ...others.map(({ node }) => node)]);
  others[0]!.node.spawn(agent, { questions }, { name: AGENT_NAME });
  others[1]!.node.spawn(agent, { questions: {} }, { name: AGENT_NAME });
  const settle = async (): Promise<void> => {
    do for (const each of [main, ...others]) await each.settle();
    while (network.deliver());
  };
  return {
    workers: { node: main.node, workerCount: 2 },
    settle,
    async advance(ms) {
      await settle();
      main.clock.advance(ms);
      await settle();
    },
  };
}

async function outcome<T>(promise: Promise<T>, settle: () => Promise<void>): Promise<T> {
  let isDone = false;
  const watched = promise.finally(() => (isDone = true));
  watched.catch(() => undefined);
  for (let round = 0; round < 20 && !isDone; round++) await settle();
  return watched;
}

t.test('a worker answers, at once or later, and refuses by code', async (t) => {
  const { workers, settle } = threads({
    double: ({ value }: { value: number }) => ({ doubled: value * 2 }),
    later: () => Promise.resolve('later'),
    refused: () => {
      throw new AdminError('ADM_NOT_FOUND', 'not here');
    },
    broken: () => Promise.reject(new Error('a bug')),
  } as Questions);
  const ask = (question: string, parameters?: unknown): Promise<unknown> =>
    outcome(askWorker(workers, 1, question, parameters), settle);
  t.strictSame(await ask('double', { value: 21 }), { doubled: 42 });
  t.equal(await ask('later'), 'later');
  await t.rejects(ask('refused'), { code: 'ADM_NOT_FOUND', message: 'not here' });
  await t.rejects(ask('broken'), { code: 'ADM_FAILED' });
  await t.rejects(ask('toString'), { code: 'ADM_UNKNOWN_VERB' });
  await t.rejects(outcome(askWorker(workers, 3, 'double'), settle), { code: 'ADM_NOT_FOUND' });
});

t.test('a worker that does not answer does not keep back what the others say', async (t) => {
  const { workers, settle, advance } = threads({ slow: () => new Promise(() => undefined) } as Questions);
  const all = askEach(workers, 'slow');
  await advance(LIMITS.workerAnswerMs + 100);
  t.match(await outcome(all, settle), [
    { worker: 1, error: /worker 1 did not answer: RT_CALL_TIMEOUT/ },
    { worker: 2, error: /not asked for "slow"/ },
  ]);
});

t.test('a worker works on so many questions at a time, and on others when they are answered', async (t) => {
  const open: (() => void)[] = [];
  const { workers, settle } = threads({
    wait: () => new Promise<void>((resolve) => void open.push(resolve)),
  } as Questions);
  const asked = Array.from({ length: LIMITS.workerQuestionsMax }, () => askWorker(workers, 1, 'wait'));
  await settle();
  t.equal(open.length, LIMITS.workerQuestionsMax);
  await t.rejects(outcome(askWorker(workers, 1, 'wait'), settle), { code: 'ADM_BUSY' });
  for (const each of open.splice(0)) each();
  await outcome(Promise.all(asked), settle);
  const again = askWorker(workers, 1, 'wait');
  await settle();
  t.equal(open.length, 1);
  open[0]!();
  await outcome(again, settle);
});

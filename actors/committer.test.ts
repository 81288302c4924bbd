import t from 'tap';
import { Committer } from './committer.ts';

t.test('a commit that fails is not under way any more: who claims the committer is not kept waiting', async (t) => {
  let fail = (_error: Error): void => undefined;
  const commit = (): Promise<never> => new Promise((_resolve, reject) => (fail = reject));
  const committer = new Committer({ commit }, () => undefined);
  const running = committer.run(() => undefined);
  const claimed = committer.claim();
  t.equal(committer.underWay, 1);
  fail(new Error('the disk failed'));
  await t.rejects(running, { message: 'the disk failed' });
  await claimed;
  t.equal(committer.underWay, 0);
  t.equal(committer.claim(), undefined);
});

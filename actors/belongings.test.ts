import t from 'tap';
import { Belongings } from './belongings.ts';

t.test('what was taken last goes back first, each when the one before is back, and once', async (t) => {
  const belongings = new Belongings();
  const back: string[] = [];
  belongings.add(() => void back.push('store'));
  belongings.add(async () => {
    back.push('workers begin');
    await Promise.resolve();
    back.push('workers end');
  });
  await belongings.giveBack();
  await belongings.giveBack();
  t.strictSame(back, ['workers begin', 'workers end', 'store']);
});

t.test('what fails keeps nothing else from being given back, and is told in the end', async (t) => {
  const belongings = new Belongings();
  const back: string[] = [];
  belongings.add(() => void back.push('store'));
  belongings.add(async () => Promise.reject(new Error('second')));
  belongings.add(() => {
    throw new Error('first');
  });
  await t.rejects(belongings.giveBack(), { message: 'first' });
  t.strictSame(back, ['store']);
});

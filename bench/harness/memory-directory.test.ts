import { existsSync } from 'node:fs';
import t from 'tap';
import { memoryDirectory } from './memory-directory.ts';

t.test('a directory in memory is one with room in it, and nothing else is', async (t) => {
  t.equal(memoryDirectory('/nowhere/at/all'), undefined);
  t.equal(memoryDirectory('/proc', 0), undefined, 'another kind of file system');
  t.equal(memoryDirectory('/dev/shm', Number.POSITIVE_INFINITY), undefined, 'too full');
  if (process.platform === 'linux' && existsSync('/dev/shm')) t.equal(memoryDirectory('/dev/shm', 0), '/dev/shm');
});

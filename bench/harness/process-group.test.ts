import t from 'tap';
import { ProcessGroup } from './process-group.ts';

t.test('what a process has used stays used when it ends, and its memory is free', async (t) => {
  const processes = new Map([
    [1, { cpuMs: 100, bytes: 10 }],
    [2, { cpuMs: 50, bytes: 20 }],
  ]);
  let pids = [1, 2];
  const group = new ProcessGroup(() => pids, {
    use: (pid) => processes.get(pid),
    memory: (pid) => {
      const found = processes.get(pid);
      return found && { anonymousBytes: found.bytes };
    },
  });
  t.strictSame(group.use(), { cpuMs: 150, bytes: 30 });
  processes.delete(2);
  t.strictSame(group.use(), { cpuMs: 150, bytes: 10 }, 'it has ended and is still listed');
  processes.set(1, { cpuMs: 110, bytes: 10 });
  processes.set(3, { cpuMs: 5, bytes: 1 });
  pids = [1, 3];
  t.strictSame(group.use(), { cpuMs: 165, bytes: 11 }, 'another one took its place');
});

t.test('this process is read from the system, and one that never was is nothing', async (t) => {
  const { cpuMs, bytes } = new ProcessGroup(() => [process.pid]).use();
  if (process.platform === 'linux') t.ok(cpuMs > 0 && bytes > 0);
  t.strictSame(new ProcessGroup(() => [2 ** 30]).use(), { cpuMs: 0, bytes: 0 });
});

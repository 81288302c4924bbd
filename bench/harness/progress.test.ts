import t from 'tap';
import { ProgressLine } from './progress.ts';

t.test('a line is written over the one before, and never longer than the terminal', async (t) => {
  const written: string[] = [];
  let columns = 80;
  const line = new ProgressLine(
    (text) => written.push(text.replace('\r\x1b[2K', '<')),
    () => columns,
  );
  line.show('half load');
  columns = 12;
  line.show('half load, 60000 msg/s');
  line.clear();
  line.clear();
  t.strictSame(written, ['<half load …', '<half load …', '<'], 'and taken away once');
});

t.test('without a terminal it does nothing', async (t) => {
  const line = new ProgressLine(undefined);
  t.doesNotThrow(() => line.show('x'));
  t.doesNotThrow(() => line.clear());
});

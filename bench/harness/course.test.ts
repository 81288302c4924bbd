import t from 'tap';
import { systemClock, type Clock } from './clock.ts';
import { chartArrivals, Course } from './course.ts';
import { LatencyHistogram } from './histogram.ts';
import { Recorder } from './report.ts';

t.test('the use of processes is followed until it is stopped, and other figures stand at their time', async (t) => {
  const recorder = new Recorder();
  let [nowMs, look] = [0, (): void => undefined];
  const clock: Clock = Object.assign({}, systemClock, {
    nowMs: () => nowMs,
    every: (_ms: number, callback: () => void) => {
      look = callback;
      return () => (look = () => undefined);
    },
  });
  const course = new Course(recorder, { servers: () => [process.pid], generators: () => [] }, clock);
  for (nowMs = 500; nowMs <= 1_500; nowMs += 500) look();
  nowMs = 1_700;
  course.point('Rate', 'upload', 'MB/s', 7);
  course.stop();
  nowMs = 9_000;
  look();
  const series = recorder.series!;
  t.strictSame(series['upload'], { chart: 'Rate', unit: 'MB/s', points: [[1.7, 7]] });
  if (process.platform !== 'linux') return;
  t.strictSame(
    series['server']!.points.map(([seconds]) => seconds),
    [0.5, 1, 1.5],
  );
  t.ok(series['server']!.points.every(([, bytes]) => bytes > 1e6));
  t.ok(series['server (cores)']!.points.every(([, cores]) => cores >= 0));
  t.equal(series['generators (cores)'], undefined, 'who is not there uses nothing');
});

t.test('how many of a crowd are back by when', async (t) => {
  const recorder = new Recorder();
  const back = new LatencyHistogram();
  for (let client = 1; client <= 100; client += 1) back.record(client * 20);
  chartArrivals(recorder, 'Clients that are back', 'storm 1', back);
  const { points } = recorder.series!['storm 1']!;
  t.strictSame(points[0], [0, 0]);
  t.strictSame(points.at(-1), [2, 100]);
  t.ok(
    points.every(([seconds, count]) => Math.abs(seconds * 50 - count) < 6),
    'half are back after half of the time',
  );
});

import t from 'tap';
import { Recorder, type Threshold } from './report.ts';
import { mergeRounds } from './rounds.ts';

function round(p99: number, lost: number, note?: string): Recorder {
  const recorder = new Recorder();
  recorder.metric('p99_ms', p99, 'ms');
  recorder.peer('p99_ms', 'bare', p99 / 2);
  recorder.metric('lost', lost, 'msg');
  recorder.note('always');
  if (note !== undefined) recorder.note(note);
  return recorder;
}

const THRESHOLDS: readonly Threshold[] = [
  { metric: 'p99_ms', bound: 'below', value: 20 },
  { metric: 'p99_ms', peer: 'bare', bound: 'at-least', value: 0.5 },
  { metric: 'lost', bound: 'at-most', value: 0 },
  { metric: 'absent', bound: 'at-most', value: 0, ifMeasured: true },
];

t.test('one round is a report as it was recorded', async (t) => {
  const only = round(10, 0);
  const { metrics, notes, outcomes } = mergeRounds([only], THRESHOLDS);
  t.strictSame([metrics, notes, outcomes], [only.metrics, only.notes, only.check(THRESHOLDS)]);
});

t.test('a figure of several rounds is their median, with each beside it', async (t) => {
  const { metrics, outcomes } = mergeRounds([round(10, 0), round(90, 0), round(12, 0)], THRESHOLDS);
  t.match(metrics.p99_ms, { value: 12, rounds: [10, 90, 12], peers: { bare: { value: 6, ratio: 0.5 } } });
  t.strictSame(
    outcomes.map(({ metric, isMet }) => [metric, isMet]),
    [
      ['p99_ms', true],
      ['p99_ms', true],
      ['lost', true],
    ],
    'one bad round is noise, to a latency',
  );
});

t.test('a message lost in one round is lost', async (t) => {
  const { outcomes } = mergeRounds([round(10, 0), round(10, 1), round(10, 0)], THRESHOLDS);
  t.match(outcomes.at(-1), { metric: 'lost', isMet: false, measured: 1 });
});

t.test('a round that ended early takes part with what it has', async (t) => {
  const early = new Recorder();
  early.metric('p99_ms', 30, 'ms');
  early.distrust('late');
  const { metrics, notes, distrusted } = mergeRounds([round(10, 0, 'once'), early], THRESHOLDS);
  t.strictSame(metrics.lost!.rounds, [0]);
  t.equal(metrics.p99_ms!.value, 20);
  t.strictSame([notes, distrusted], [['round 1: always', 'round 1: once'], ['round 2: late']]);
  t.strictSame(mergeRounds([round(1, 0), round(1, 0, 'x')], []).notes, ['always', 'round 2: x']);
});

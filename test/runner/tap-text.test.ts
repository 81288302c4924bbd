import t from 'tap';
import { countAssertions, failuresIn, isSkipped, isWhole, summarize } from './tap-text.ts';

const TEXT: string = [
  'TAP version 14',
  'ok 1 - outside',
  '# Subtest: one \\# two',
  '    # Subtest: inner',
  '        ok 1 - deep',
  '        1..1',
  '    ok 1 - inner # time=1ms',
  '    not ok 2 - shallow',
  '      ---',
  '      at:',
  '        fileName: dist/a.test.js',
  '      ...',
  '    ok 3 - left out # SKIP no browser',
  '    1..3',
  'not ok 2 - one \\# two # time=2ms',
  '',
  'ok 3 - three # time=2ms',
  '1..3',
].join('\n');

t.test('tests are counted by their time, at every depth', async (t) => {
  t.strictSame(summarize(TEXT), { passed: 2, failed: 1, skipped: ['left out # SKIP no browser'] });
});

t.test('assertions are counted as tap writes them', async (t) => {
  t.strictSame(
    [...countAssertions(TEXT)],
    [
      ['', 1],
      ['one # two', 2],
    ],
  );
});

t.test('a file counts only if it came to its end and nothing failed', async (t) => {
  t.equal(isWhole('ok 1 - inside\n1..1\n# time=3ms\n'), true);
  t.equal(
    isWhole('# Subtest: cut off\n    ok 1 - inside\n    1..1\n'),
    false,
    'the plan of a subtest is not that of the file',
  );
  t.equal(isWhole('    not ok 1 - inside\nnot ok 1 - outside\n1..1\n'), false);
  t.equal(isWhole('1..0\n'), false, 'a file without tests');
  t.equal(isWhole('1..0 # no browser\n'), false);
  t.equal(isSkipped('1..0 # no browser\n'), true);
  t.equal(isSkipped('1..0\n'), false, 'without a reason');
});

t.test('of a failure the point is shown, all that tap says of it, and what the test said', async (t) => {
  const shown = [
    '    # what it saw before',
    '    not ok 2 - shallow',
    '      ---',
    '      diff: |',
    '         ok 7 - in a text',
    '',
    '         not ok 8 - in the same',
    '      at:',
    '        fileName: dist/a.test.js',
    '      ...',
    'not ok 1 - whole # time=2ms',
  ];
  const text = ['# Subtest: whole', '    ok 1 - deep', ...shown, '', 'ok 2 - other # time=1ms', '# time=3ms'].join(
    '\n',
  );
  t.strictSame(failuresIn(text).split('\n'), shown);
});

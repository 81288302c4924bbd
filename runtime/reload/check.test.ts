import t from 'tap';
import { benchOf, prepare, textOf } from './reload.test-kit.ts';
import { REFUSALS } from './refusals.ts';
import type { RefusalCode } from './refusals.ts';

const WIDER = `init: (sink) => ({ count: 0, sink, unit: 'pieces' }),`;

/** What an engineer may get wrong, and what it is refused with. */
const REFUSED: readonly (readonly [what: string, text: string, code: RefusalCode, detail: RegExp])[] = [
  ['a text that does not compile', textOf('codeChange( {'), 'RELOAD_SYNTAX', /SyntaxError/],
  ['a module without the behaviour', `exports.other = { name: 'other', init() {} };`, 'RELOAD_NO_BEHAVIOR', /other/],
  ['a version that is not larger', textOf('version: 0,'), 'RELOAD_VERSION', /version 0 runs, this one is 0/],
  ['a timer at the top', textOf('', 'setInterval(() => {}, 1000);'), 'RELOAD_EVALUATION', /ctx\.sendAfter/],
  ['an import that the shell does not have', textOf('', `require('lmdb');`), 'RELOAD_IMPORT', /lmdb/],
  [
    'messages that nobody understands yet',
    textOf('messages: { speaks: 2, understands: [1, 2] },'),
    'RELOAD_MESSAGES',
    /speaks messages 2/,
  ],
  [
    'messages that it does not understand',
    textOf('messages: { speaks: 1, understands: [2] },'),
    'RELOAD_MESSAGES',
    /the new one understands 2/,
  ],
  ['a handler that is gone', textOf('handleCast: undefined,'), 'RELOAD_HANDLER', /handleCast/],
  ['another shape without codeChange', textOf(WIDER), 'RELOAD_SHAPE', /state\.unit is new/],
  [
    'another kind of a field',
    textOf(`init: (sink) => ({ count: '0', sink }),`),
    'RELOAD_SHAPE',
    /state\.count was number and is string/,
  ],
  [
    'no way back',
    textOf(`${WIDER} codeChange: (state) => ({ ...state, unit: '' }),`),
    'RELOAD_NO_WAY_BACK',
    /state\.unit is new/,
  ],
  [
    'a codeChange that throws',
    textOf(`${WIDER} codeBack: (state) => state, codeChange: (state) => ({ unit: state.units.first, ...state }),`),
    'RELOAD_CODE_CHANGE',
    /TypeError/,
  ],
  [
    'a codeChange that forgets',
    textOf(`${WIDER} codeBack: (state) => state, codeChange: (state) => ({ ...state }),`),
    'RELOAD_CODE_CHANGE',
    /state\.unit is missing/,
  ],
  [
    'a codeChange in place',
    textOf(`${WIDER} codeBack: (state) => state, codeChange(state) { state.unit = ''; return state; },`),
    'RELOAD_IN_PLACE',
    /unit/,
  ],
  [
    'a codeBack that throws',
    textOf(`${WIDER} codeChange: (state) => ({ ...state, unit: '' }), codeBack() { throw new RangeError('no'); },`),
    'RELOAD_NO_WAY_BACK',
    /RangeError/,
  ],
  [
    'a closure in the state',
    textOf(
      `init: (sink) => ({ count: 0, sink, format: (n) => n }), codeBack: (state) => state, codeChange: (state) => ({ ...state, format: (n) => n }),`,
    ),
    'RELOAD_CAPTURED_FUNCTION',
    /state\.format/,
  ],
  [
    'a timer in the state',
    textOf(
      `init: (sink) => ({ count: 0, sink, timer: null }), codeBack: (state) => state, codeChange: (state) => ({ ...state, timer: { _onTimeout: () => 1 } }),`,
    ),
    'RELOAD_CAPTURED_TIMER',
    /state\.timer/,
  ],
  [
    'an instance in the state',
    textOf(
      `init: (sink) => ({ count: 0, sink, box: new Box() }), codeBack: (state) => state, codeChange: (state) => ({ ...state, box: new Box() }),`,
      'class Box {}',
    ),
    'RELOAD_CAPTURED_INSTANCE',
    /state\.box is a Box/,
  ],
];

/** What is fine, however unusual. */
const FINE: readonly (readonly [what: string, text: string])[] = [
  ['the same with a larger version', textOf('')],
  ['another handler besides', textOf('handleInfo() {},')],
  [
    'a wider state with both ways',
    textOf(`${WIDER} codeChange: (state) => ({ ...state, unit: 'pieces' }), codeBack: ({ unit, ...state }) => state,`),
  ],
  [
    'a narrower state',
    textOf(
      `init: (sink) => ({ sink }), codeChange: ({ count, ...state }) => state, codeBack: (state) => ({ ...state, count: 0 }), handleCast(message, state) { state.sink.write(message.kind); },`,
    ),
  ],
  [
    'a field whose kind changes',
    textOf(
      `init: (sink) => ({ count: '0', sink }), codeChange: ({ count, sink }) => ({ count: String(count), sink }), codeBack: ({ count, sink }) => ({ count: Number(count), sink }),`,
    ),
  ],
  [
    'a function of the shell in the state',
    textOf(
      `init: (sink) => ({ count: 0, sink, greet }), codeChange: (state) => ({ ...state, greet }), codeBack: ({ greet: _, ...state }) => state,`,
      `const { greet } = require('shell');`,
    ),
  ],
  [
    'an instance of the shell in the state',
    textOf(
      `init: (sink) => ({ count: 0, sink, spare: new Sink() }), codeChange: (state) => ({ ...state, spare: new Sink() }), codeBack: ({ spare, ...state }) => state,`,
      `const { Sink } = require('shell');`,
    ),
  ],
  ['messages that both understand', textOf('messages: { speaks: 1, understands: [1, 2] },')],
  [
    'a collection in the state',
    textOf(
      `init: (sink) => ({ count: 0, sink, seen: new Map() }), codeChange: (state) => ({ ...state, seen: new Map([[1, { at: 0 }]]) }), codeBack: ({ seen, ...state }) => state,`,
    ),
  ],
  [
    'other effects',
    textOf(`handleCast(message, state) { state.sink.write('other ' + message.kind); state.sink.write('twice'); },`),
  ],
  [
    'a class that is used within a handler',
    textOf(`handleCast(message, state) { state.count += new Step().by; },`, 'class Step { by = 1; }'),
  ],
];

t.test('what does not fit is refused, each with its reason and a fix', async (t) => {
  for (const [what, text, code, detail] of REFUSED) {
    const bench = benchOf(t, 3);
    const { refusals } = await bench.check(text);
    const found = refusals.find((each) => each.code === code);
    t.match(found, { code, detail }, `${what}: ${JSON.stringify(refusals)}`);
    t.ok(REFUSALS[code].fix.length > 20, `${code} has a fix`);
    t.strictSame(await prepare(bench.reload, textOf('')), [], 'and the next one may come');
  }
});

t.test('what fits passes', async (t) => {
  for (const [what, text] of FINE) {
    const bench = benchOf(t, 3);
    const { refusals, sampled } = await bench.check(text);
    t.strictSame(refusals, [], what);
    t.equal(sampled, 3);
  }
});

t.test('recent messages are replayed beside the version that runs, and nothing of it happens', async (t) => {
  const refused = [
    [
      `handleCast(message, state) { if (message.kind === 'add') throw new TypeError('a later protocol'); },`,
      /handleCast add: TypeError/,
    ],
    [
      `handleCast(message, state, ctx) { if (message.kind === 'add') ctx.stop(); },`,
      /handleCast add: the actor ended itself/,
    ],
  ] as const;
  for (const [fields, detail] of refused) {
    const bench = benchOf(t, 2);
    const adding = setInterval(() => bench.node.cast(bench.pids[0]!, { kind: 'add', by: 2 }), 2);
    const { refusals, replayed } = await bench.check(textOf(fields), { recordMs: 300 });
    clearInterval(adding);
    t.match(refusals, [{ code: 'RELOAD_SHADOW', detail }]);
    t.ok(replayed > 0, `${replayed} replayed`);
    const count = await bench.node.call<number>(bench.pids[0]!, 'count', 60_000);
    t.equal(count, bench.sinks[0]!.lines.length * 2, 'each message was handled once, by the version that runs');
  }
  const bench = benchOf(t, 1);
  const adding = setInterval(() => bench.node.cast(bench.pids[0]!, { kind: 'add' }), 2);
  const other = textOf(`handleCast(message, state, ctx) { ctx.cast('elsewhere', { kind: 'note' }); },`);
  const { refusals, notes } = await bench.check(other, { recordMs: 300 });
  clearInterval(adding);
  t.strictSame(refusals, []);
  t.match(notes, [
    /handleCast add has other effects: no longer calls state.sink.write; casts note\{kind\} to elsewhere/,
  ]);
});

t.test('all that a check runs is run aside, of both versions', async (t) => {
  let depth = 0;
  const runs: string[] = [];
  const aside = <Result>(run: () => Result): Result => {
    depth += 1;
    try {
      return run();
    } finally {
      depth -= 1;
    }
  };
  const report = (what: string): void => void runs.push(`${what}: ${depth > 0 ? 'aside' : 'for real'}`);
  const counting = {
    init: (sink: unknown) => (report('first init'), { count: 0, sink }),
    handleCast: () => report('first handler'),
  };
  const bench = benchOf(t, 1, counting, aside);
  runs.length = 0;
  const adding = setInterval(() => bench.node.cast(bench.pids[0]!, { kind: 'add' }), 2);
  // What a stand-in is asked for goes to its original: so the version tells, though it is a text.
  const telling = textOf(`codeChange: (state) => { state.sink.tell; return { ...state }; },`);
  Object.defineProperty(bench.sinks[0]!, 'tell', { get: () => report('codeChange') });
  const { replayed } = await bench.check(telling, { recordMs: 200 });
  clearInterval(adding);
  t.ok(replayed > 0);
  const seen = [...new Set(runs)].sort();
  t.strictSame(seen, ['codeChange: aside', 'first handler: aside', 'first handler: for real', 'first init: aside']);
});

t.test('a state of the version that runs may hold what is not its own, and nothing else', async (t) => {
  const own = benchOf(t, 2, { init: (sink: unknown) => ({ count: 0, sink, format: (n: number) => n }) });
  const { refusals } = await own.check(textOf(`init: (sink) => ({ count: 0, sink, format: null }),`));
  // The closure is of this file, and so is the behaviour that runs.
  t.match(refusals, [{ code: 'RELOAD_CAPTURED_FUNCTION', detail: 'state.format' }]);
  const mended = await own.check(
    textOf(`init: (sink) => ({ count: 0, sink, format: null }), codeChange: (state) => ({ ...state, format: null }),`),
  );
  t.strictSame(mended.refusals, [], 'codeChange may take it out');
});

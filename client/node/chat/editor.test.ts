/**
 * Keys to text, and flags to options.
 */

import t from 'tap';
import { parseArguments, tidyPhone } from './arguments.ts';
import { EMPTY_EDITOR, pressKey, textOf } from './editor.ts';
import type { Editor, EditorOutcome } from './editor.ts';

/** Presses keys: a name between angle brackets, `^x` for control, anything else typed. */
function press(editor: Editor, keys: string): { editor: Editor; outcomes: EditorOutcome[] } {
  const outcomes: EditorOutcome[] = [];
  for (const [, name, control, typed] of keys.matchAll(/<([a-z-]+)>|\^([a-z])|([^<^])/gu)) {
    const key = control === undefined ? { name: name ?? typed } : { name: control, ctrl: true };
    const outcome = pressKey(editor, typed ?? (control && '\u0001'), key);
    if (outcome.type !== 'quit') editor = outcome.editor;
    outcomes.push(outcome);
  }
  return { editor, outcomes };
}

const CASES: [string, string][] = [
  ['hello', 'hello'],
  ['helo<left>l', 'hello'],
  ['xhello<home><delete>', 'hello'],
  ['hello<left><left>^k', 'hel'],
  ['hello<left><left>^u', 'lo'],
  ['one two^w', 'one '],
  ['one two  ^w', 'one '],
  ['abc^a^d', 'bc'],
  ['ab<left><left><left>x', 'xab'],
  ['ab<right>x', 'abx'],
  ['a\u{1f44b}b<left><backspace>', 'ab'],
  ['e\u0301<backspace>', ''],
  ['<backspace><delete>', ''],
  ['<paste-start>a<return>b<paste-end>', 'a\nb'],
  ['<up><down><f>', ''],
];

for (const [keys, text] of CASES) {
  t.test(`${JSON.stringify(keys)} gives ${JSON.stringify(text)}`, async (t) => {
    t.equal(textOf(press(EMPTY_EDITOR, keys).editor), text);
  });
}

t.test('enter gives the line away and remembers it once', async (t) => {
  const first = press(EMPTY_EDITOR, ' hi <return>hi<return>ho<return>');
  t.same(
    first.outcomes.flatMap((outcome) => (outcome.type === 'entered' ? [outcome.text] : [])),
    ['hi', 'hi', 'ho'],
  );
  t.equal(textOf(first.editor), '');
  t.equal(textOf(press(first.editor, '<up>').editor), 'ho');
  t.equal(textOf(press(first.editor, '<up><up><up>').editor), 'hi');
  t.equal(textOf(press(first.editor, '<up><down>').editor), '');
});

t.test('control-c always quits, control-d on an empty line', async (t) => {
  t.equal(press(EMPTY_EDITOR, 'abc^c').outcomes.at(-1)!.type, 'quit');
  t.equal(press(EMPTY_EDITOR, '^d').outcomes.at(-1)!.type, 'quit');
  t.equal(press(EMPTY_EDITOR, 'abc^d').outcomes.at(-1)!.type, 'edited');
});

t.test('flags become options', async (t) => {
  t.match(parseArguments(['--as', '+49 151 00000001', '--to', '0049(151)000-00002', '--store', 'x']), {
    type: 'run',
    options: { phone: '+4915100000001', to: '+4915100000002', url: 'ws://127.0.0.1:7400', directory: 'x' },
  });
  t.match(parseArguments(['--as', '+4915100000001']), { options: { directory: /\.blindbeam.4915100000001$/ } });
  t.match(parseArguments(['--help']), { type: 'help' });
  t.equal(tidyPhone('+49 (151) 1-2.3'), '+49151123');
});

for (const argv of [[], ['--as', '123'], ['--as', '+4915100000001', '--to', 'Bob'], ['--bogus'], ['extra'], ['--as']]) {
  t.test(`${JSON.stringify(argv)} is wrong usage`, async (t) => {
    const parsed = parseArguments(argv);
    t.equal(parsed.type, 'wrong');
    t.match(parsed, { problem: /.+/ });
  });
}

t.test('an address that no WebSocket has is wrong usage', async (t) => {
  for (const url of ['http://x', 'nonsense']) {
    t.match(parseArguments(['--as', '+4915100000001', '--url', url]), { type: 'wrong', problem: /--url/ });
  }
});

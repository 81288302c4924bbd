/**
 * The line that a person is typing: keys to text and cursor, as a pure function.
 *
 * It counts in grapheme clusters, so that one backspace takes one character whatever it is made of. It knows no
 * terminal; `terminal.ts` names the keys as Node's `readline` does.
 */

import { clustersOf, printable } from './text-width.ts';

/** A key as `readline` reports it. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

/** The line in the making. */
export interface Editor {
  readonly clusters: readonly string[];
  /** 0 to the number of clusters. */
  readonly cursor: number;
  /** Lines entered before, oldest first. */
  readonly past: readonly string[];
  /** Which of them is shown; the length of `past` for none. */
  readonly place: number;
  /** Inside a bracketed paste, where Enter is a line feed. */
  readonly isPasting: boolean;
}

/** What a key led to. */
export type EditorOutcome =
  | { readonly type: 'edited'; readonly editor: Editor }
  | { readonly type: 'entered'; readonly editor: Editor; readonly text: string }
  | { readonly type: 'quit' };

/** Lines remembered. */
const PAST_COUNT_MAX = 100;

/** An empty line. */
export const EMPTY_EDITOR: Editor = Object.freeze({ clusters: [], cursor: 0, past: [], place: 0, isPasting: false });

/** The text so far. */
export function textOf(editor: Editor): string {
  return editor.clusters.join('');
}

/** Decides what a key does. @param input - The characters that the key stands for, if any. */
export function pressKey(editor: Editor, input: string | undefined, key: Key): EditorOutcome {
  if (key.name === 'paste-start') return edited({ ...editor, isPasting: true });
  if (key.name === 'paste-end') return edited({ ...editor, isPasting: false });
  if (key.name === 'return' || key.name === 'enter') {
    return editor.isPasting ? edited(insert(editor, '\n')) : enter(editor);
  }
  if (key.ctrl === true) return pressControl(editor, key.name);
  const move = MOVES[key.name ?? ''];
  if (move !== undefined) return edited(move(editor));
  const isText = input !== undefined && key.meta !== true && !/^[\u0000-\u001f\u007f]/.test(input);
  return edited(isText ? insert(editor, input) : editor);
}

function pressControl(editor: Editor, name: string | undefined): EditorOutcome {
  if (name === 'c') return { type: 'quit' };
  if (name === 'd') return editor.clusters.length === 0 ? { type: 'quit' } : edited(erase(editor, editor.cursor, 1));
  const control = CONTROLS[name ?? ''];
  return edited(control === undefined ? editor : control(editor));
}

const MOVES: Readonly<Record<string, (editor: Editor) => Editor>> = {
  left: (editor) => moveTo(editor, editor.cursor - 1),
  right: (editor) => moveTo(editor, editor.cursor + 1),
  home: (editor) => moveTo(editor, 0),
  end: (editor) => moveTo(editor, editor.clusters.length),
  up: (editor) => recall(editor, editor.place - 1),
  down: (editor) => recall(editor, editor.place + 1),
  backspace: (editor) => erase(editor, editor.cursor - 1, 1),
  delete: (editor) => erase(editor, editor.cursor, 1),
};

const CONTROLS: Readonly<Record<string, (editor: Editor) => Editor>> = {
  a: (editor) => moveTo(editor, 0),
  e: (editor) => moveTo(editor, editor.clusters.length),
  b: (editor) => moveTo(editor, editor.cursor - 1),
  f: (editor) => moveTo(editor, editor.cursor + 1),
  h: (editor) => erase(editor, editor.cursor - 1, 1),
  k: (editor) => erase(editor, editor.cursor, Infinity),
  u: (editor) => erase(editor, 0, editor.cursor),
  w: eraseWord,
};

function enter(editor: Editor): EditorOutcome {
  const text = textOf(editor).trim();
  const past = text === '' || text === editor.past.at(-1) ? editor.past : [...editor.past, text].slice(-PAST_COUNT_MAX);
  return { type: 'entered', text, editor: { ...EMPTY_EDITOR, past, place: past.length } };
}

function insert(editor: Editor, text: string): Editor {
  const { clusters, cursor } = editor;
  const before = clusters.slice(0, cursor).join('') + printable(text);
  // Split anew: what is inserted may join with what stands before it, as an accent does.
  const head = clustersOf(before);
  return { ...editor, clusters: [...head, ...clusters.slice(cursor)], cursor: head.length };
}

function erase(editor: Editor, start: number, count: number): Editor {
  if (start < 0) return editor;
  const clusters = [...editor.clusters.slice(0, start), ...editor.clusters.slice(start + count)];
  return { ...editor, clusters, cursor: Math.min(start, clusters.length) };
}

function eraseWord(editor: Editor): Editor {
  const head = editor.clusters.slice(0, editor.cursor).join('');
  const start = clustersOf(head.replace(/\S+\s*$/, '')).length;
  return erase(editor, start, editor.cursor - start);
}

function moveTo(editor: Editor, cursor: number): Editor {
  return { ...editor, cursor: Math.max(0, Math.min(editor.clusters.length, cursor)) };
}

function recall(editor: Editor, place: number): Editor {
  if (place < 0 || place > editor.past.length) return editor;
  const clusters = clustersOf(editor.past[place] ?? '');
  return { ...editor, clusters, cursor: clusters.length, place };
}

function edited(editor: Editor): EditorOutcome {
  return { type: 'edited', editor };
}

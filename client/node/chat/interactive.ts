/**
 * The chat on a terminal: keys to the session, its model to the screen.
 *
 * Many changes of one turn are drawn once. Read next: `screen.ts`.
 */

import type { Client, Clock } from '../../index.ts';
import { Attendance } from './attendance.ts';
import { pressKey } from './editor.ts';
import type { Key } from './editor.ts';
import { authorName } from './model.ts';
import { renderItem, renderScreen } from './screen.ts';
import { ChatSession } from './session.ts';
import { Terminal } from './terminal.ts';

/** What an interactive chat needs. */
export interface InteractiveOptions {
  readonly client: Client;
  readonly to: string | undefined;
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly colour: boolean;
  readonly clock: Clock;
  /** Aborts when the process is asked to end. */
  readonly signal: AbortSignal;
}

/** Runs until the person quits, or the client gives up. @returns The exit code. */
export async function chatInteractively(options: InteractiveOptions): Promise<number> {
  const { client, to, input, output, colour, clock, signal } = options;
  let isDrawDue = false;
  let over!: (code: number) => void;
  const end = new Promise<number>((resolve) => (over = resolve));
  const attendance = new Attendance(client, clock, scheduleDraw);
  const session = new ChatSession(client, () => clock.nowMs(), { onChange: scheduleDraw, onOver: over });
  const terminal = new Terminal(input, output, { onKey, onResize: scheduleDraw, onEnd: () => session.quit() });
  signal.addEventListener('abort', () => session.quit());
  void session.start(to);
  scheduleDraw();
  const code = await end;
  attendance.close();
  terminal.close();
  // The alternate screen took the last words with it; what went wrong must be readable afterwards.
  if (code !== 0) for (const line of lastWords(session)) output.write(`${line}\n`);
  return code;

  function onKey(text: string | undefined, key: Key): void {
    const outcome = pressKey(session.model.editor, text, key);
    if (outcome.type === 'quit') return session.quit();
    session.edit(outcome.editor);
    attendance.key(outcome.editor.clusters.join(''));
    if (outcome.type === 'entered') void session.enter(outcome.text);
  }

  function scheduleDraw(): void {
    if (isDrawDue) return;
    isDrawDue = true;
    queueMicrotask(() => {
      isDrawDue = false;
      const { peer } = session.model;
      attendance.show(peer);
      const typists = attendance.typists.map(({ user }) => authorName(peer!, user));
      const model = { ...session.model, presence: attendance.presence, typists };
      terminal.draw(renderScreen(model, { rows: terminal.rows, columns: terminal.columns, colour }));
    });
  }
}

function lastWords(session: ChatSession): string[] {
  const last = session.model.items.at(-1);
  return last?.type === 'notice' ? renderItem(last, { rows: 1, columns: 1_000, colour: false }) : [];
}

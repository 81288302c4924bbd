/**
 * The chat without a terminal: a line of input is a message, a line of output is an event, and nothing is ever redrawn.
 *
 * At the end of the input it waits until everything is on the server, so that `echo hello | blindbeam chat …` either
 * has sent its message or says so with exit code 1.
 */

import type { Client } from '../../index.ts';
import { renderItem } from './screen.ts';
import { ChatSession } from './session.ts';
import type { ChatItem, ChatModel } from './model.ts';
import type { Clock } from '../../index.ts';

/** What a piped chat needs. */
export interface PipedOptions {
  readonly client: Client;
  readonly to: string | undefined;
  readonly lines: AsyncIterable<string>;
  readonly print: (line: string) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** How long the end of input waits for the server. */
const DRAIN_TIMEOUT_MS = 10_000;
const DRAIN_POLL_MS = 50;

const PLAIN = { rows: 1, columns: 100_000, colour: false } as const;

/** Runs until the input ends or the client gives up. @returns 0, or 1 when something was not sent. */
export async function chatPiped(options: PipedOptions): Promise<number> {
  const { client, to, lines, print, clock, signal } = options;
  const printed = new Map<string, string>();
  let over!: (code: number) => void;
  const end = new Promise<number>((resolve) => (over = resolve));
  const session = new ChatSession(client, () => clock.nowMs(), { onChange: printNews, onOver: over });
  signal.addEventListener('abort', () => session.quit());
  let isStarted = false;
  void session.start(to).then(() => (isStarted = true));
  void feed();
  return end;

  async function feed(): Promise<void> {
    await until(() => isStarted);
    if (to !== undefined && session.model.peer === undefined) return giveUp();
    for await (const line of lines) await session.enter(line.trim());
    const isSent = await until(() => client.outboxSize === 0);
    session.quit(isSent && !hasRefused(session.model) ? 0 : 1);
  }

  /** There is nobody to send the input to: better to send none of it than to pretend. */
  function giveUp(): void {
    if (client.state !== 'live') print('The server cannot be reached; nothing was sent.');
    session.quit(1);
  }

  /** Prints entries that are new, and messages again when their state or what they say is. */
  function printNews(model: ChatModel): void {
    for (const [place, item] of model.items.entries()) {
      const key = item.type === 'notice' ? `notice ${place} ${item.text}` : `${item.type} ${keyOf(item)}`;
      const state = item.type === 'sent' ? item.state : '';
      const shown = `${state} ${item.text}`;
      if (printed.get(key) === shown || state === 'queued') continue;
      printed.set(key, shown);
      for (const line of renderItem(item, PLAIN)) print(line);
    }
  }

  async function until(isTrue: () => boolean): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < DRAIN_TIMEOUT_MS; waitedMs += DRAIN_POLL_MS) {
      if (isTrue()) return true;
      await new Promise<void>((resolve) => void clock.setTimer(DRAIN_POLL_MS, resolve));
    }
    return false;
  }
}

function keyOf(item: ChatItem & { readonly type: 'received' | 'sent' }): string {
  return item.type === 'received' ? item.id : `${item.number ?? item.id}`;
}

function hasRefused(model: ChatModel): boolean {
  return model.items.some((item) => item.type === 'sent' && item.state === 'refused');
}

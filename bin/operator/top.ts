/**
 * `blindbeam top`: the terminal around `top-view.ts`. Live in a terminal; once, as plain text, where there is none. Adapter:
 * it owns the screen, the keys and their order with the frames that come.
 */

import { emitKeypressEvents } from 'node:readline';
import type { ActorDetails } from '../../actors/admin/actor-questions.ts';
import type { TopFrame } from '../../actors/admin/top.ts';
import type { NodeList, NodeMap } from '../../actors/nodes/verbs.ts';
import type { AdminClient } from './client.ts';
import type { LiveOptions } from './command.ts';
import { harmless, harmlessJson } from './text.ts';
import {
  FIRST_VIEW,
  pressKey,
  renderTop,
  type Line,
  type NodesLook,
  type RankBy,
  type TopDetails,
  type TopView,
} from './top-view.ts';

interface TopParameters {
  readonly by: RankBy;
  readonly rows: number;
  readonly behavior?: string | undefined;
  readonly intervalMs: number;
  readonly frames: number;
}

/** Resolves to the exit code. */
export async function runTop(client: AdminClient, parameters: object, { json }: LiveOptions): Promise<number> {
  const given = parameters as TopParameters;
  if (json) return printJson(client, given);
  if (!process.stdout.isTTY || !process.stdin.isTTY) return printOnce(client, given);
  return new Observer(client, given).run();
}

/** A line for each frame, for programs. */
async function printJson(client: AdminClient, parameters: TopParameters): Promise<number> {
  const frames = parameters.frames === 0 && !process.stdout.isTTY ? 2 : parameters.frames;
  let last: TopFrame | undefined;
  for await (const frame of client.watch<TopFrame>('top', { ...parameters, frames })) {
    last = frame;
    if (parameters.frames !== 0) process.stdout.write(`${harmlessJson(frame)}\n`);
  }
  if (parameters.frames === 0 && last !== undefined) process.stdout.write(`${harmlessJson(last)}\n`);
  return 0;
}

/** The second of two frames: rates need two. */
async function printOnce(client: AdminClient, parameters: TopParameters): Promise<number> {
  let last: TopFrame | undefined;
  const frames = Math.max(2, parameters.frames);
  for await (const frame of client.watch<TopFrame>('top', { ...parameters, frames })) last = frame;
  const view: TopView = { ...FIRST_VIEW, by: parameters.by, behavior: parameters.behavior, selected: -1 };
  const size = { columns: 200, lines: parameters.rows + last!.workers.length + 6 };
  const lines = renderTop(last!, view, undefined, size).slice(0, -1);
  process.stdout.write(
    `${lines
      .map(({ text }) => harmless(text).trimEnd())
      .join('\n')
      .trimEnd()}\n`,
  );
  return 0;
}

const ESC = '\u001b[';
const ENTER_SCREEN = `${ESC}?1049h${ESC}?25l`;
const LEAVE_SCREEN = `${ESC}?25h${ESC}?1049l`;
const STYLES: Readonly<Record<string, string>> = { bold: '1', reverse: '7', dim: '2', warn: '33' };

/** Whoever ends it from outside gets the terminal back as well. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

class Observer {
  readonly #client: AdminClient;
  readonly #rows: number;
  #view: TopView;
  #frame: TopFrame | undefined;
  #details: TopDetails | undefined;
  #looking: AbortController = new AbortController();
  #end: (code: number) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(client: AdminClient, { by, rows, behavior, intervalMs }: TopParameters) {
    this.#client = client;
    this.#rows = Math.max(rows, 100);
    this.#view = { ...FIRST_VIEW, by, behavior, intervalMs };
  }

  async run(): Promise<number> {
    const { stdin, stdout } = process;
    const ended = new Promise<number>((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    const onKey = (text: string | undefined, key: { name?: string; ctrl?: boolean }): void => this.#press(text, key);
    const onResize = (): void => this.#draw();
    emitKeypressEvents(stdin);
    stdin.setRawMode(true);
    stdin.on('keypress', onKey);
    const onSignal = (): void => this.#end(1);
    for (const signal of SIGNALS) process.once(signal, onSignal);
    stdout.on('resize', onResize);
    stdout.write(ENTER_SCREEN);
    this.#look();
    try {
      return await ended;
    } finally {
      this.#looking.abort();
      stdin.off('keypress', onKey);
      for (const signal of SIGNALS) process.off(signal, onSignal);
      stdout.off('resize', onResize);
      stdin.setRawMode(false);
      stdin.pause();
      stdout.write(LEAVE_SCREEN);
    }
  }

  /** Follows what the view asks for; what was followed before is left. */
  #look(): void {
    this.#looking.abort();
    const looking = new AbortController();
    this.#looking = looking;
    const { by, behavior, intervalMs } = this.#view;
    const parameters = { by, rows: this.#rows, intervalMs, ...(behavior === undefined ? undefined : { behavior }) };
    void this.#follow(parameters, looking.signal).catch((error: Error) => this.#fail(error));
  }

  async #follow(parameters: object, signal: AbortSignal): Promise<void> {
    for await (const frame of this.#client.watch<TopFrame>('top', parameters, signal)) {
      if (signal.aborted) return;
      if (this.#view.isPaused) continue;
      this.#frame = frame;
      await this.#inspect();
      this.#draw();
    }
  }

  async #inspect(): Promise<void> {
    const { pid, page } = this.#view;
    if (page !== 'nodes' && pid === undefined) return;
    const details = await this.#ask(page, pid).catch((error: Error) => ({ problem: error.message }));
    // An answer for a page that has been left meanwhile is for nobody.
    if (page === this.#view.page && pid === this.#view.pid) this.#details = details;
  }

  async #ask(page: TopView['page'], pid: string | undefined): Promise<TopDetails> {
    if (page === 'nodes') return { nodes: await this.#lookAtNodes() };
    return { actor: await this.#client.request<ActorDetails>('actor.inspect', { actor: pid }, 2_000) };
  }

  async #lookAtNodes(): Promise<NodesLook> {
    const ask = <Answer extends object>(verb: string): Promise<Answer> => this.#client.request(verb, {}, 5_000);
    const list = await ask<NodeList>('node.list');
    return { list, map: list.cluster === undefined ? undefined : await ask<NodeMap>('node.map') };
  }

  #press(text: string | undefined, key: { name?: string; ctrl?: boolean }): void {
    const name = key.ctrl === true ? `ctrl-${key.name}` : (key.name ?? text ?? '');
    const before = this.#view;
    const view = pressKey(before, name, this.#frame);
    if (view === undefined) return this.#end(0);
    this.#view = view;
    const isOther = view.by !== before.by || view.behavior !== before.behavior || view.intervalMs !== before.intervalMs;
    if (isOther) this.#look();
    if (view.pid !== before.pid || view.page !== before.page) {
      this.#details = undefined;
      void this.#inspect().then(() => this.#draw());
    }
    this.#draw();
  }

  #draw(): void {
    if (this.#frame === undefined) return;
    const { columns = 80, rows: lines = 24 } = process.stdout;
    const rendered = renderTop(this.#frame, this.#view, this.#details, { columns, lines });
    const text = rendered.map((line) => `${ESC}K${styled(line)}`).join('\r\n');
    process.stdout.write(`${ESC}H${text}${ESC}J`);
  }
}

function styled(line: Line): string {
  const text = harmless(line.text);
  const { style } = line;
  const code = style === undefined || process.env['NO_COLOR'] !== undefined ? undefined : STYLES[style];
  return code === undefined ? text : `${ESC}${code}m${text}${ESC}0m`;
}

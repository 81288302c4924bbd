import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ReloadReport } from '../../actors/reload/report.ts';
import type { FaultCode } from '../../runtime/reload/verdict.ts';
import type { ReloadProgress } from '../../actors/reload/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { blindbeam } from './operator-command.ts';
import { newPerson, pause, until, type Person, PATIENCE_MS } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

/** A version of the connection as an engineer would edit it, in a file beside: the original with `changes` over it. */
function writeVariant(directory: string, version: number, changes: string): string {
  const file = join(directory, `connection-${version}.ts`);
  writeFileSync(
    file,
    `import { connection as original } from '${join(ROOT, 'actors/connection.ts')}';
/** The state of a living actor, and not its stand-in in a check. */
const isLive = (state) => Object.getPrototypeOf(state.socket) !== null;
const spin = (ms) => { const began = process.hrtime.bigint(); while (process.hrtime.bigint() - began < BigInt(ms * 1e6)); };
export const connection = { ...original, version: ${version}, ${changes} };
`,
  );
  return file;
}

const SHAPE = `
  init: (args, ctx) => ({ ...original.init(args, ctx), greeting: 'new' }),
  codeBack: ({ greeting, ...state }) => state,`;

/** Two people who write to each other all the time, and a look at what came of it. */
class Chat {
  readonly #people: readonly [Person, Person];
  readonly #states: string[] = [];
  #sent: number = 0;
  #isOver: boolean = false;
  readonly #loop: Promise<void>;

  constructor(people: readonly [Person, Person]) {
    this.#people = people;
    for (const { client } of people) {
      client.onState((state) => void this.#states.push(state));
    }
    this.#loop = this.#talk();
  }

  static async begin(t: Test, server: ServerProcess, serial: number): Promise<Chat> {
    const one = await newPerson(t, server, `+49151000000${serial}1`);
    const other = await newPerson(t, server, `+49151000000${serial}2`);
    return new Chat([one, other]);
  }

  async #talk(): Promise<void> {
    const [one, other] = this.#people;
    while (!this.#isOver) {
      await Promise.all([one.client.send(other.phone, `${this.#sent}`), other.client.send(one.phone, `${this.#sent}`)]);
      this.#sent += 1;
      await pause(5);
    }
  }

  /** Nobody lost a connection, and each message came once and in order. */
  async check(t: Test): Promise<void> {
    // A slow machine has said little by now.
    await until('enough messages', PATIENCE_MS, () => this.#sent > 20);
    this.#isOver = true;
    await this.#loop;
    await until('the last messages', PATIENCE_MS, () =>
      this.#people.every(({ received }) => received.length >= this.#sent),
    );
    await pause(50);
    const wanted = Array.from({ length: this.#sent }, (_, index) => `${index}`);
    for (const { received } of this.#people)
      t.strictSame(
        received.map(({ text }) => text),
        wanted,
        'once, in order',
      );
    t.strictSame(this.#states, [], 'no connection was lost');
  }
}

/** From the order to the version before. */
const BACK_MS_MAX = 2_000;
/**
 * What holds up this process a little may hold up the node, which computes while this one waits, much longer. So the bound is sharp on a machine that
 * does nothing else, and only there.
 */
const STALL_FACTOR = 100;
const STALL_LOOK_MS = 10;
/** Timers come that late on a machine that does nothing else. */
const STALL_MS_MIN = 3;

/** Counts by how much the machine holds up this process from now on. @returns What ends the count and tells it, in milliseconds. */
function watchStalls(): () => number {
  let stalledMs = 0;
  let lookedAtMs = performance.now();
  const timer = setInterval(() => {
    const lateMs = performance.now() - lookedAtMs - STALL_LOOK_MS;
    if (lateMs > STALL_MS_MIN) stalledMs += lateMs;
    lookedAtMs = performance.now();
  }, STALL_LOOK_MS);
  return () => {
    clearInterval(timer);
    return stalledMs;
  };
}

/** As the command does, without a process of its own each time. */
async function reload(directory: string, parameters: object): Promise<ReloadReport> {
  const client = await AdminClient.connect(join(directory, 'admin.sock'), PATIENCE_MS);
  try {
    const request = { name: 'actors/connection', ...parameters };
    for await (const value of client.watch<ReloadProgress>('reload', request)) {
      if ('report' in value) return value.report;
    }
    throw new Error('a reload without a report');
  } finally {
    client.close();
  }
}

/** What a version is taken back for that is slow, or that the machine holds up for a quarter of a second within a handler. */
const SLOW: readonly (FaultCode | undefined)[] = ['code_change_slow', 'handler_stalled', 'handlers_slow'];
const TRIES = 5;

/** The reload of a version that is not slow: where it was held up it is tried again, and one that is slow is slow each time. */
async function reloadUnhurried(directory: string, parameters: object): Promise<ReloadReport> {
  for (let tries = 1; ; tries++) {
    const report = await reload(directory, parameters);
    if (!SLOW.includes(report.fault?.code) || tries === TRIES) return report;
  }
}

t.test('a behaviour is changed under two people who chat, and taken back, and neither notices', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '2', '--metrics-port', '0']);
  const chat = await Chat.begin(t, server, 1);
  const file = writeVariant(
    directory,
    1,
    `${SHAPE}
    codeChange: (state) => ({ ...state, greeting: 'converted' }),
    handleCast(message, state, ctx) {
      if (message.kind === 'frames') ctx.log.info('the_new_version', { greeting: state.greeting });
      return original.handleCast.call(this, message, state, ctx);
    },`,
  );
  // A second, in which messages come on a machine that is held up, too.
  const checked = await reload(directory, { file, check: true, record: 1_000 });
  t.match(checked, { outcome: 'checked', from: 0, to: 1, refusals: [], check: { sampled: 2 } });
  t.ok(checked.check!.replayed > 0, `${checked.check!.replayed} messages were replayed`);
  t.notOk(
    server.lines.some(({ event }) => event === 'the_new_version'),
    'a check runs nothing of it for real',
  );

  const report = await reloadUnhurried(directory, { file, observe: 2_000 });
  t.match(report, { outcome: 'kept', from: 0, to: 1, counts: { conversions: { done: 2, failed: 0 } } });
  t.ok(report.counts!.next.handled > 0, 'the new version handled messages');
  await server.line(({ event, greeting }) => event === 'the_new_version' && greeting === 'converted');
  const late = await newPerson(t, server, '+4915100000099');
  await server.line(({ event, greeting }) => event === 'the_new_version' && greeting === 'new');
  await late.client.close();

  t.match(await blindbeam('reload', 'rollback', 'actors/connection', '--data', directory), {
    status: 0,
    out: /1 → 0: taken back/,
  });
  t.match(await reload(directory, { file, check: true }), { from: 0, outcome: 'checked' });
  await chat.check(t);
  t.match(await blindbeam('reload', 'history', '--data', directory), { out: /#\d .*taken back[^]*#\d .*reloaded/ });
});

t.test(
  'a version that fails where no check can see it is taken back by itself, and every connection lives',
  async (t) => {
    const directory = temporaryDirectory(t);
    const server = await ServerProcess.start(t, directory, ['--workers', '1', '--metrics-port', '0']);
    const chat = await Chat.begin(t, server, 2);
    for (let serial = 0; serial < 3; serial++) await newPerson(t, server, `+491510000003${serial}`);
    const faults = [
      {
        code: 'code_change_threw',
        changes: `${SHAPE} codeChange(state) {
        if (isLive(state) && state.rates?.messages !== undefined) throw new TypeError('planted');
        return { ...state, greeting: '' };
      },`,
      },
      {
        code: 'code_change_slow',
        changes: `${SHAPE} codeChange(state) {
        if (isLive(state)) spin(40);
        return { ...state, greeting: '' };
      },`,
      },
      {
        code: 'handler_threw',
        changes: `handleCast(message, state, ctx) {
        // It takes the answer of the inbox for one of a later protocol.
        if (isLive(state) && message.kind === 'sent') return state.socket.write(message.stanza.tag);
        return original.handleCast.call(this, message, state, ctx);
      },`,
      },
      {
        code: 'handler_stalled',
        changes: `handleCast(message, state, ctx) {
        if (isLive(state) && message.kind === 'frames') spin(260);
        return original.handleCast.call(this, message, state, ctx);
      },`,
      },
    ];
    for (const [index, { code, changes }] of faults.entries()) {
      const file = writeVariant(directory, index + 1, changes);
      const stalledMs = watchStalls();
      const report = await reload(directory, { file, observe: PATIENCE_MS });
      const boundMs = Math.min(BACK_MS_MAX + STALL_FACTOR * stalledMs(), PATIENCE_MS);
      t.match(report, { outcome: 'rolled_back', fault: { code }, to: index + 1 }, code);
      t.ok(
        report.tookMs < boundMs,
        `${code}: back after ${report.tookMs.toFixed(0)} ms, of ${boundMs.toFixed(0)} at most`,
      );
      const next = await reload(directory, { file: writeVariant(directory, 99, ''), check: true, record: 0 });
      t.equal(next.from, 0, 'the version before runs');
    }
    await chat.check(t);
    t.match(await blindbeam('reload', 'history', '--data', directory), {
      out: /handler_stalled[^]*handler_threw[^]*handleCast: TypeError[^]*code_change_slow[^]*code_change_threw[^]*planted/,
    });
  },
);

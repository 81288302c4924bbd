/** The faults that the kit plants are the faults that they say they are, and runs with them are told from runs without. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ClientFrameWriter, OPCODE } from '../generator/websocket.ts';
import type { XmppLine, XmppSpeaker } from '../generator/xmpp-line.ts';
import { XmppLoad, type XmppEnds } from '../generator/xmpp-load.ts';
import { judgeLateness } from '../harness/trust.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import { Recorder, type Report } from '../harness/report.ts';
import { LIMITS } from '../limits.ts';
import { runBench } from '../run.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { createMessagesWorkload } from '../workloads/messages.ts';
import { judgeSlowness, Starvation } from './control.ts';
import { FrameCutter, type Piece } from './frame-cutter.ts';
import { DelayLine, type Slowness } from './slow-proxy.ts';

/** An upgrade, a short message, a ping, a message with a 16-bit length. */
function clientBytes(): { readonly parts: readonly Buffer[]; readonly areMessages: readonly boolean[] } {
  const frame = (opcode: number, bytes: number): Buffer => {
    const writer = new ClientFrameWriter();
    writer.frame(opcode, new Uint8Array(bytes).fill(0x0d));
    return Buffer.from(writer.bytes());
  };
  const upgrade = Buffer.from('GET /ws HTTP/1.1\r\nHost: x\r\n\r\n');
  const parts = [upgrade, frame(OPCODE.binary, 100), frame(OPCODE.ping, 3), frame(OPCODE.binary, 3_000)];
  return { parts, areMessages: [false, true, false, true] };
}

t.test('a stream is cut at its messages, wherever the network cuts it', async (t) => {
  const { parts, areMessages } = clientBytes();
  const stream = Buffer.concat(parts);
  for (const step of [1, 2, 7, 29, 101, 1_000, stream.length]) {
    const cutter = new FrameCutter();
    const pieces: Piece[] = [];
    for (let at = 0; at < stream.length; at += step) pieces.push(...cutter.take(stream.subarray(at, at + step)));
    const bytes = pieces.map((piece) => piece.bytes);
    t.ok(Buffer.concat(bytes).equals(stream), `nothing is lost, ${step} bytes at a time`);
    t.strictSame(
      pieces.map(({ isMessage }) => isMessage),
      areMessages,
    );
    t.strictSame(
      bytes.map(({ length }) => length),
      parts.map(({ length }) => length),
    );
  }
});

t.test('one message in so many is held, and what comes behind it waits with it, in order', async (t) => {
  const clock = new ManualClock();
  const written: [number, string][] = [];
  const line = new DelayLine({ every: 3, delayMs: 50 }, 0, clock, (bytes) =>
    written.push([clock.nowMs(), String(bytes)]),
  );
  for (const text of ['1', '2', '3', '4', '5']) {
    line.take(Buffer.from(text), true);
    await clock.pass(10);
  }
  line.take(Buffer.from('pong'), false);
  await clock.pass(10);
  line.take(Buffer.from('6'), true);
  await clock.pass(200);
  line.take(Buffer.from('7'), true);
  t.strictSame(written, [
    [0, '1'],
    [10, '2'],
    [70, '3'],
    [70, '4'],
    [70, '5'],
    [70, 'pong'],
    [110, '6'],
    [260, '7'],
  ]);
});

t.test('a starved generator stands still for a fifth of the time, and is left running', async (t) => {
  const clock = new ManualClock();
  const signals: [number, number, string][] = [];
  const control = new Starvation('ws://x', clock, (pid, name) => signals.push([clock.nowMs(), pid, name]));
  control.begin([7]);
  await clock.pass(1_600);
  control.end();
  await clock.pass(2_000);
  t.strictSame(signals, [
    [500, 7, 'SIGSTOP'],
    [700, 7, 'SIGCONT'],
    [1_500, 7, 'SIGSTOP'],
    [1_600, 7, 'SIGCONT'],
  ]);
  t.throws(() => control.judge(new Recorder()), { code: 'BENCH_CONTROL' }, 'who does not notice is told');
});

t.test('a slow server that does not show, or shows everywhere, is no control', async (t) => {
  const histogram = (...latencies: readonly (readonly [ms: number, count: number])[]): LatencyHistogram => {
    const found = new LatencyHistogram();
    for (const [ms, count] of latencies) found.record(ms, count);
    return found;
  };
  const recorder = new Recorder();
  judgeSlowness(recorder, histogram([1, 980], [51, 20]));
  t.match(recorder.notes, [/it was seen: p50 1.0, p99 51/]);
  for (const unseen of [histogram([1, 1_000]), histogram([51, 1_000]), histogram([1, 980], [40, 20])]) {
    t.throws(() => judgeSlowness(recorder, unseen), { code: 'BENCH_CONTROL' });
  }
  const busy = histogram([60, 980], [110, 20]);
  t.throws(() => judgeSlowness(recorder, busy), { code: 'BENCH_CONTROL', detail: /nothing else to do/ });
});

/** A generator before a server that answers after a fifth of a millisecond, on a clock that a test moves. */
class Simulation {
  readonly clock: ManualClock = new ManualClock();
  readonly load: XmppLoad;

  /** @param slowness - Of the proxy between the two. */
  constructor(pairs: number, slowness: Slowness | undefined) {
    const ends = Array.from({ length: pairs }, (_, index) => this.#pair(index, slowness));
    this.load = new XmppLoad(ends, 100, this.clock);
    this.load.tally.open(0);
    this.load.begin({ kind: 'open', ratePerSecond: 400, index: 0, count: 1 });
  }

  #pair(index: number, slowness: Slowness | undefined): XmppEnds {
    const recipient: { speaker?: XmppSpeaker; wake(): void } = { wake: () => undefined };
    const deliver = (bytes: Buffer): void => void this.clock.after(0.2, () => recipient.speaker!.hear(String(bytes)));
    const line = slowness === undefined ? undefined : new DelayLine(slowness, index * 37, this.clock, deliver);
    const send = (stanza: string): void =>
      line === undefined ? deliver(Buffer.from(stanza)) : line.take(Buffer.from(stanza), true);
    const say = (): void =>
      sender
        .speaker!.speak()
        .split(/(?<=<\/message>)/)
        .filter(Boolean)
        .forEach(send);
    const sender: { speaker?: XmppSpeaker; wake(): void } = { wake: () => this.clock.atTurnEnd(say) };
    return { sender: sender as XmppLine, recipient: recipient as XmppLine, recipientAccount: index };
  }
}

t.test('one message in a hundred that is 50 ms late shows at p99 and p99.9, and not at p50', async (t) => {
  const { controlSlowEvery: every, controlSlowMs: delayMs } = LIMITS;
  const slow = new Simulation(4, { every, delayMs });
  await slow.clock.pass(10_000);
  const { delivery, count } = { delivery: slow.load.tally.delivery, count: slow.load.tally.delivery.count };
  t.ok(count > 3_900, `${count} messages`);
  t.ok(delivery.percentileMs(50)! < 2, `p50 ${delivery.percentileMs(50)}`);
  t.ok(delivery.percentileMs(99)! >= delayMs / 2, `p99 ${delivery.percentileMs(99)}`);
  t.ok(delivery.percentileMs(99.9)! >= delayMs, `p99.9 ${delivery.percentileMs(99.9)}`);
  const recorder = new Recorder();
  judgeSlowness(recorder, delivery);
  judgeLateness(recorder, 'half load', slow.load.tally);
  t.strictSame([recorder.distrusted.length, recorder.notes.length], [0, 1], 'and the generator is not to blame');
  const sound = new Simulation(4, undefined);
  await sound.clock.pass(10_000);
  t.throws(() => judgeSlowness(recorder, sound.load.tally.delivery), { code: 'BENCH_CONTROL' });
});

t.test(
  'a generator that stands still shows in what was intended, not in what was written, and is blamed',
  async (t) => {
    const starved = new Simulation(4, undefined);
    for (let second = 0; second < 10; second += 1) {
      await starved.clock.pass(LIMITS.controlStarvedEveryMs - LIMITS.controlStarvedMs);
      starved.clock.stall(LIMITS.controlStarvedMs);
    }
    await starved.clock.pass(1);
    const { delivery, raw } = starved.load.tally;
    t.ok(delivery.percentileMs(99)! > 150, `corrected ${delivery.percentileMs(99)}`);
    t.ok(raw.percentileMs(99)! < 5, `raw ${raw.percentileMs(99)}: the omission`);
    const recorder = new Recorder();
    judgeLateness(recorder, 'half load', starved.load.tally);
    t.match(recorder.distrusted, [/the generator was late \(by 1\d\d\.\d of 1\d\d\.\d ms at p99\)/]);
  },
);

const STAND_IN: string = fileURLToPath(new URL('../testing/stand-in-main.js', import.meta.url));
const SMALL = ['messages', '--pairs', '3', '--in-flight', '4', '--warm-up', '0', '--seconds', '1', '--rate', '300'];

/** A whole run of the workload, small, with real processes. */
async function runWith(t: Test, ...flags: readonly string[]): Promise<{ code: number; out: string; report: Report }> {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-control-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'report.json');
  const told = { out: '', err: '' };
  const io = {
    out: (text: string) => void (told.out += text),
    err: (text: string) => void (told.err += text),
    isTty: false,
    onInterrupt: () => () => undefined,
  };
  const workload = createMessagesWorkload({ serverScript: STAND_IN, withCeilings: false });
  const code = await runBench([...SMALL, ...flags, '--json', file], io, [workload]);
  return { code, out: told.out + told.err, report: JSON.parse(readFileSync(file, 'utf8')) as Report };
}

/*
 * With real processes and real time only a lower bound is certain: a machine that is busy with other tests adds to every latency. What it
 * must look like on a quiet one is said above.
 */

t.test('a real proxy holds real messages, and the run says what it saw', async (t) => {
  const { code, out, report } = await runWith(t, '--control', 'slow');
  const value = (name: string): number => report.metrics[name]!.value;
  t.equal(report.params.control, 'slow');
  t.ok(value('p99_ms') >= LIMITS.controlSlowMs / 2, `p99 ${value('p99_ms')}`);
  t.ok(value('p999_ms') >= LIMITS.controlSlowMs * 0.98, `p99.9 ${value('p999_ms')}`);
  const isSeen = value('p50_ms') < LIMITS.controlSlowMs / 2;
  t.equal(code, isSeen ? 0 : 1, out);
  t.match(out, isSeen ? /control: .* and it was seen/ : /BENCH_CONTROL/);
});

t.test('a real generator that is stopped was late, and fails a run with --check', async (t) => {
  const { code, out, report } = await runWith(t, '--control', 'starved', '--check');
  t.equal(code, 1);
  const value = (name: string): number => report.metrics[name]!.value;
  t.ok(value('p99_ms') > 100, `what was intended counts: ${value('p99_ms')}`);
  t.ok(value('half_load_sending_p99_ms') > 100, `late by ${value('half_load_sending_p99_ms')}`);
  const isMost = value('half_load_sending_p99_ms') >= value('p99_ms') * LIMITS.generatorLateShareMax;
  t.match(out, isMost ? /doubt +half load: the generator was late .* figures are not the server's/ : /BENCH_CONTROL/);
  t.equal(report.distrusted?.length ?? 0, isMost ? 1 : 0);
});

/** The faults that the kit plants are the faults that they say they are, and runs with them are told from runs without. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ClientFrameWriter, OPCODE } from '../generator/websocket.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import { Recorder, type Report } from '../harness/report.ts';
import { LIMITS } from '../limits.ts';
import { runBench } from '../run.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { createMessagesWorkload } from '../workloads/messages.ts';
import { judgeSlowness, Starvation } from './control.ts';
import { FrameCutter, type Piece } from './frame-cutter.ts';
import { DelayLine } from './slow-proxy.ts';

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
});

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

t.test('a server that is slow for one message in a hundred shows at p99 and p99.9, and not at p50', async (t) => {
  const { code, out, report } = await runWith(t, '--control', 'slow');
  t.equal(code, 0, out);
  const value = (name: string): number => report.metrics[name]!.value;
  t.ok(value('p99_ms') >= LIMITS.controlSlowMs / 2, `p99 ${value('p99_ms')}`);
  t.ok(value('p999_ms') >= LIMITS.controlSlowMs * 0.98, `p99.9 ${value('p999_ms')}`);
  t.ok(value('p50_ms') < LIMITS.controlSlowMs / 2, `p50 ${value('p50_ms')}`);
  t.equal(report.params.control, 'slow');
  t.match(report.notes!.join(), /and it was seen/);
});

t.test('a starved generator is told from a slow server, and fails a run with --check', async (t) => {
  const { code, out, report } = await runWith(t, '--control', 'starved', '--check');
  t.equal(code, 1);
  t.match(out, /doubt +half load: the generator was late .*: the figures are not the server's/);
  t.match(report.distrusted, [/the generator was late/]);
  const value = (name: string): number => report.metrics[name]!.value;
  t.ok(value('p99_ms') > 100, `what was intended counts: ${value('p99_ms')}`);
  t.ok(value('p99_raw_ms') < value('p99_ms') / 2, `counted from the write it is hidden: ${value('p99_raw_ms')}`);
});

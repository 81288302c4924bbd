/** The load over lines that are no sockets, on a clock that a test moves: pacing and stalls. */

import t from 'tap';
import { ackStanza, FrameWriter, parseClientMessage, decodeMessage, type Stanza } from '../../protocol/wire/index.ts';
import { mergeHistograms } from '../harness/histogram.ts';
import { LIMITS } from '../limits.ts';
import { readMaskedFrame } from '../testing/server-frames.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import type { Speaker } from './connection.ts';
import { PairLoad, type Line } from './pair-load.ts';
import { ClientFrameWriter } from './websocket.ts';

const SENDER = { phone: '+4915100000001', user: '100000000000001', device: 1 };
const RECIPIENT = { phone: '+4915100000002', user: '100000000000002', device: 1 };

/** A line that notes that it was woken. */
class TestLine implements Line {
  speaker!: Speaker;
  wakes = 0;

  wake(): void {
    this.wakes += 1;
  }

  /** What the speaker says in one turn: the stanzas of each WebSocket message. */
  speak(): { readonly messages: Stanza[][]; readonly hasMore: boolean } {
    const writer = new ClientFrameWriter();
    const hasMore = this.speaker.speak(writer);
    const messages: Stanza[][] = [];
    let rest = Buffer.from(writer.bytes());
    for (let frame = readMaskedFrame(rest); frame !== undefined; frame = readMaskedFrame(rest)) {
      messages.push(decodeMessage(frame.payload) as Stanza[]);
      rest = rest.subarray(frame.bytes);
    }
    return { messages, hasMore };
  }
}

function openLoad(ciphertextBytes = 100): {
  load: PairLoad;
  clock: ManualClock;
  sender: TestLine;
  recipient: TestLine;
} {
  const clock = new ManualClock();
  const [sender, recipient] = [new TestLine(), new TestLine()];
  const ends = {
    sender: { account: SENDER, line: sender },
    recipient: { account: RECIPIENT, line: recipient },
    ciphertext: new Uint8Array(ciphertextBytes),
  };
  return { load: new PairLoad([ends], clock), clock, sender, recipient };
}

function hear(line: TestLine, stanza: Stanza): void {
  const writer = new FrameWriter();
  writer.append(stanza);
  line.speaker.hear(writer.bytes(), 0, writer.bytes().length);
}

t.test('a closed loop sends its messages in one turn, numbered without gaps', async (t) => {
  const { load, sender } = openLoad();
  load.begin({ kind: 'closed', inFlight: 20 });
  t.equal(sender.wakes, 1);
  const { messages, hasMore } = sender.speak();
  t.ok(
    messages.every((stanzas) => stanzas.length === 1),
    'each in a WebSocket message of its own',
  );
  const said = messages.flat().map((stanza) => parseClientMessage(stanza));
  t.match(said[0], { kind: 'message', to: RECIPIENT.user, id: 1, envelopes: [{ device: 1, type: 'ratchet' }] });
  t.match(said.at(-1), { kind: 'message', id: 20 });
  t.notOk(hasMore);
});

t.test('long messages are spread over WebSocket messages and turns within their bounds', async (t) => {
  const { load, sender } = openLoad(3000);
  load.begin({ kind: 'closed', inFlight: 50 });
  let count = 0;
  let turns = 0;
  for (let hasMore = true; hasMore; turns += 1) {
    const spoken = sender.speak();
    for (const stanzas of spoken.messages) t.ok(stanzas.length <= LIMITS.webSocketPayloadBytesMax / 3000);
    count += spoken.messages.flat().length;
    hasMore = spoken.hasMore;
  }
  t.equal(count, 50);
  t.ok(turns > 1);
});

t.test('an open loop intends at its rate, whatever becomes of the messages', async (t) => {
  const { load, clock, sender } = openLoad();
  load.begin({ kind: 'open', ratePerSecond: 100, index: 0, count: 1 });
  await clock.pass(95);
  t.equal(sender.speak().messages.flat().length, 10);
});

t.test('what a stalled generator owes is sent when the load stops, with its lateness recorded', async (t) => {
  const { load, clock, sender } = openLoad();
  load.tally.open(0);
  load.begin({ kind: 'open', ratePerSecond: 100, index: 0, count: 1 });
  await clock.pass(5);
  t.equal(sender.speak().messages.flat().length, 1);
  clock.stall(500);
  load.stop();
  t.equal(sender.speak().messages.flat().length, 50);
  t.ok(mergeHistograms([load.tally.sending.encode()]).maxMs()! >= 490);
  t.equal(load.tally.sending.count, 51, 'each message counts: one for a turn would hide how many were held up');
});

t.test('an open loop that is not answered overruns instead of growing for ever', async (t) => {
  const { load, clock } = openLoad();
  const failed = t.rejects(load.failed, { code: 'BENCH_OVERRUN' });
  load.begin({ kind: 'open', ratePerSecond: 1_000_000, index: 0, count: 1 });
  await clock.pass(LIMITS.outstandingCountMax / 1000 + 1);
  await failed;
});

t.test('a stanza of another conversation is unexpected', async (t) => {
  const { load, sender, recipient } = openLoad();
  load.begin({ kind: 'closed', inFlight: 1 });
  sender.speak();
  t.throws(() => hear(sender, ackStanza({ to: SENDER.user, id: 1, ts: 1 })), { code: 'BENCH_UNEXPECTED' });
  t.throws(() => hear(recipient, ackStanza({ to: SENDER.user, id: 1, ts: 1 })), { code: 'BENCH_UNEXPECTED' });
  hear(sender, ackStanza({ to: RECIPIENT.user, id: 1, ts: 1 }));
  t.equal(load.tally.accepted, 1);
});

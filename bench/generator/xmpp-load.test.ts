/** The XMPP load over lines that are no sockets: what it says, and what it does not let pass. */

import t, { type Test } from 'tap';
import { ManualClock } from '../testing/manual-clock.ts';
import type { XmppLine, XmppSpeaker } from './xmpp-line.ts';
import { XmppLoad } from './xmpp-load.ts';

class TestLine {
  speaker: XmppSpeaker | undefined = undefined;
  wakes = 0;

  wake(): void {
    this.wakes += 1;
  }
}

function openLoad(): { load: XmppLoad; clock: ManualClock; sender: TestLine; recipient: TestLine } {
  const clock = new ManualClock();
  const [sender, recipient] = [new TestLine(), new TestLine()];
  const ends = {
    sender: sender as unknown as XmppLine,
    recipient: recipient as unknown as XmppLine,
    recipientAccount: 1,
  };
  return { load: new XmppLoad([ends], 24, clock), clock, sender, recipient };
}

/** What a server makes of a sender's words: it adds who they are from. */
function delivered(said: string): string[] {
  return said
    .split(/(?<=<\/message>)/)
    .map((stanza) => stanza.replace("<message to='", "<message xml:lang='en' from='u0@localhost/bench' to='"));
}

t.test('a cycle ends with the arrival, counted from its intended time, and from its write', async (t) => {
  const { load, clock, sender, recipient } = openLoad();
  load.tally.open(0);
  load.begin({ kind: 'open', ratePerSecond: 100, index: 0, count: 1 });
  await clock.pass(45);
  const said = sender.speaker!.speak();
  t.equal(said.split('</message>').length - 1, 5);
  t.match(said, /^<message to='u1@localhost\/bench' type='chat' id='1'><body>0000000001x{14}<\/body><\/message>/);
  await clock.pass(5);
  load.stop();
  for (const stanza of delivered(said + sender.speaker!.speak())) recipient.speaker!.hear(stanza);
  t.equal(load.tally.completed, load.tally.delivery.count);
  t.ok(load.isIdle(), load.describe());
  t.ok(load.tally.delivery.maxMs()! >= 49, 'the first waited from its intended time');
  t.ok(load.tally.raw.maxMs()! <= 6, 'and was written late');
});

t.test('a closed loop sends as many again as have arrived', async (t) => {
  const { load, sender, recipient } = openLoad();
  load.begin({ kind: 'closed', inFlight: 3 });
  const [first] = delivered(sender.speaker!.speak());
  recipient.speaker!.hear(first!);
  t.match(sender.speaker!.speak(), /^<message [^>]* id='4'>.*<\/message>$/);
});

function refuses(t: Test, code: string, spoil: (stanzas: string[]) => string): void {
  const { load, sender, recipient } = openLoad();
  load.begin({ kind: 'closed', inFlight: 3 });
  const stanzas = delivered(sender.speaker!.speak());
  t.throws(() => recipient.speaker!.hear(spoil(stanzas)), { code });
}

t.test('what is lost, doubled or bent is told, as of our own server', async (t) => {
  refuses(t, 'BENCH_GAP', ([, second]) => second!);
  refuses(t, 'BENCH_CORRUPT', ([first]) => first!.replace('xxxx', 'xxyx'));
  refuses(t, 'BENCH_CORRUPT', ([first]) => first!.replace("id='1'", "id='2'"));
  const { load, sender, recipient } = openLoad();
  load.begin({ kind: 'closed', inFlight: 3 });
  const [first] = delivered(sender.speaker!.speak());
  recipient.speaker!.hear(first!);
  t.throws(() => recipient.speaker!.hear(first!), { code: 'BENCH_DUPLICATE' });
  t.throws(() => sender.speaker!.hear("<message type='error' id='1'></message>"), { code: 'BENCH_REFUSED' });
});

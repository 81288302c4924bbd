/**
 * The browser's clock, randomness and sockets behind the client's seams.
 */

import t from 'tap';
import type { TransportClose } from '../close-reason.ts';
import { socketTransport } from './socket-transport.ts';
import { browserClock, browserRandom } from './system.ts';

t.test('random bytes come in any number, beyond what the browser gives at once', async (t) => {
  const bytes = browserRandom.bytes(70_000);
  t.equal(bytes.length, 70_000);
  t.ok(
    bytes.subarray(65_536).some((byte) => byte !== 0),
    'the last piece is drawn as well',
  );
  t.equal(browserRandom.bytes(0).length, 0);
});

t.test('random integers stay below their bound, and every one of them comes', async (t) => {
  const found = new Set(Array.from({ length: 300 }, () => browserRandom.integer(3)));
  t.same([...found].sort(), [0, 1, 2]);
  t.equal(browserRandom.integer(1), 0);
  t.ok(browserRandom.integer(2 ** 32) < 2 ** 32);
  for (const bound of [0, 1.5, 2 ** 32 + 1]) t.throws(() => browserRandom.integer(bound), RangeError);
});

t.test('a timer runs after the caller’s turn, and not when it is cleared', async (t) => {
  const ran: string[] = [];
  const cleared = browserClock.setTimer(0, () => ran.push('cleared'));
  const last = new Promise<void>((resolve) => browserClock.setTimer(20, resolve));
  browserClock.setTimer(0, () => ran.push('run'));
  browserClock.clearTimer(cleared);
  t.same(ran, []);
  await last;
  t.same(ran, ['run']);
  t.ok(browserClock.monotonicMs() <= browserClock.monotonicMs());
});

t.test('nobody listening is a close with 1006; a closed socket tells nothing more', async (t) => {
  const url = `ws://${location.host}`;
  const close = await new Promise<TransportClose>((onClose) => {
    socketTransport.dial(url, { onMessage: () => undefined, onClose });
  });
  t.equal(close.code, 1006);
  let told = 0;
  socketTransport.dial(url, { onMessage: () => (told += 1), onClose: () => (told += 1) }).close();
  await new Promise<void>((resolve) => browserClock.setTimer(100, resolve));
  t.equal(told, 0);
  t.throws(
    () => socketTransport.dial('http://127.0.0.1', { onMessage: () => undefined, onClose: () => undefined }),
    TypeError,
  );
});

/**
 * The history to a new device through a real node: both devices are processes with disks, and both are killed in the middle.
 */

import t from 'tap';
import { pause, PATIENCE_MS } from './people.ts';
import { RemoteDevice } from './remote-device.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const [ALICE, BOB] = ['+4915100000001', '+4915100000002'];
/** Some five pieces of 256 KiB. */
const MESSAGE_COUNT = 400;
const TEXT = 'a text as long as texts may be '.repeat(110);

async function eventually<Seen>(what: string, look: () => Promise<Seen>, fits: (seen: Seen) => boolean): Promise<Seen> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`waited for ${what}; seen last: ${JSON.stringify(seen)}`);
    await pause(5);
  }
}

t.test('newest first, on over a restart of both devices, nothing twice', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const [phoneDirectory, tabletDirectory] = [temporaryDirectory(t), temporaryDirectory(t)];
  const startPhone = (): RemoteDevice => new RemoteDevice(t, 'Alice', 'phone', server.url, phoneDirectory);
  const startTablet = (): RemoteDevice => new RemoteDevice(t, 'Alice', 'tablet', server.url, tabletDirectory);
  const bob = new RemoteDevice(t, 'Bob', 'phone', server.url, temporaryDirectory(t));
  const phone = startPhone();
  for (const [device, number] of [
    [phone, ALICE],
    [bob, BOB],
  ] as const) {
    await device.do('requestCode', number);
    await device.do('confirmCode', number, await server.code(number));
    await device.do('connect');
  }
  await bob.do('sendMany', ALICE, MESSAGE_COUNT, TEXT);
  const expected = Array.from({ length: MESSAGE_COUNT }, (_, index) => String(index + 1));
  await eventually(
    'all messages on the phone',
    () => phone.do('firstWords', BOB),
    (words) => words.length === MESSAGE_COUNT,
  );

  const tablet = startTablet();
  const device = await phone.do('approveLink', await tablet.do('beginLinking'));
  await tablet.do('finishLinking');
  await tablet.do('connect');
  await bob.do('send', ALICE, 'after the linking');
  await tablet.do('requestHistory');
  await eventually(
    'the question at the phone',
    () => phone.do('transfers'),
    ([asked]) => asked?.state === 'asked',
  );
  t.same(await tablet.do('firstWords', BOB).then((words) => words.filter((word) => word !== 'after')), []);
  await phone.do('approveHistory', device);
  const [halfway] = await eventually(
    'the first pieces',
    () => tablet.do('transfers'),
    ([transfer]) => transfer!.transferred > 0,
  );
  await Promise.all([tablet.kill(), phone.kill()]);
  t.ok(halfway!.transferred < halfway!.total, `${halfway!.transferred} of ${halfway!.total} when both were killed`);

  const again = startTablet();
  const held = (await again.do('firstWords', BOB)).filter((word) => word !== 'after');
  t.ok(held.length > 0 && held.length < MESSAGE_COUNT, `${held.length} were there`);
  t.same(held, expected.slice(-held.length), 'the newest ones, in order');
  const phoneAgain = startPhone();
  await Promise.all([again.do('connect'), phoneAgain.do('connect')]);
  await eventually(
    'the end',
    () => again.do('transfers'),
    ([transfer]) => transfer?.state === 'done',
  );
  t.same(await again.do('firstWords', BOB), [...expected, 'after'], 'all of them, once and in order');
  t.same(await phoneAgain.do('firstWords', BOB), [...expected, 'after']);
  await eventually(
    'the phone to know',
    () => phoneAgain.do('transfers'),
    (left) => left.length === 0,
  );
});

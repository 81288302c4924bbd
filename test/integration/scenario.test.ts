/**
 * One day of three people with two devices each and one group, on a real node: every device is a process of its own with its store
 * on a disk, every word goes over a real socket. What each device shows in the end is compared line by line, and the whole stands
 * as a transcript in docs/scenario.md, which this test holds to what happened. `BLINDBEAM_WRITE_TRANSCRIPT=1` writes it anew.
 */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Shown } from './device.fixture.ts';
import { pause, PATIENCE_MS } from './people.ts';
import { RemoteDevice } from './remote-device.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const DOCUMENT = join(ROOT, 'docs', 'scenario.md');
const PHOTO = 'not really a photo, but as many bytes as one '.repeat(4_000);

/** A person with a phone and a tablet that is linked to it. */
interface Owner {
  readonly name: string;
  readonly number: string;
  readonly user: string;
  readonly phone: RemoteDevice;
  readonly tablet: RemoteDevice;
}

async function newOwner(t: Test, server: ServerProcess, name: string, number: string): Promise<Owner> {
  const phone = new RemoteDevice(t, name, 'phone', server.url, temporaryDirectory(t));
  const tablet = new RemoteDevice(t, name, 'tablet', server.url, temporaryDirectory(t));
  await phone.do('requestCode', number);
  const user = await phone.do('confirmCode', number, await server.code(number));
  await phone.do('connect');
  await eventually(
    `${name}'s device list`,
    () => phone.do('approveLink', '').catch((error) => error.code),
    (code) => code !== 'CLI_DISCONNECTED',
  );
  const code = await tablet.do('beginLinking');
  await phone.do('approveLink', code);
  await tablet.do('finishLinking');
  await tablet.do('connect');
  return { name, number, user, phone, tablet };
}

/** Looks until `fits`; says what was seen last when it never does. */
async function eventually<Seen>(what: string, look: () => Promise<Seen>, fits: (seen: Seen) => boolean): Promise<Seen> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    if (performance.now() > deadline)
      throw new Error(`waited for ${what}; seen last: ${JSON.stringify(seen, undefined, 1)}`);
    await pause(50);
  }
}

/** A message as a line of the transcript. */
function lineOf(shown: Shown, viewer: string, names: ReadonlyMap<string, string>): string {
  const nameOf = (user: string): string => (user === 'me' ? viewer : (names.get(user) ?? user));
  const marks = [
    shown.isEdited ? 'edited' : '',
    shown.isTimed ? 'disappears' : '',
    ...shown.reactions.map((reaction) => {
      const [author, emoji] = reaction.split(' ');
      return `${emoji} ${nameOf(author!)}`;
    }),
  ].filter((mark) => mark !== '');
  const text =
    shown.kind === 'text' || shown.kind === 'undecryptable' ? shown.text : `(${shown.kind}) ${shown.text}`.trim();
  return `${nameOf(shown.author)}: ${text}${marks.length === 0 ? '' : ` [${marks.sort().join(', ')}]`}`;
}

t.test('three people, two devices each, one group', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const alice = await newOwner(t, server, 'Alice', '+4915100000001');
  const bob = await newOwner(t, server, 'Bob', '+4915100000002');
  const carol = await newOwner(t, server, 'Carol', '+4915100000003');
  const names = new Map([alice, bob, carol].map(({ user, name }) => [user, name]));
  const transcript: string[] = [];
  const note = (line: string): void => void transcript.push(line);

  const chatOf = async (device: RemoteDevice, chat: string): Promise<readonly Shown[]> => device.do('history', chat);
  const linesOf = async (device: RemoteDevice, chat: string): Promise<string[]> =>
    (await chatOf(device, chat)).map((shown) => lineOf(shown, device.owner, names));
  /** Waits until the devices show exactly these lines of a chat. */
  const shows = async (
    what: string,
    devices: readonly (readonly [RemoteDevice, string])[],
    lines: readonly string[],
  ): Promise<void> => {
    for (const [device, chat] of devices) {
      const seen = await eventually(
        `${what} on ${device.name}`,
        () => linesOf(device, chat),
        (seen) => {
          return seen.length === lines.length && seen.every((line, index) => line === lines[index]);
        },
      );
      t.strictSame(seen, lines, `${what}: ${device.name}`);
    }
  };
  /** The name of a message on a device. */
  const find = async (device: RemoteDevice, chat: string, text: string): Promise<string> => {
    const all = await eventually(
      `"${text}" on ${device.name}`,
      () => chatOf(device, chat),
      (seen) => seen.some((shown) => shown.text === text),
    );
    return all.find((shown) => shown.text === text)!.id;
  };
  const stateOf = async (device: RemoteDevice, chat: string, text: string): Promise<Shown> =>
    (await chatOf(device, chat)).find((shown) => shown.text === text)!;

  note('Alice and Bob, each with a phone and a tablet');
  const pair = [
    [alice.phone, bob.user],
    [alice.tablet, bob.user],
    [bob.phone, alice.user],
    [bob.tablet, alice.user],
  ] as const;
  await alice.phone.do('send', bob.number, 'Are you coming along on Sunday?');
  await shows('a text', pair, ['Alice: Are you coming along on Sunday?']);
  await bob.tablet.do(
    'reply',
    alice.user,
    await find(bob.tablet, alice.user, 'Are you coming along on Sunday?'),
    'With pleasure',
  );
  // What one device sends reaches one's other devices by a message of its own: a reaction to it may be faster, and is then dropped.
  await find(bob.phone, alice.user, 'With pleasure');
  await alice.tablet.do('react', bob.user, await find(alice.tablet, bob.user, 'With pleasure'), '👍');
  await bob.phone.do('send', alice.user, 'At ten?');
  await find(alice.phone, bob.user, 'At ten?');
  // Likewise: a chat shows what one's other device sent where it became known, and the order below is to be the same everywhere.
  await find(bob.tablet, alice.user, 'At ten?');
  await bob.phone.do('edit', alice.user, await find(bob.phone, alice.user, 'At ten?'), 'At nine?');
  await alice.phone.do('send', bob.user, 'Yes, but do not tell Carol yet');
  await find(bob.tablet, alice.user, 'Yes, but do not tell Carol yet');
  await alice.phone.do(
    'deleteForEveryone',
    bob.user,
    await find(alice.phone, bob.user, 'Yes, but do not tell Carol yet'),
  );
  await alice.phone.do('setTimer', bob.user, 86_400);
  await find(bob.phone, alice.user, '');
  await alice.phone.do('send', bob.user, 'The key is under the pot');
  const between = [
    'Alice: Are you coming along on Sunday?',
    'Bob: (reply) With pleasure [👍 Alice]',
    'Bob: At nine? [edited]',
    'Alice: (deleted)',
    'Alice: (timer)',
    'Alice: The key is under the pot [disappears]',
  ];
  await shows('replied, reacted to, edited, deleted, timed', pair, between);
  between.forEach((line) => note(`  ${line}`));
  await bob.tablet.do('markRead', alice.user);
  for (const device of [alice.phone]) {
    await eventually(
      'read by Bob',
      () => stateOf(device, bob.user, 'The key is under the pot'),
      ({ state }) => state === 'read',
    );
  }
  note('  Bob has read it on his tablet; Alice sees it as read');

  note('The group Sailing: Alice, Bob, Carol');
  const group = await alice.phone.do('createGroup', 'Sailing', [bob.number, carol.number]);
  const members = [alice.tablet, bob.phone, bob.tablet, carol.phone, carol.tablet] as const;
  for (const device of members) {
    await eventually(
      `the group on ${device.name}`,
      () => device.do('roleIn', group).catch(() => 'unknown'),
      (role) => role === (device === alice.tablet ? 'admin' : 'member'),
    );
  }
  await alice.phone.do('send', group, 'Sunday at nine at the harbour');
  await find(carol.tablet, group, 'Sunday at nine at the harbour');
  await carol.tablet.do('react', group, await find(carol.tablet, group, 'Sunday at nine at the harbour'), '⛵');
  await bob.phone.do('reply', group, await find(bob.phone, group, 'Sunday at nine at the harbour'), 'I bring coffee');
  await find(alice.phone, group, 'I bring coffee');
  await alice.phone.do(
    'edit',
    group,
    await find(alice.phone, group, 'Sunday at nine at the harbour'),
    'Sunday at half past eight at the harbour',
  );
  await find(carol.phone, group, 'Sunday at half past eight at the harbour');
  const others = (device: RemoteDevice): RemoteDevice[] => [alice.phone, ...members].filter((each) => each !== device);
  await carol.phone.do('send', group, 'Who has my jacket?');
  for (const device of others(carol.phone)) await find(device, group, 'Who has my jacket?');
  await carol.phone.do('deleteForEveryone', group, await find(carol.phone, group, 'Who has my jacket?'));
  await carol.phone.do('sendPhoto', group, PHOTO, 'My new boat');
  const sha256 = createHash('sha256').update(PHOTO).digest('hex');
  for (const device of [alice.phone, alice.tablet, bob.phone, bob.tablet, carol.tablet]) {
    t.equal(
      await device.do('openPhoto', group, await find(device, group, 'My new boat')),
      sha256,
      `the photo on ${device.name}`,
    );
  }

  note('  Carol switches both devices off');
  await carol.phone.do('disconnect');
  await carol.tablet.do('disconnect');
  await alice.phone.do('setTimer', group, 604_800);
  await alice.phone.do('send', group, 'The gate code is 4711');
  await find(bob.tablet, group, 'The gate code is 4711');
  await bob.tablet.do('markRead', group);
  const memberState = async (): Promise<Readonly<Record<string, string>>> =>
    (await stateOf(alice.phone, group, 'The gate code is 4711')).members;
  const waiting = await eventually(
    'delivered to Bob, not to Carol',
    memberState,
    (state) => state[bob.user] === 'read',
  );
  t.equal(waiting[carol.user], 'sent', 'Carol is away');
  note('  Alice sees for "The gate code is 4711": Bob read, Carol sent');
  await carol.tablet.do('connect');
  await eventually('delivered to Carol', memberState, (state) => state[carol.user] === 'delivered');
  note('  Carol switches her tablet on. Alice sees: Bob read, Carol delivered');
  await carol.phone.do('connect');
  await find(carol.phone, group, 'The gate code is 4711');
  await carol.phone.do('markRead', group);
  await eventually('read by all', memberState, (state) => state[carol.user] === 'read');
  note('  and her phone, where she reads it. Alice sees: Bob read, Carol read');
  const shared = [
    'Alice: Sunday at half past eight at the harbour [edited, ⛵ Carol]',
    'Bob: (reply) I bring coffee',
    'Carol: (deleted)',
    'Carol: (attachment) My new boat',
    'Alice: (timer)',
    'Alice: The gate code is 4711 [disappears]',
  ];
  const complete = [alice.phone, ...members].map((device) => [device, group] as const);
  await shows('the group', complete, shared);
  shared.forEach((line) => note(`  ${line}`));

  note('Alice removes Carol');
  const before = await Promise.all([carol.phone, carol.tablet].map((device) => linesOf(device, group)));
  await alice.phone.do('removeFromGroup', group, carol.number);
  for (const device of [carol.phone, carol.tablet]) {
    await eventually(
      `${device.name} is out`,
      () => device.do('roleIn', group),
      (role) => role === 'out',
    );
  }
  await alice.phone.do('send', group, 'The gate code has changed');
  for (const device of [alice.tablet, bob.phone, bob.tablet]) await find(device, group, 'The gate code has changed');
  await t.rejects(carol.phone.do('send', group, 'Am I still here?'), { code: 'CLI_GROUP_NOT_A_MEMBER' });
  const after = await Promise.all([carol.phone, carol.tablet].map((device) => linesOf(device, group)));
  t.strictSame(after, before, 'nothing further on her devices, nor a placeholder');
  note('  Alice: The gate code has changed');
  note('  Bob has it on both devices; Carol is told that she is out, and nothing else reaches her devices');
  for (const device of [alice.phone, ...members]) t.equal(await device.do('outbox'), 0, `${device.name} owes nothing`);
  checkDocument(t, transcript);
});

function checkDocument(t: Test, transcript: readonly string[]): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  const block = /```\n[\s\S]*?```/;
  const written = `\`\`\`\n${transcript.join('\n')}\n\`\`\``;
  if (process.env['BLINDBEAM_WRITE_TRANSCRIPT'] === '1')
    writeFileSync(
      DOCUMENT,
      text.replace(block, () => written),
    );
  else t.equal(block.exec(text)?.[0], written, 'docs/scenario.md tells what happened');
}

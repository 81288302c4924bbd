/** `/transfer` between two devices of one person: what each is told, and what comes. */

import t from 'tap';
import type { TransferInfo } from '../../index.ts';
import { BOB, World } from '../../testing/world.ts';
import type { Person } from '../../testing/world.ts';
import { TransferCommands } from './transfer-commands.ts';

/** The commands of one device, and what it has said. */
function commandsOf(person: Person): { readonly commands: TransferCommands; readonly lines: string[] } {
  const lines: string[] = [];
  const commands = new TransferCommands(person.client, (text) => lines.push(text));
  person.client.onEvent((event) => {
    const line = event.type === 'history-transfer' ? commands.describe(event) : undefined;
    if (line !== undefined) lines.push(line);
  });
  return { commands, lines };
}

t.test('a new device asks, the primary one is asked, allows, and both are told', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await bob.client.send(alice.phone, 'before');
  await world.quiet();
  const laptop = await world.link(alice);
  const [here, there] = [commandsOf(laptop), commandsOf(alice)];
  const device = laptop.client.account!.device;
  await here.commands.run('');
  await world.quiet();
  t.match(here.lines, [/asked for the history/]);
  t.match(there.lines, [`/transfer allow ${device} or /transfer refuse ${device}`]);
  await there.commands.run(`allow ${device}`);
  await world.pass(60_000);
  t.match(here.lines.slice(1), ['The history is here: 1 messages.']);
  t.match(there.lines.slice(1), [/100 %/, `Device ${device} has the history.`]);
  t.match(await laptop.client.history(BOB), [{ text: 'before' }]);
});

t.test('a refusal is told with its reason; what is no command is answered with help', async (t) => {
  const world = new World();
  const [alice] = await world.pair();
  const laptop = await world.link(alice);
  const [here, there] = [commandsOf(laptop), commandsOf(alice)];
  await here.commands.run('');
  await world.quiet();
  await there.commands.run(`refuse ${laptop.client.account!.device}`);
  await world.quiet();
  t.match(
    here.lines.at(-1),
    /did not come through: CLI_TRANSFER_DECLINED: The primary device does not hand the history out/,
  );
  for (const words of ['allow', 'allow x', 'all']) {
    await there.commands.run(words);
    t.match(there.lines.at(-1), /\/transfer allow NUMBER/, words);
  }
  await t.rejects(there.commands.run(''), { code: 'CLI_TRANSFER_UNSUITABLE' });
});

t.test('progress is told by quarters, each once', async (t) => {
  const world = new World();
  const alice = await world.person('+4915100000001').join();
  const { commands } = commandsOf(alice);
  const at = (transferred: number): string | undefined =>
    commands.describe({ device: 2, direction: 'in', state: 'running', transferred, total: 100, code: undefined });
  t.same([at(0), at(10), at(25), at(30), at(80), at(90)].filter(Boolean), [
    'Receiving the history: 25 %',
    'Receiving the history: 75 %',
  ]);
  const done: TransferInfo = {
    device: 2,
    direction: 'in',
    state: 'done',
    transferred: 100,
    total: 100,
    code: undefined,
  };
  t.equal(commands.describe(done), 'The history is here: 100 messages.');
});

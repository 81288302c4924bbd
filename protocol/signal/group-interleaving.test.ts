/**
 * Five members with seven devices, one of whom comes and goes at any moment, under many seeds: whoever should read reads,
 * whoever should not does not, no message key is used twice, and after losses and crashes everybody reads everybody
 * again at the second message.
 *
 * `BLINDBEAM_SEEDS=10000` is the long form.
 */
import t from 'tap';
import { defaultGroupPolicy, type GroupPolicy } from './group-distribution.ts';
import { encryptForGroup } from './group-session.ts';
import { GroupWorld, type WorldCounts } from './testing/group-world.ts';
import { must } from './testing/outcome.ts';

const seedCount = Number(process.env.BLINDBEAM_SEEDS ?? 60);
const stepCount = 70;
const names = ['anna', 'anna-laptop', 'ben', 'carla', 'carla-tablet', 'dan', 'eva'];

const policies: Readonly<Record<string, GroupPolicy>> = {
  'newcomers rotate': { ...defaultGroupPolicy, messageCountMax: 6, ageMsMax: 40 },
  'newcomers get the present chain': { ...defaultGroupPolicy, joining: 'distribute', messageCountMax: 6, ageMsMax: 40 },
};

for (const [claim, policy] of Object.entries(policies)) {
  t.test(`${claim}: ${seedCount} seeds of ${stepCount} steps`, async (t) => {
    const total: WorldCounts & { outsiders: number } = {
      ...{ sent: 0, read: 0, repeated: 0, waited: 0, rotations: 0, lost: 0, crashes: 0 },
      outsiders: 0,
    };
    for (let index = 0; index < seedCount; index++) {
      const seed = `group ${claim} ${index}`;
      const world = new GroupWorld(seed, names, 5, policy);
      try {
        for (let step = 0; step < stepCount; step++) await world.step();
        await world.settle();
        total.outsiders += world.checkOutsiders();
      } catch (error) {
        t.fail(`seed "${seed}": ${(error as Error).message}`);
      }
      for (const name of Object.keys(world.counts) as (keyof WorldCounts)[]) total[name] += world.counts[name];
    }
    t.comment(JSON.stringify(total));
    t.ok(total.read > 40 * seedCount, `messages are read: ${total.read}`);
    for (const name of ['repeated', 'waited', 'rotations', 'lost', 'crashes', 'outsiders'] as const)
      t.ok(total[name] > seedCount, `it happens: ${name}, ${total[name]} times`);
  });
}

const small = async (): Promise<GroupWorld> => {
  const world = new GroupWorld('control', names, 3, defaultGroupPolicy);
  await world.send('anna');
  while (world.packets.length > 0) await world.receive(world.packets.shift()!);
  return world;
};

t.test('positive control: a device that forgets to store its chain is caught', async (t) => {
  const world = await small();
  const member = world.members.get('anna')!;
  const stale = new Map(member.disk);
  await world.send('anna');
  member.disk = stale;
  await t.rejects(world.send('anna'), /used twice/);
});

t.test('positive control: a sender that does not rotate when somebody leaves is caught', async (t) => {
  const world = await small();
  world.roster.delete('ben');
  const anna = world.members.get('anna')!;
  const { senderKey } = anna.sending(anna.disk)!;
  await world.send('anna');
  t.ok(world.checkOutsiders() > 0, 'ben and the rest try, and cannot');
  const { ciphertext } = must(encryptForGroup(senderKey, new TextEncoder().encode('leaked')));
  world.history.push({ from: 'anna', text: 'leaked', ciphertext, roster: new Set(['anna-laptop']) });
  t.throws(() => world.checkOutsiders(), /ben read what was not for it: leaked/);
});

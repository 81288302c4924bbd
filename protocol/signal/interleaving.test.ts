/**
 * Two devices, and five, over a network that drops, repeats and reorders, with sessions begun at any moment by anybody,
 * crashes between any two steps, backups restored, and bundles stripped.
 *
 * What must hold whatever the order: no message key is used for two ciphertexts; every message that arrives is read the
 * first time and refused as a duplicate after that, or its refusal has a reason; what fails changes nothing; and once the
 * network behaves, any two read each other in one session after at most two round trips.
 *
 * `BLINDBEAM_SEEDS=10000` is the long form, `BLINDBEAM_FIRST_SEED` where it begins.
 */
import t from 'tap';
import { isSignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { decodeSessionRecord, encodeSessionRecord } from './record-codec.ts';
import { closeSession } from './session-record.ts';
import { Device, seededIntegers } from './testing/device.ts';
import { must } from './testing/outcome.ts';
import { PairwiseWorld, type PairwiseCounts } from './testing/pairwise-world.ts';

const longCount = Number(process.env.BLINDBEAM_SEEDS ?? 0);
const firstSeed = Number(process.env.BLINDBEAM_FIRST_SEED ?? 0);
if (longCount > 0) t.setTimeout(0);

const forms = [
  { partyCount: 2, seedCount: longCount || 200, stepCount: 50 },
  { partyCount: 5, seedCount: longCount || 30, stepCount: 160 },
] as const;

for (const { partyCount, seedCount, stepCount } of forms) {
  t.test(`${partyCount} devices: ${seedCount} seeds of ${stepCount} steps`, async (t) => {
    const total: PairwiseCounts = {
      ...{ sent: 0, read: 0, repeated: 0, refused: 0, healed: 0 },
      ...{ initiated: 0, downgrades: 0, crashes: 0, restores: 0 },
    };
    let keyCount = 0;
    for (let index = firstSeed; index < firstSeed + seedCount; index++) {
      const seed = `pairwise ${partyCount} ${index}`;
      const world = new PairwiseWorld(seed, partyCount);
      try {
        for (let step = 0; step < stepCount; step++) world.step();
        world.calm();
        for (let left = 0; left < partyCount; left++)
          for (let right = left + 1; right < partyCount; right++) world.settle(left, right);
      } catch (error) {
        t.fail(`seed "${seed}": ${(error as Error).message}`);
      }
      keyCount += world.released.size;
      for (const name of Object.keys(total) as (keyof PairwiseCounts)[]) total[name] += world.counts[name];
    }
    t.comment(JSON.stringify({ ...total, keyCount }));
    t.ok(keyCount > 20 * seedCount, `message keys are recorded: ${keyCount}`);
    t.ok(total.read > 20 * seedCount, `messages are read: ${total.read}`);
    for (const name of ['repeated', 'initiated', 'crashes'] as const)
      t.ok(total[name] > seedCount, `it happens: ${name}, ${total[name]} times`);
    for (const name of ['refused', 'healed', 'downgrades', 'restores'] as const)
      t.ok(total[name] > seedCount / 20, `it happens: ${name}, ${total[name]} times`);
  });
}

t.test('positive control: a device that forgets to store a record is caught', async (t) => {
  const world = new PairwiseWorld('control', 2);
  world.calm();
  world.send(0, 1, 'stored');
  const stale = world.parties[0]!.disk;
  world.send(0, 1, 'forgotten');
  world.parties[0]!.disk = stale;
  t.throws(() => world.send(0, 1, 'under the same key'), /used twice/);
});

t.test('positive control: a backup that goes on sending is caught', async (t) => {
  const world = new PairwiseWorld('control', 2);
  world.calm();
  world.send(0, 1, 'first');
  const party = world.parties[0]!;
  party.backup = party.disk;
  world.send(0, 1, 'after the backup');
  party.disk = party.backup; // restored, and its sessions not closed
  t.throws(() => world.send(0, 1, 'after the restore'), /used twice/);
  party.restore();
  world.send(0, 1, 'in a session of its own');
  world.calm();
  t.ok(world.parties[1]!.readTexts.has('in a session of its own'));
  t.same(must(decodeSessionRecord(encodeSessionRecord(closeSession(party.device.record!)))).current, undefined);
});

t.test('positive control: a pair that cannot heal is caught', async (t) => {
  const world = new PairwiseWorld('control', 2);
  world.calm();
  world.send(0, 1, 'hello');
  world.calm();
  const [alice, bob] = world.parties;
  bob!.disk = { ...bob!.disk, records: new Map() };
  bob!.wasRestored = true;
  world.send(0, 1, 'lost');
  world.calm();
  t.ok(bob!.readTexts.has('lost'), 'with a retry receipt it heals');
  alice!.device.kemPreKeys.clear();
  bob!.disk = { records: new Map(), oneTimePreKeys: new Map(), kemPreKeys: new Map() };
  t.throws(() => world.settle(0, 1), /not read|used twice|did not/);
});

t.test('a one-way stream with losses stays within the bound on skipped keys', async (t) => {
  const [alice, bob] = [new Device('stream/alice'), new Device('stream/bob')];
  alice.initiate(bob.bundle());
  const pick = seededIntegers('stream');
  for (let index = 0; index < 3_000; index++) {
    const envelope = alice.send(String(index));
    if (pick(10) === 0 && isSignalError(bob.receive(envelope))) t.fail(`message ${index} was not read`);
  }
  const [chain] = bob.record!.current!.ratchet.receiving;
  t.equal(chain!.skipped.length, LIMITS.skippedKeyCountMax);
});

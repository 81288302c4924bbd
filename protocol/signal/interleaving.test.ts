/**
 * Two devices over a network that drops, repeats, reorders and lets both start at once, under some hundred seeds.
 *
 * What must hold whatever the order: every message that arrives is read the first time and refused as a duplicate after
 * that (unless it was an offer whose one-time pre-key had gone to another one); no message key is used twice; what fails
 * changes nothing; and once the network behaves, both ends agree on one session.
 */
import t from 'tap';
import { samePublicBytes } from './bytes.ts';
import { decodePreKeyMessage, decodeRatchetMessage } from './ciphertext.ts';
import { isSignalError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { decodeSessionRecord, encodeSessionRecord } from './record-codec.ts';
import { Device, seededIntegers, type Envelope } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { toHex } from './testing/transcripts.ts';

const seedCount = 300;
const stepCount = 45;

interface Underway extends Envelope {
  readonly from: 0 | 1;
  readonly text: string;
  delivered: boolean;
}

/** Ratchet key and counter: they name a message key, so each may occur once. */
function keyNameOf({ type, ciphertext }: Envelope): string {
  const inner = type === 'prekey' ? must(decodePreKeyMessage(ciphertext)).message : ciphertext;
  const { ratchetKey, counter } = must(decodeRatchetMessage(inner)).header;
  return `${toHex(ratchetKey)}/${counter}`;
}

class World {
  readonly devices: readonly [Device, Device];
  readonly underway: Underway[] = [];
  readonly keyNames: Set<string> = new Set();
  readonly counts = { sent: 0, read: 0, repeated: 0, refused: 0, initiated: 0, stored: 0 };
  readonly pick: (bound: number) => number;

  constructor(seed: string) {
    this.pick = seededIntegers(seed);
    this.devices = [new Device(`${seed}/0`, 3), new Device(`${seed}/1`, 3)];
  }

  step(): void {
    const from = this.pick(2) as 0 | 1;
    const device = this.devices[from];
    const action = this.pick(100);
    if (!device.canSend || action < 3) this.initiate(from);
    else if (action < 45) this.send(from);
    else if (action < 90) this.deliver();
    else if (action < 95) this.drop();
    else this.store(device);
  }

  initiate(from: 0 | 1): void {
    const peer = this.devices[1 - from]!;
    this.devices[from].initiate(peer.bundle([...peer.oneTimePreKeys.keys()][this.pick(4)]));
    this.counts.initiated++;
  }

  send(from: 0 | 1): void {
    const text = `${from}: ${this.counts.sent++}`;
    const envelope = this.devices[from].send(text);
    const name = keyNameOf(envelope);
    if (this.keyNames.has(name)) throw new Error('a message key was used twice');
    this.keyNames.add(name);
    this.underway.push({ ...envelope, from, text, delivered: false });
  }

  /** Any message that is under way, mostly the oldest; one in four stays there and comes again. */
  deliver(): void {
    if (this.underway.length === 0) return;
    const index = this.pick(3) === 0 ? this.pick(this.underway.length) : 0;
    const envelope = this.underway[index]!;
    if (this.pick(4) !== 0) this.underway.splice(index, 1);
    this.receive(envelope);
  }

  receive(envelope: Underway): void {
    const device = this.devices[1 - envelope.from]!;
    const before = device.record;
    const bytesBefore = before && encodeSessionRecord(before);
    const outcome = envelope.type === 'ratchet' && before === undefined ? undefined : device.receive(envelope);
    if (outcome === envelope.text) {
      if (envelope.delivered) throw new Error('a repeated message was read again');
      envelope.delivered = true;
      this.counts.read++;
    } else {
      this.account(envelope, codeOf(outcome));
      if (device.record !== before) throw new Error('a failure replaced the record');
    }
    if (before && !samePublicBytes(encodeSessionRecord(before), bytesBefore!))
      throw new Error('a record was changed in place');
  }

  /** A refusal must have its reason: the message came before, or its one-time pre-key went to another offer. */
  account({ delivered, type }: Underway, code: string): void {
    const reason = delivered ? 'SIG_DUPLICATE' : type === 'prekey' ? 'SIG_UNKNOWN_PREKEY' : 'none';
    if (code !== reason) throw new Error(`a ${delivered ? 'repeated' : 'first'} delivery gave ${code}`);
    if (delivered) this.counts.repeated++;
    else this.counts.refused++;
  }

  drop(): void {
    if (this.underway.length > 0) this.underway.splice(this.pick(this.underway.length), 1);
  }

  /** A restart: the record from its bytes. */
  store(device: Device): void {
    if (device.record === undefined) return;
    device.record = must(decodeSessionRecord(encodeSessionRecord(device.record)));
    this.counts.stored++;
  }

  /** The network behaves: everything arrives, then a few ordered rounds. */
  settle(): void {
    for (const envelope of this.underway.splice(0)) this.receive(envelope);
    if (!this.devices[0].canSend) this.initiate(0);
    for (let round = 0; round < 4; round++) {
      for (const from of [0, 1] as const) {
        this.send(from);
        const envelope = this.underway.pop()!;
        this.receive(envelope);
        if (!envelope.delivered) throw new Error('an ordered message was not read');
      }
    }
  }
}

t.test(`${seedCount} seeds of ${stepCount} steps`, async (t) => {
  const total = { sent: 0, read: 0, repeated: 0, refused: 0, initiated: 0, stored: 0 };
  for (let index = 0; index < seedCount; index++) {
    const seed = `interleaving ${index}`;
    const world = new World(seed);
    try {
      for (let step = 0; step < stepCount; step++) world.step();
      world.settle();
      const [first, second] = world.devices.map((device) => toHex(device.record!.current!.baseKey));
      if (first !== second) throw new Error('the ends did not agree on a session');
    } catch (error) {
      t.fail(`seed "${seed}": ${(error as Error).message}`);
    }
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += world.counts[name];
  }
  t.comment(JSON.stringify(total));
  t.ok(total.read > 15 * seedCount, 'most messages are read');
  t.ok(total.repeated > seedCount, 'repetition happens');
  t.ok(total.initiated > 2 * seedCount, 'sessions are started more than once');
  t.ok(total.refused > 0 && total.refused < total.read / 100, `offers that lost their pre-key: ${total.refused}`);
});

t.test('positive control: a device that forgets to store a record is caught', async (t) => {
  const world = new World('control');
  world.initiate(0);
  world.send(0);
  const stale = world.devices[0].record;
  world.send(0);
  world.devices[0].record = stale;
  t.throws(() => world.send(0), /used twice/);
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

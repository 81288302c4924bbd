/**
 * The process of the offenders: all of them, with their accomplices and victims, so that what they cost is not counted as the cost of those
 * whose latency is measured. Started by `process.ts` and by nothing else.
 */

import { isBenchError } from '../errors.ts';
import { Registrar } from '../generator/registrar.ts';
import { systemClock } from '../harness/clock.ts';
import {
  LAWFUL,
  OFFENDERS,
  type GuestName,
  type OffenderAnswer,
  type OffenderCommand,
  type OffenderName,
} from './control.ts';
import { GroupFlood } from './group-flood.ts';
import type { Offender, Scene } from './offender.ts';
import { PreKeyHammer } from './prekey-hammer.ts';
import { SilentDevice } from './silent-device.ts';
import { SlowReader } from './slow-reader.ts';

if (process.send === undefined) throw new Error('offenders are started by the benchmark, not by hand');

const OPENERS: Readonly<Record<OffenderName, (scene: Scene) => Promise<Offender>>> = {
  slow_reader: (scene) => SlowReader.open(scene),
  prekey_hammer: (scene) => PreKeyHammer.open(scene),
  group_flood: (scene) => GroupFlood.open(scene),
  silent_device: (scene) => SilentDevice.open(scene),
};

/** Phone numbers of one offender. */
const PHONES_MAX = 10_000;
const PHONE_DIGITS = 8;

const registrar = new Registrar(systemClock);
const offenders = new Map<GuestName, Offender>();

type Task = Exclude<OffenderCommand, { kind: 'code' }>;

async function perform(task: Task): Promise<OffenderAnswer> {
  switch (task.kind) {
    case 'open':
      await open(task);
      return { kind: 'opened' };
    case 'begin':
      offenders.get(task.offender)!.begin();
      return { kind: 'begun' };
    case 'end': {
      const offender = offenders.get(task.offender)!;
      offender.end();
      return { kind: 'ended', offence: offender.offence };
    }
  }
}

async function open({ url, phonePrefix, members }: Extract<Task, { kind: 'open' }>): Promise<void> {
  for (const [at, name] of OFFENDERS.entries()) {
    const phone = (index: number): string => phonePrefix + String(at * PHONES_MAX + index).padStart(PHONE_DIGITS, '0');
    const offender = await OPENERS[name]({ url: new URL(url), registrar, clock: systemClock, phone, members });
    offenders.set(name, offender);
    if (offender instanceof GroupFlood) offenders.set(LAWFUL, offender.lawful());
  }
}

function failure(error: Error): OffenderAnswer {
  if (isBenchError(error)) return { kind: 'failed', code: error.code, detail: error.detail };
  return { kind: 'failed', code: 'BENCH_CHILD', detail: error.stack ?? error.message };
}

process.on('message', (command: OffenderCommand) => {
  if (command.kind === 'code') return registrar.takeCode(command.phone, command.code);
  perform(command).then(tell, (error: Error) => tell(failure(error)));
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

function tell(answer: OffenderAnswer): void {
  process.send!(answer);
}

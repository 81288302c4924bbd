/**
 * Entry of the process in which one operation is measured, started by `../workloads/signal.ts` with the provider's name.
 *
 * For `noble` the platform's cryptography is hidden before the protocol is loaded, which is what an engine without any
 * sees; the answer says which provider was in use in the end, and the parent compares.
 */

import { isBenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import type { SignalAnswer, SignalCommand } from './control.ts';
import { measureTask, type ProviderName, type Round } from './task.ts';

if (process.send === undefined) throw new Error('the process of an operation is started by the benchmark, not by hand');
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

const provider: ProviderName = process.argv[2] === 'noble' ? 'noble' : 'native';
if (provider === 'noble') {
  Object.defineProperty(process, 'getBuiltinModule', { value: undefined });
  Object.defineProperty(globalThis, 'crypto', { value: undefined });
}
const { SIGNAL_TASKS, providerInUse } = await import('./tasks.ts');

process.on('message', (command: SignalCommand) => void perform(command));

async function perform({ task: name, times }: SignalCommand): Promise<void> {
  try {
    const task = SIGNAL_TASKS.find((each) => each.name === name)!;
    const rounds: Round[] = [];
    const value = await measureTask(await task.begin(provider), times, systemClock, (round) => void rounds.push(round));
    answer({ kind: 'figure', value, rounds, provider: providerInUse });
  } catch (error) {
    if (!isBenchError(error)) throw error;
    answer({ kind: 'failed', code: error.code, detail: error.detail });
  }
}

function answer(said: SignalAnswer): void {
  process.send!(said);
}

/**
 * How an actor answers the requests of `sys.ts`: between two messages, whatever its behaviour is.
 */

import { attentionOf, catchUpTurnEnd } from './attention.ts';
import { codeOf } from './behavior.ts';
import { reply } from './call.ts';
import type { CallEnvelope } from './envelope.ts';
import { terminate } from './exit.ts';
import { fromThrown } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { FLAG, type Process } from './process.ts';
import { describeProcess } from './process-info.ts';
import { snapshot, type SnapshotLimits } from './snapshot.ts';
import type { CallbackFailed, Status, SystemRequest } from './sys.ts';
import { endTrace, startTrace } from './trace.ts';

/** Answers every system request that waits. The actor may have ended afterwards. */
export function answerSystem(kernel: Kernel, process: Process): void {
  const requests = process.annex?.attention?.requests;
  if (requests === undefined) return;
  while (requests.length > 0) {
    const { from, request } = requests.shift() as CallEnvelope & { request: SystemRequest };
    if (request.type === 'terminate') return terminate(kernel, process, request.reason);
    reply(kernel, from, act(kernel, process, request));
  }
}

/**
 * Converts the state to the live version. Throws what `codeChange` throws, and then has changed nothing of ours; a reload
 * that is under way catches it.
 *
 * @returns Whether the actor goes on.
 */
export function convertState(process: Process): boolean {
  const { watch } = process.behavior;
  if (watch !== null) return watch.convert(process);
  convertNow(process);
  return true;
}

/** As `convertState`, whoever watches. A version that was taken back is left by its own `codeBack`. */
export function convertNow(process: Process): void {
  const { current, previous, version } = process.behavior;
  const { state, version: from } = process;
  if (from < version) {
    if (current.codeChange !== undefined) process.state = current.codeChange(state, from);
  } else if (previous?.codeBack !== undefined) process.state = previous.codeBack(state, version);
  process.version = version;
}

function act(kernel: Kernel, process: Process, request: Exclude<SystemRequest, { type: 'terminate' }>): unknown {
  switch (request.type) {
    case 'suspend':
      process.flags |= FLAG.paused | FLAG.attention;
      return 'ok';
    case 'resume':
      process.flags &= ~FLAG.paused;
      catchUpTurnEnd(kernel, process);
      return 'ok';
    case 'get_state':
      return snapshot(stateOf(process), request.limits);
    case 'replace_state':
      return attempt(() => ({ ok: replaceState(process, request.replace, request.limits) }));
    case 'get_status':
      return statusOf(process, request.limits);
    case 'trace':
      attentionOf(process).trace = startTrace(kernel, process, request.options);
      return 'ok';
    case 'no_trace':
      if (attentionOf(process).trace === null) return 'not_traced';
      endTrace(kernel, process, 'stopped');
      return 'ok';
    case 'change_code':
      return process.has(FLAG.paused) ? attempt(() => changeCode(process)) : { error: 'not_suspended' };
  }
}

function changeCode(process: Process): 'ok' {
  if (process.behavior.version !== process.version) convertState(process);
  return 'ok';
}

function stateOf(process: Process): unknown {
  const { state } = process;
  const { systemGetState } = codeOf(process);
  return systemGetState === undefined ? state : systemGetState(state);
}

function replaceState(process: Process, replace: (state: unknown) => unknown, limits: SnapshotLimits): unknown {
  const { systemReplaceState } = codeOf(process);
  process.state =
    systemReplaceState === undefined ? replace(process.state) : systemReplaceState(process.state, replace);
  return snapshot(stateOf(process), limits);
}

function statusOf(process: Process, limits: SnapshotLimits): Status {
  const { annex, parent, state } = process;
  const trace = annex?.attention?.trace ?? null;
  const { formatStatus } = codeOf(process);
  return {
    ...describeProcess(process),
    sysState: process.has(FLAG.paused) ? 'suspended' : 'running',
    parent: parent?.toString(),
    trace: trace === null ? undefined : { eventCount: trace.eventCount, eventsMax: trace.options.eventsMax },
    state: snapshot(formatStatus === undefined ? stateOf(process) : formatStatus(state), limits),
  };
}

/** Runs an author's function: what it throws is told to the caller, and the actor lives on. */
function attempt<T>(run: () => T): T | CallbackFailed {
  try {
    return run();
  } catch (thrown) {
    return { error: 'callback_failed', reason: fromThrown(thrown) };
  }
}

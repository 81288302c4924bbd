/**
 * What can go wrong in the runtime, as codes.
 *
 * Three kinds of trouble do not appear here: a developer's wrong call is a TypeError or RangeError, a full mailbox is a
 * returned string (`SendResult` in `envelope.ts`), and the death of an actor is an `ExitReason`. What is left are
 * failures that a caller meets inside a promise or at start. Identity is the code and never the class: an error loses
 * its class on the way through a port, and two loaded versions of this module have two classes.
 */

/** The catalogue: what a code means, what causes it, what to do. */
export const RT_ERRORS: Readonly<Record<RuntimeErrorCode, { meaning: string; cause: string; action: string }>> =
  Object.freeze({
    RT_CALL_TIMEOUT: {
      meaning: 'No reply came within the time that the caller allowed.',
      cause: 'The callee is busy, suspended in a promise, or never replies to this request.',
      action: 'Treat the outcome as unknown. Look at the mailbox of the callee; a longer timeout rarely helps.',
    },
    RT_CALL_NOPROC: {
      meaning: 'The callee does not exist.',
      cause: 'It has ended, or the name is not registered (yet).',
      action: 'Look the name up again after its supervisor had time to restart it.',
    },
    RT_CALL_EXITED: {
      meaning: 'The callee ended while the caller waited; `reason` says why.',
      cause: 'It crashed on this or another request, was stopped, or was killed.',
      action: 'The request may or may not have had effect. Retry only if it is idempotent.',
    },
    RT_CALL_FULL: {
      meaning: 'The callee had no room for the request; nothing was sent.',
      cause: 'Its mailbox, or the ring to its worker, is at its bound; for a system request, too many of them wait.',
      action: 'Shed load: answer busy to whoever asked you, or try later.',
    },
    RT_CALL_REFUSED: {
      meaning: 'The request could not travel; `detail` holds the send result. Nothing was sent.',
      cause:
        'It cannot be encoded for another worker, is too large for a ring, or that worker is not part of this node; or it is a system request to another node.',
      action: 'Send plain data, in pieces below LIMITS.workerPacketBytesMax; ask `sys` on the node of the actor.',
    },
    RT_CALL_SELF: {
      meaning: 'An actor called itself; it would wait for itself until the timeout.',
      cause: 'A name or pid resolved to the caller.',
      action: 'Call the function directly.',
    },
    RT_MAILBOX_OVERFLOW: {
      meaning: 'An actor with the overflow policy `exit` ended because its mailbox was full.',
      cause: 'It got messages faster than it handled them, for longer than its bound allows.',
      action: 'Look at what it waits for; let its senders slow down, or choose another policy.',
    },
    RT_NO_HANDLER: {
      meaning: 'A message arrived for which the behaviour has no handler.',
      cause: 'A call to a behaviour without handleCall, or a cast to one without handleCast.',
      action: 'Add the handler, or correct the address.',
    },
    RT_POSTPONED_FULL: {
      meaning: 'A state machine postponed more events than LIMITS.postponedCountMax.',
      cause: 'It waits in a state for an event that does not come, while others keep arriving.',
      action: 'Give the state a timeout, or answer the callers instead of postponing them.',
    },
    RT_NAME_TAKEN: {
      meaning: 'The name of an actor to be started is in use.',
      cause: 'Another living actor is registered under it; the first one keeps it.',
      action: 'Find the other one with whereis; two supervisors may be starting the same child.',
    },
    RT_PROCESS_LIMIT: {
      meaning: 'The worker holds LIMITS.processCountMax actors.',
      cause: 'A leak of actors, or a bound that is too small for the load.',
      action: 'Refuse new work at the edge before this point.',
    },
    RT_EXITED: {
      meaning: 'An actor that has ended tried to act through its context.',
      cause: 'An async handler went on after its actor was killed, or a callback kept a context.',
      action: 'Nothing inside the handler: the error ends it. Do not hand a context to a callback.',
    },
    RT_NODE_STOPPED: {
      meaning: 'The node is stopping and starts nothing new.',
      cause: 'A spawn during or after RuntimeNode.stop.',
      action: 'Stop the source of work before the node.',
    },
    RT_ENCODE: {
      meaning: 'A value cannot be written by the codec.',
      cause: 'It holds a function, a symbol, a promise, a cycle, or is nested too deeply.',
      action: 'Send plain data; register an extension for a class of your own.',
    },
    RT_DECODE: {
      meaning: 'Bytes are not something the codec wrote.',
      cause: 'A torn or foreign record.',
      action: 'Treat the record as corrupt.',
    },
    RT_BUS: {
      meaning: 'The servers between nodes refuse this one.',
      cause: 'Wrong credentials or certificates, or a file of them that cannot be read.',
      action: 'Compare the settings of the cluster with those of the NATS servers.',
    },
    RT_WORKER_START: {
      meaning: 'A worker thread failed before it said that it was ready.',
      cause: 'Its entry threw, exited, or took longer than LIMITS.workerStartMsMax.',
      action: 'Read `detail`; run the entry alone.',
    },
  });

export type RuntimeErrorCode =
  | 'RT_CALL_TIMEOUT'
  | 'RT_CALL_NOPROC'
  | 'RT_CALL_EXITED'
  | 'RT_CALL_FULL'
  | 'RT_CALL_REFUSED'
  | 'RT_CALL_SELF'
  | 'RT_MAILBOX_OVERFLOW'
  | 'RT_NO_HANDLER'
  | 'RT_POSTPONED_FULL'
  | 'RT_NAME_TAKEN'
  | 'RT_PROCESS_LIMIT'
  | 'RT_EXITED'
  | 'RT_NODE_STOPPED'
  | 'RT_ENCODE'
  | 'RT_DECODE'
  | 'RT_BUS'
  | 'RT_WORKER_START';

const BRAND: symbol = Symbol.for('blindbeam.runtime-error');

/** A failure of the runtime. Compare `code`, or ask `isRuntimeError(error, code)`. */
export class RuntimeError extends Error {
  override readonly name: string = 'RuntimeError';
  readonly code: RuntimeErrorCode;
  /** Plain data that explains this occurrence: for RT_CALL_EXITED the exit reason of the callee. */
  readonly detail: unknown;

  constructor(code: RuntimeErrorCode, message: string, options?: { detail?: unknown; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options?.detail;
  }

  /** The exit reason inside RT_CALL_EXITED, else undefined. */
  get reason(): unknown {
    return this.code === 'RT_CALL_EXITED' ? this.detail : undefined;
  }
}

Object.defineProperty(RuntimeError.prototype, BRAND, { value: true });

/** Whether `value` is an error of this runtime, and (if given) has this code. Works across two copies of the module. */
export function isRuntimeError(value: unknown, code?: RuntimeErrorCode): value is RuntimeError {
  if (typeof value !== 'object' || value === null || !(BRAND in value)) return false;
  return code === undefined || (value as RuntimeError).code === code;
}

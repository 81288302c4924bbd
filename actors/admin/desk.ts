/**
 * Where requests of operators are taken, whichever way they come: checks them against the table, runs the verb, and lets
 * nothing that changes something pass without an entry in the audit log. Knows no socket and no page.
 */

import type { Logger } from '../../runtime/index.ts';
import type { Audit } from './audit.ts';
import { AdminError, isAdminError, type AdminRefusal } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkParameters, type Parameters, type ValuesOf } from './parameters.ts';
import { isStream, type Caller, type Verb, type VerbTable } from './verb.ts';

export interface DeskOptions {
  readonly table: VerbTable;
  readonly audit: Audit;
  readonly log: Logger;
}

export class Desk {
  readonly #options: DeskOptions;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  get table(): VerbTable {
    return this.#options.table;
  }

  /** Answers a request; each answer goes to `next` but the last, which is returned. `undefined`: the caller has left. */
  async answer(
    name: string,
    given: object,
    caller: Caller,
    next: (value: object) => Promise<void>,
  ): Promise<object | undefined> {
    const verb = this.#options.table.get(name);
    if (verb === undefined) {
      throw new AdminError('ADM_UNKNOWN_VERB', `this node knows no verb "${name.slice(0, LIMITS.refusedCharsMax)}"`);
    }
    const values = checkParameters(verb.spec.parameters, given);
    if (!verb.spec.changes) return drain(verb, values, caller, next);
    return this.#recorded(verb, values, caller, next);
  }

  /** What is told of something thrown; what is nobody's business is logged. */
  refusalOf(thrown: unknown, verb: string): AdminRefusal {
    if (isAdminError(thrown)) return { code: thrown.code, message: thrown.message };
    const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#options.log.error('admin_verb_failed', { verb, reason });
    const { code, message } = new AdminError('ADM_FAILED');
    return { code, message };
  }

  /** Written before it is done: what ends the process is in the log as well. And once more with what became of it. */
  async #recorded(
    verb: Verb,
    values: ValuesOf<Parameters>,
    caller: Caller,
    next: (value: object) => Promise<void>,
  ): Promise<object | undefined> {
    const { audit } = this.#options;
    const entry = audit.begin(verb.spec.name, values, caller.via);
    try {
      const result = await drain(verb, values, caller, next);
      audit.end(entry, 'done');
      return result;
    } catch (thrown) {
      audit.end(entry, isAdminError(thrown) ? thrown.code : 'ADM_FAILED');
      throw thrown;
    }
  }
}

async function drain(
  verb: Verb,
  values: ValuesOf<Parameters>,
  caller: Caller,
  next: (value: object) => Promise<void>,
): Promise<object | undefined> {
  const answer = verb.run(values, caller);
  if (!isStream(answer)) return await answer;
  for await (const value of answer) {
    if (caller.signal.aborted) return undefined;
    await next(value);
  }
  return caller.signal.aborted ? undefined : {};
}

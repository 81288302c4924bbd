/**
 * A verb: something that an operator can ask of a running node. A specification, which is data and shared with the command
 * line and the console, and a function on the main thread that answers.
 *
 * To add one: write its specification beside its function, put the verb into the table in `open.ts`, and a command with
 * its way of printing into `bin/operator/commands.ts`. docs/internals/admin.md has an example.
 */

import type { Parameters, ValuesOf } from './parameters.ts';

export interface VerbSpec {
  /** Words in lower case, joined by dots: `actor.inspect` is `blindbeam actor inspect`. */
  readonly name: string;
  readonly summary: string;
  /** Whether it changes anything: then it has an entry in the audit log, and the console asks for a sign-in. */
  readonly changes: boolean;
  readonly parameters: Parameters;
}

/** Who asks. */
export interface Caller {
  /** Aborted when the one who asked no longer waits. */
  readonly signal: AbortSignal;
  /** `node b`: an operator of the node b, by the transport of the cluster. */
  readonly via: 'socket' | 'console' | `node ${string}`;
}

/**
 * Answers a request with plain data for JSON. A verb that returns an async iterable answers again and again, until that
 * ends or the caller leaves; the next value is asked for when the last one was written.
 *
 * @throws {AdminError} what is to be told; everything else is logged, and told as ADM_FAILED.
 */
export type VerbAnswer = object | Promise<object> | AsyncIterable<object>;

/** A verb as the table holds it. */
export interface Verb {
  readonly spec: VerbSpec;
  run(values: ValuesOf<Parameters>, caller: Caller): VerbAnswer;
}

/** Binds a specification to its function; the values are typed by the specification's parameters. */
export function defineVerb<S extends VerbSpec>(
  spec: S,
  run: (values: ValuesOf<S['parameters']>, caller: Caller) => VerbAnswer,
): Verb {
  return { spec, run: run as Verb['run'] };
}

/** The verbs of a node, by name. */
export class VerbTable {
  readonly #verbs: Map<string, Verb> = new Map();

  constructor(verbs: Iterable<Verb>) {
    for (const verb of verbs) this.add(verb);
  }

  /** @throws {TypeError} if there is one of that name. */
  add(verb: Verb): void {
    const { name } = verb.spec;
    if (this.#verbs.has(name)) throw new TypeError(`there are two verbs "${name}"`);
    this.#verbs.set(name, verb);
  }

  get(name: string): Verb | undefined {
    return this.#verbs.get(name);
  }

  specs(): VerbSpec[] {
    return [...this.#verbs.values()].map(({ spec }) => spec);
  }
}

/** Whether a verb answers more than once. */
export function isStream(answer: VerbAnswer): answer is AsyncIterable<object> {
  return Symbol.asyncIterator in answer;
}

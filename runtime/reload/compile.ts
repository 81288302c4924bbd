/**
 * From a text to a behaviour: compiles one bundled CommonJS text in this thread.
 *
 * By `vm.compileFunction` without `importModuleDynamically`: a version that nothing refers to any more is then collected with its
 * text. No way of importing modules allows that, and `vm.Script` keeps the text (90 KiB for one of 67 KiB; Node 20, 2026-11). The text sees the shell through its `require` and nothing else, and no timers: a
 * callback would outlive its version. Docs: docs/internals/reload.md.
 */

import { compileFunction } from 'node:vm';

import type { AnyBehavior } from '../behavior.ts';
import { RELOAD_LIMITS } from './limits.ts';
import { type Refusal, refusal } from './refusals.ts';

/** One version as it travels to the workers. Plain data. */
export interface Bundle {
  /** Of the behaviour; also of its module. */
  readonly name: string;
  /** CommonJS. */
  readonly text: string;
  /** In place of the version that the text says; undefined leaves it. */
  readonly version?: number | undefined;
}

/** The modules of the shell by their ids; undefined for an id that is none. */
export type Shell = (id: string) => unknown;

/** Compiles and evaluates `bundle`. */
export function compileBundle(bundle: Bundle, shell: Shell): { readonly behavior: AnyBehavior } | Refusal {
  const { name, text } = bundle;
  const bytes = Buffer.byteLength(text);
  if (bytes > RELOAD_LIMITS.bundleBytesMax) {
    return refusal('RELOAD_SYNTAX', `${bytes} bytes, of ${RELOAD_LIMITS.bundleBytesMax} at most`);
  }
  let run: Evaluate;
  try {
    const parameters = ['exports', 'require', 'module', ...FORBIDDEN];
    run = compileFunction(text, parameters, { filename: `reload:${name}` }) as Evaluate;
  } catch (error) {
    return refusal('RELOAD_SYNTAX', messageOf(error));
  }
  const exports = evaluate(run, shell);
  if ('code' in exports) return exports;
  const found = Object.values(exports.ok).find((each): each is AnyBehavior => isBehavior(each, name));
  if (found === undefined) return refusal('RELOAD_NO_BEHAVIOR', `${name} exports ${listNames(exports.ok)}`);
  return { behavior: bundle.version === undefined ? found : numbered(found, bundle.version) };
}

/** What a behaviour must not reach for; `ctx` has all of it. */
const FORBIDDEN = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'] as const;

type Evaluate = (...parameters: unknown[]) => void;

function evaluate(run: Evaluate, shell: Shell): { readonly ok: Record<string, unknown> } | Refusal {
  const module = { exports: {} as Record<string, unknown> };
  const missing: string[] = [];
  const require = (id: string): unknown => {
    const found = shell(id);
    if (found === undefined) missing.push(id);
    return found ?? {};
  };
  try {
    run(module.exports, require, module, ...FORBIDDEN.map(refuseTimer));
  } catch (error) {
    if (missing.length === 0) return refusal('RELOAD_EVALUATION', messageOf(error));
  }
  if (missing.length > 0) return refusal('RELOAD_IMPORT', missing.join(', '));
  return { ok: module.exports };
}

function refuseTimer(name: string): () => never {
  return () => {
    throw new TypeError(`${name} is not for behaviours: use ctx.sendAfter`);
  };
}

function isBehavior(value: unknown, name: string): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { name: own, init } = value as { name?: unknown; init?: unknown };
  return own === name && typeof init === 'function';
}

function listNames(exports: Record<string, unknown>): string {
  const names = Object.keys(exports);
  return names.length === 0 ? 'nothing' : names.join(', ');
}

/** The same behaviour under another number. */
function numbered(behavior: AnyBehavior, version: number): AnyBehavior {
  return Object.assign(Object.create(Object.getPrototypeOf(behavior) as object), behavior, { version }) as AnyBehavior;
}

/** Of an error of any realm. Bounded, since reports are kept. */
export function messageOf(error: unknown): string {
  const { name, message } = (error ?? {}) as { name?: unknown; message?: unknown };
  const text = typeof message === 'string' ? `${typeof name === 'string' ? name : 'Error'}: ${message}` : String(error);
  return text.slice(0, RELOAD_LIMITS.errorTextCharsMax);
}

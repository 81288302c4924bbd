/**
 * What a state looks like, without what is in it: the fields of plain objects and the kinds of their values.
 *
 * Compared are the states that two versions of `init` make from the same arguments, and what `codeChange` makes against
 * what `init` makes. A value that is absent (undefined, null) fits anything, and so does what is opaque: a function, an
 * instance of a class, a stand-in. What is within collections is not looked at: a fresh state has none of it.
 */

import { Pid } from '../pid.ts';
import { Ref } from '../ref.ts';
import { isPlain, isStandIn } from './stand-in.ts';
import { RELOAD_LIMITS } from './limits.ts';

export type Shape = string | { readonly fields: ReadonlyMap<string, Shape> };

const ANY = 'anything';

export function shapeOf(value: unknown, depth: number = RELOAD_LIMITS.shapeDepthMax): Shape {
  if (value === undefined || value === null || typeof value === 'function' || isStandIn(value)) return ANY;
  if (typeof value !== 'object') return typeof value;
  if (Array.isArray(value)) return 'array';
  if (value instanceof Map) return 'map';
  if (value instanceof Set) return 'set';
  if (ArrayBuffer.isView(value)) return 'bytes';
  if (value instanceof Pid || value instanceof Ref || !isPlain(value)) return ANY;
  if (depth === 0) return 'object';
  return { fields: new Map(Object.entries(value).map(([name, each]) => [name, shapeOf(each, depth - 1)])) };
}

/** How `to` differs from `from`, in words; empty if it does not. */
export function compareShapes(from: Shape, to: Shape, path: string = 'state'): string[] {
  if (from === ANY || to === ANY) return [];
  if (typeof from === 'string' || typeof to === 'string') {
    return from === to ? [] : [`${path} was ${kindOf(from)} and is ${kindOf(to)}`];
  }
  const gone = [...from.fields.keys()].filter((name) => !to.fields.has(name)).map((name) => `${path}.${name} is gone`);
  const fresh = [...to.fields.keys()].filter((name) => !from.fields.has(name)).map((name) => `${path}.${name} is new`);
  const changed = [...from.fields].flatMap(([name, each]) => {
    const other = to.fields.get(name);
    return other === undefined ? [] : compareShapes(each, other, `${path}.${name}`);
  });
  return [...gone, ...fresh, ...changed];
}

/** Fields at the top of `wanted` that `value` lacks. */
export function missingFields(value: unknown, wanted: Shape): string[] {
  if (typeof wanted === 'string') return [];
  if (typeof value !== 'object' || value === null) return [`the state is ${value === null ? 'null' : typeof value}`];
  return [...wanted.fields.keys()].filter((name) => !(name in value)).map((name) => `state.${name} is missing`);
}

function kindOf(shape: Shape): string {
  return typeof shape === 'string' ? shape : 'object';
}

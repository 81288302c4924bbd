/**
 * The restart strategies: whom the end of one child concerns. Pure, and all that tells the strategies apart.
 *
 *   one_for_one          A  B  C          only who ended
 *   simple_one_for_one   the same; its children are of one kind and do not know each other
 *   one_for_all         (A) B (C)         everybody
 *   rest_for_one         A  B (C)         who ended and whoever was started after it
 *
 * B ended; those in parentheses are stopped, from right to left, and then B and they are started, from left to right.
 * Read next: `decision.ts`, which makes a plan of it.
 */

import type { Child } from './decision.ts';

/** A supervisor with children of their own ids has one of the first three. */
export type StrategyName = 'one_for_one' | 'one_for_all' | 'rest_for_one' | 'simple_one_for_one';

/** Whom the end of `child` concerns, itself included, in order of start. `child` is one of `children`. */
export type Strategy = (children: Iterable<Child>, child: Child) => readonly Child[];

export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = Object.freeze({
  one_for_one: (_children, child) => [child],
  simple_one_for_one: (_children, child) => [child],
  one_for_all: (children) => [...children],
  rest_for_one: startedSince,
} satisfies Record<StrategyName, Strategy>);

function startedSince(children: Iterable<Child>, child: Child): readonly Child[] {
  const rest: Child[] = [];
  for (const other of children) if (rest.length > 0 || other === child) rest.push(other);
  return rest;
}

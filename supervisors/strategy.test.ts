import t from 'tap';

import { completeSpec } from './child-spec.ts';
import type { Child } from './decision.ts';
import { STRATEGIES, type StrategyName } from './strategy.ts';

const children: Child[] = ['a', 'b', 'c', 'd'].map((id) => ({
  spec: completeSpec({ id, start: { behavior: { name: 'b', init: () => null } } }),
  pid: undefined,
  restarting: false,
}));

const table: Record<StrategyName, readonly [ended: string, concerned: string][]> = {
  one_for_one: [
    ['a', 'a'],
    ['d', 'd'],
  ],
  simple_one_for_one: [['b', 'b']],
  one_for_all: [
    ['a', 'abcd'],
    ['c', 'abcd'],
  ],
  rest_for_one: [
    ['a', 'abcd'],
    ['b', 'bcd'],
    ['d', 'd'],
  ],
};
for (const [strategy, rows] of Object.entries(table) as [StrategyName, readonly [string, string][]][]) {
  for (const [ended, concerned] of rows) {
    t.test(`${strategy}: the end of ${ended} concerns ${concerned}`, async (t) => {
      const child = children.find(({ spec }) => spec.id === ended)!;
      const ids = STRATEGIES[strategy](children, child).map(({ spec }) => spec.id);
      t.equal(ids.join(''), concerned);
    });
  }
}

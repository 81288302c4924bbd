/**
 * The safety number with two groups left out, so that whoever confirms it has looked at the other's. Pure: draws by what it is given.
 *
 * After a change of keys a button that says "the same" is too easily pressed. Here the person has to fill in what only the other one's screen
 * shows: one group from each half, because half of the digits is of one party's keys, and a swapped key may leave the other half as it was. Of two
 * who do this at the same time one lacks even groups and the other odd ones, so each has what the other asks for.
 */

const GROUP_DIGITS = 5;
const GROUPS_PER_HALF = 6;
const GROUPS_PER_LINE = 4;
/** What stands for a group that is left out. */
const GAP = '?'.repeat(GROUP_DIGITS);

/** A number that is to be completed. */
export interface Comparison {
  /** Three lines of four groups. */
  readonly text: string;
  /** The number with what somebody filled in; what is not five digits makes one that is never right. @param parts - One for each gap, in their order. */
  fill(parts: readonly string[]): string;
}

/**
 * @param digits - 60 of them.
 * @param isFirst - Of the two people one is, whichever: the one with the smaller user id, say.
 * @param draw - An integer from 0 to below its argument.
 */
export function comparisonOf(digits: string, isFirst: boolean, draw: (bound: number) => number): Comparison {
  const groups = digits.match(/\d{5}/g) ?? [];
  const gaps = [0, GROUPS_PER_HALF].map((start) => start + 2 * draw(GROUPS_PER_HALF / 2) + (isFirst ? 0 : 1));
  const shown = groups.map((group, index) => (gaps.includes(index) ? GAP : group));
  return {
    text: linesOf(shown),
    fill: (parts) => groups.map((group, index) => filled(group, parts[gaps.indexOf(index)])).join(''),
  };
}

function filled(group: string, part: string | undefined): string {
  return part === undefined ? group : part.replace(/\s/g, '');
}

function linesOf(groups: readonly string[]): string {
  const lines: string[] = [];
  for (let start = 0; start < groups.length; start += GROUPS_PER_LINE) {
    lines.push(groups.slice(start, start + GROUPS_PER_LINE).join(' '));
  }
  return lines.join('\n');
}

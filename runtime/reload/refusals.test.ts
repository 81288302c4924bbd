import { readFileSync } from 'node:fs';
import t from 'tap';
import { REFUSALS } from './refusals.ts';

t.test('docs/operating.md has every reason for which a reload is refused, as the catalogue has it', async (t) => {
  const text = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8');
  const words = (line: string): string => line.replace(/\s+/g, ' ');
  for (const [code, { meaning, fix }] of Object.entries(REFUSALS)) {
    const line = text.split('\n').find((each) => each.startsWith(`| \`${code}\``));
    t.ok(line !== undefined && words(line).includes(meaning) && words(line).includes(fix), code);
  }
  const named = [...text.matchAll(/^\| `(RELOAD_\w+)`/gm)].map((match) => match[1]!);
  t.strictSame(named.sort(), Object.keys(REFUSALS).sort(), 'and no other');
});

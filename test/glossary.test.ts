import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import t from 'tap';

import * as runtime from '../runtime/index.ts';
import { createTestNode } from '../runtime/testing/index.ts';
import * as supervisors from '../supervisors/index.ts';

const GLOSSARY = join(fileURLToPath(new URL('../..', import.meta.url)), 'docs/glossary.md');

/** The column "ours" of the tables for Erlang programmers. */
function ours(): string {
  const text = readFileSync(GLOSSARY, 'utf8');
  const section = text.slice(text.indexOf('## Erlang to ours'), text.indexOf('## Messaging'));
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|')[2]!)
    .join('\n');
}

t.test('every function in the table for Erlang programmers exists', async (t) => {
  const { node } = createTestNode();
  const actor = node.spawn({ name: 'any', init: () => null }, undefined);
  const owners: Record<string, object> = {
    ctx: actor,
    node,
    sys: runtime.sys,
    pg: runtime.pg,
    genEvent: runtime.genEvent,
    genStatem: runtime.genStatem,
  };
  const names = [...ours().matchAll(/\b(ctx|node|sys|pg|genEvent|genStatem)\.(\w+)/g)];
  t.ok(names.length > 70, `${names.length} names`);
  for (const [whole, owner, name] of names) t.ok(name! in owners[owner!]!, whole);
  const supervision = ours().match(/`(\w*(?:Child|Children|Specs?|Supervisor|partition)\w*)[`(]/g)!;
  t.ok(supervision.length > 12, `${supervision.length} names of supervisors/`);
  for (const found of supervision) {
    const name = found.replaceAll(/\W/g, '');
    // A type is not there at run time.
    if (name !== 'ChildSpec') t.ok(name in supervisors, name);
  }
});

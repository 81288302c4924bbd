import t from 'tap';
import type { MemberEvent } from '../../runtime/cluster/index.ts';
import { Abroad } from './abroad.ts';
import { LIMITS } from './limits.ts';
import { formatAnnouncement } from './shard-record.ts';

const CENTRES = [
  { name: 'east', prefixes: [] },
  { name: 'west', prefixes: ['+1'] },
];

function up(node: string, centre: string | undefined): MemberEvent {
  const versions = { min: 1, max: 1 };
  return { type: 'up', member: { node, life: 1, versions, workers: [1], info: { centre } } };
}

function said(shard: number, node: string, epoch: number): string {
  const owner = { node, worker: 1, life: 1 };
  return formatAnnouncement([[shard, { epoch, owner, standby: undefined, next: undefined, isDoubted: false }]]);
}

/** Of four shards, the last two are of the west. */
function east(): Abroad {
  const abroad = new Abroad(CENTRES, 4);
  for (const event of [up('w1', 'west'), up('w2', 'west'), up('e2', 'east'), up('old', undefined)])
    abroad.noteMember(event);
  return abroad;
}

function isBelieved(abroad: Abroad, text: string, centre = 'west', nowMs = 0): boolean {
  return abroad.note(text, centre, nowMs).length === 1;
}

t.test('believed is who was let in, of its own centre, for shards of that centre', async (t) => {
  const abroad = east();
  t.ok(isBelieved(abroad, said(2, 'w1', 3)));
  t.notOk(isBelieved(abroad, said(1, 'w1', 3)), 'a shard of the east');
  t.notOk(isBelieved(abroad, said(3, 'e2', 3)), 'a node of the east, as one of the west');
  t.notOk(isBelieved(abroad, said(3, 'w1', 3), 'east'));
  t.notOk(isBelieved(abroad, said(3, 'nobody', 3)));
  t.notOk(isBelieved(abroad, said(3, 'old', 3)), 'who does not say where it is');
  t.notOk(isBelieved(abroad, said(3, 'w1', 3), 'north'), 'a centre that there is not');
  t.notOk(isBelieved(abroad, 'nothing'));
  abroad.noteMember({ type: 'down', node: 'w1', life: 1, reason: 'silence' });
  t.notOk(isBelieved(abroad, said(2, 'w1', 4)), 'who is gone');
});

t.test('the higher epoch is believed for as long as it is said', async (t) => {
  const abroad = east();
  const high = Number.MAX_SAFE_INTEGER;
  t.ok(isBelieved(abroad, said(2, 'w1', 3)));
  t.ok(isBelieved(abroad, said(2, 'w2', 4), 'west', 1_000));
  t.notOk(isBelieved(abroad, said(2, 'w1', 3), 'west', 1_001), 'a former owner, late');
  t.ok(isBelieved(abroad, said(2, 'w2', high), 'west', 2_000));
  const over = 2_000 + LIMITS.claimMs;
  t.notOk(isBelieved(abroad, said(2, 'w1', 1), 'west', over - 1));
  t.ok(isBelieved(abroad, said(2, 'w1', 1), 'west', over), 'a centre that was founded anew');
  t.ok(isBelieved(abroad, said(2, 'w1', 1), 'west', over + 1_000));
});

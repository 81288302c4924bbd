/** The nodes of the cluster on the page: how each is, what it lacks, who has which shard, and what a signed-in operator may order. */

import type { NodeRow } from '../../nodes/overview.ts';
import { isWell, type MapRow, type ShardSummary } from '../../nodes/shard-map.ts';
import type { NodeList, NodeMap } from '../../nodes/verbs.ts';
import { Chart } from './charts.ts';
import { button, byId, bytes, count, element, fillTable, span, type Cell } from './dom.ts';

/** What can be ordered of a node from its row. */
export type NodeAction = 'drain' | 'join';

/** Shards that the page shows; of more, those that somebody should look at come first. */
const SHARDS_SHOWN_MAX = 64;

interface Charts {
  /** The nodes that they were made for, in order. */
  readonly nodes: readonly string[];
  readonly clients: Chart;
  readonly lag: Chart;
}

export class ClusterView {
  readonly #onAction: (action: NodeAction, node: string) => void;
  #charts: Charts | undefined;

  constructor(onAction: (action: NodeAction, node: string) => void) {
    this.#onAction = onAction;
  }

  /**
   * Nothing for a node on its own.
   *
   * @param atMs - Wall time of the node.
   */
  show({ cluster, nodes, shards }: NodeList, map: NodeMap | undefined, atMs: number, isSignedIn: boolean): void {
    byId('cluster').hidden = cluster === undefined;
    // In a cluster a node is drained with its shards, from its row.
    byId('drain-actions').hidden = cluster !== undefined;
    if (cluster === undefined || map === undefined) return;
    if (shards !== undefined) showSummary(shards);
    const rows = nodes.map((row) => [...nodeCells(row), this.#actions(row, isSignedIn)]);
    fillNodes(`Nodes of ${cluster}`, rows);
    this.#draw(nodes, atMs / 1_000);
    showMap(map);
  }

  #actions({ node, state }: NodeRow, isSignedIn: boolean): Cell {
    const actions = element('span', {});
    if (!isSignedIn) return actions;
    if (state === 'up') actions.append(button('drain', () => this.#onAction('drain', node), 'small danger'));
    if (state === 'draining') actions.append(button('join', () => this.#onAction('join', node)));
    return actions;
  }

  /** A node that is not there has no clients, and what its copies lack grows. */
  #draw(nodes: readonly NodeRow[], at: number): void {
    const names = nodes.map(({ node }) => node);
    if (this.#charts?.nodes.join() !== names.join()) {
      this.#charts?.clients.close();
      this.#charts?.lag.close();
      byId('cluster-charts').replaceChildren();
      this.#charts = makeCharts(byId('cluster-charts'), names);
    }
    this.#charts!.clients.add(
      at,
      nodes.map(({ sessions }) => sessions ?? 0),
    );
    this.#charts!.lag.add(
      at,
      nodes.map(({ lag }) => lag?.records ?? 0),
    );
  }
}

function makeCharts(parent: HTMLElement, nodes: readonly string[]): Charts {
  return {
    nodes,
    clients: new Chart(parent, { title: 'Clients of the nodes', series: nodes, format: count }),
    lag: new Chart(parent, { title: 'Records that the worst copy of a node lacks', series: nodes, format: count }),
  };
}

function showSummary({ count: all, unserved, single, unseen = 0 }: ShardSummary): void {
  const parts = [
    unserved === 0 ? 'all served' : `${count(unserved)} not served`,
    single > 0
      ? `${count(single)} without a whole second copy`
      : `${unserved === 0 ? 'each' : 'the others'} with a whole second copy`,
  ];
  const line = byId('shards-state');
  line.className = unserved + single + unseen === 0 ? 'good' : 'bad';
  const elsewhere = unseen === 0 ? '' : `; ${count(unseen)} of another data centre out of sight`;
  const text = `${count(all - unseen)} shards: ${parts.join(', ')}${elsewhere}`;
  // It is read aloud when it changes, not with each look.
  if (line.textContent !== text) line.textContent = text;
}

/**
 * Fills the table of nodes. The buttons of a row stay the same elements from look to look, unless there are others: with the focus, and under a pointer
 * that is just pressed.
 */
function fillNodes(caption: string, rows: readonly (readonly Cell[])[]): void {
  const table = byId<HTMLTableElement>('nodes');
  const before = [...table.querySelectorAll<HTMLTableRowElement>('tbody tr')];
  const next = element('table');
  fillTable(next, caption, NODE_HEAD, rows);
  const after = [...next.querySelectorAll<HTMLTableRowElement>('tbody tr')];
  const isAlike = after.every((row, index) => rowKey(row) === rowKey(before[index]));
  if (!isAlike || before.length !== after.length) return fillTable(table, caption, NODE_HEAD, rows);
  before.forEach((row, index) => {
    const cells = [...after[index]!.cells];
    for (const [column, cell] of cells.slice(0, -1).entries()) row.cells[column]!.replaceWith(cell);
  });
}

/** Of which node a row is, and what may be ordered there. */
function rowKey(row: HTMLTableRowElement | undefined): string {
  return `${row?.cells[0]?.textContent} ${row?.cells[NODE_HEAD.length - 1]?.textContent}`;
}

const NODE_HEAD = [
  'node',
  'state',
  'release',
  'clients',
  'shards',
  'standing by for',
  'copies behind',
  'on its disk alone',
  'NATS',
  'up',
  '',
];

function nodeCells(row: NodeRow): Cell[] {
  const { node, isThis, centre, state, reason, release = '', sessions, owned, standby, copying } = row;
  const { lag, nats, uptimeMs, tailBytes } = row;
  const isUp = state === 'up' || state === 'draining';
  return [
    `${node}${centre === undefined ? '' : ` in ${centre}`}${isThis ? ' (this one)' : ''}`,
    element('span', isUp ? {} : { class: 'bad' }, reason === undefined ? state : `${state}: ${reason}`),
    release,
    { right: sessions === undefined ? '' : count(sessions) },
    { right: count(owned) },
    { right: copying === 0 ? count(standby) : `${count(standby)}, ${count(copying)} begun` },
    { right: lag === undefined ? '' : lagText(lag) },
    { right: tailBytes === undefined ? '' : bytes(tailBytes) },
    nats === undefined ? '' : nats.isUp ? nats.servers.join(' ') : element('span', { class: 'bad' }, 'no connection'),
    { right: uptimeMs === undefined ? '' : span(uptimeMs) },
  ];
}

function lagText({ records, ms }: NonNullable<MapRow['lag']>): string {
  if (records === 0) return '0';
  return `${count(records)} ${records === 1 ? 'record' : 'records'}, ${(ms / 1_000).toFixed(1)} s`;
}

const MAP_HEAD = [
  'shard',
  'partitions',
  'epoch',
  'owner',
  'standby',
  'next',
  'phase',
  'copy behind',
  'on its disk alone',
];

function showMap({ shards }: NodeMap): void {
  const isLong = shards.length > SHARDS_SHOWN_MAX;
  const sorted = isLong ? [...shards.filter((row) => !isWell(row)), ...shards.filter(isWell)] : shards;
  const caption = isLong
    ? `The first ${SHARDS_SHOWN_MAX} of ${count(shards.length)}, those without a whole second copy before the others; "blindbeam node map" has all`
    : 'Who owns which shard, and who stands by';
  fillTable(byId('shards'), caption, MAP_HEAD, sorted.slice(0, SHARDS_SHOWN_MAX).map(mapCells));
}

function mapCells({
  shard,
  centre,
  isUnseen,
  partitions,
  epoch,
  owner,
  standby,
  standbyIs,
  next,
  phase,
  lag,
  tailBytes,
}: MapRow): Cell[] {
  const bad = (text: string): HTMLElement => element('span', { class: 'bad' }, text);
  return [
    { right: centre === undefined ? String(shard) : `${shard} in ${centre}` },
    { right: count(partitions) },
    { right: count(epoch) },
    owner ?? bad('nobody'),
    standby === undefined ? bad('none') : standbyIs === undefined ? standby : bad(`${standby} (${standbyIs})`),
    next ?? '',
    phase === 'serving' ? phase : bad(phase ?? (isUnseen === true ? 'out of sight' : 'its owner does not answer')),
    { right: lag === undefined ? '' : lagText(lag) },
    { right: tailBytes === undefined ? '' : bytes(tailBytes) },
  ];
}

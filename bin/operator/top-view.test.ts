import t from 'tap';
import type { TopFrame } from '../../actors/admin/top.ts';
import type { NodeRow } from '../../actors/nodes/overview.ts';
import { FIRST_VIEW, pressKey, renderTop, type NodesLook, type TopView } from './top-view.ts';

function frameOf(actorCount: number): TopFrame {
  return {
    status: {
      node: 'blindbeam',
      url: 'ws://127.0.0.1:7400/ws',
      data: '/data',
      version: '1.0.0',
      nodeVersion: 'v20.0.0',
      pid: 42,
      nowMs: 1,
      uptimeMs: 90_061_000,
      memoryBytes: 104_857_600,
      workers: [],
    },
    atMs: 1,
    coverage: 1,
    workers: [
      {
        worker: 1,
        busyShare: 0.5,
        messagesPerS: 1_234,
        storedPerS: 5,
        connections: 15_000,
        actors: 15_012,
        ready: 0,
        queued: 7,
        heapBytes: 50,
        heapBytesMax: 100,
      },
      { worker: 2, error: 'worker 2 did not answer: RT_CALL_TIMEOUT' },
    ],
    groups: [
      { behavior: 'actors/connection', count: 15_000, queued: 5, messagesPerS: 900, timeShare: 0.25 },
      { behavior: 'actors/inbox', count: 2, queued: 2, messagesPerS: 334, timeShare: 0.125 },
    ],
    actors: Array.from({ length: actorCount }, (_, index) => ({
      pid: `<blindbeam.1.${index + 1}.7>`,
      name: index === 0 ? 'inbox.0' : undefined,
      behavior: 'actors/connection',
      status: 'waiting',
      queue: actorCount - index,
      queueMax: 100,
      ageMs: 0,
      bytes: 456,
      worker: 1,
      messagesPerS: 10,
      timeShare: 0.01,
    })),
  };
}

function press(view: TopView, frame: TopFrame, ...keys: readonly string[]): TopView | undefined {
  return keys.reduce<TopView | undefined>((now, key) => (now === undefined ? now : pressKey(now, key, frame)), view);
}

t.test('a frame fills the screen and no more, whatever its size', async (t) => {
  for (const size of [
    { columns: 80, lines: 24 },
    { columns: 20, lines: 3 },
    { columns: 200, lines: 60 },
  ]) {
    for (const page of ['actors', 'behaviours', 'actor', 'help'] as const) {
      const lines = renderTop(frameOf(100), { ...FIRST_VIEW, page }, undefined, size);
      t.equal(lines.length, size.lines, `${page} at ${size.columns} x ${size.lines}`);
      t.ok(lines.every(({ text }) => text.length <= size.columns));
    }
  }
});

t.test('what matters stands where it is looked for', async (t) => {
  const lines = renderTop(frameOf(3), FIRST_VIEW, undefined, { columns: 120, lines: 24 });
  t.match(lines[0]!.text, 'up 1 d 01:01:01');
  t.match(lines[1]!.text, /15,000 connections .*1,234 actor messages\/s .*100 MiB/);
  t.match(lines[2]!.text, /██████████░░░░░░░░░░  50 %  heap 50 %/);
  t.strictSame(lines[3], { text: '2  worker 2 did not answer: RT_CALL_TIMEOUT', style: 'warn' });
  t.match(lines[5]!.text, /NAME .*MSG\/S▼/);
  t.match(lines[6], { text: /^inbox\.0 +<blindbeam\.1\.1\.7>/, style: 'reverse' });
  const partial = renderTop({ ...frameOf(1), coverage: 0.4 }, FIRST_VIEW, undefined, { columns: 120, lines: 24 });
  t.match(partial[1]!.text, 'seen 40 % of them');
});

t.test('80 columns have everything that ranks, and wider ones the pids', async (t) => {
  const frame = frameOf(3);
  const narrow = renderTop(frame, FIRST_VIEW, undefined, { columns: 80, lines: 24 }).map(({ text }) => text);
  t.match(narrow[5], /^NAME +STATUS +QUEUE +OLDEST +MSG\/S▼ +TIME +BYTES≥$/);
  t.match(narrow[6], /^inbox\.0 +waiting +3 +10 +1\.0 % +456 B *$/);
  t.match(narrow[2], /1,234\/s$/);
  t.match(narrow.at(-1), /q quit$/);
  const help = renderTop(frame, { ...FIRST_VIEW, page: 'help' }, undefined, { columns: 300, lines: 24 });
  t.ok(help.slice(5).every(({ text }) => text.length <= 80));
  const wide = renderTop(frame, FIRST_VIEW, undefined, { columns: 120, lines: 24 }).map(({ text }) => text);
  t.match(wide[6], /^inbox\.0 +<blindbeam\.1\.1\.7> +waiting +3 .*456 B *$/);
});

function nodesLook(change: Partial<NodeRow> = {}, shardCount = 3): NodesLook {
  const shares = { isThis: false, owned: 2, standby: 1, copying: 0, release: '0.1.0', wire: 1, frames: 1 } as const;
  const nats = { isUp: true, servers: ['nats-1.east.example:4222'] };
  const up = { ...shares, state: 'up', sessions: 7, uptimeMs: 1_000, nats } as const;
  const shards = Array.from({ length: shardCount }, (_, shard) =>
    Object.assign(
      { shard, partitions: 86, epoch: 1, owner: 'a.1', standby: 'b.1', phase: 'serving' as const },
      shard === 2 ? { standbyIs: 'away' as const } : undefined,
    ),
  );
  const sum = { count: shardCount, unserved: 0, single: 1 };
  const nodes: NodeRow[] = [
    { ...up, node: 'a', isThis: true },
    { ...up, node: 'b', ...change },
  ];
  return { list: { cluster: 'main', nodes, shards: sum }, map: { cluster: 'main', shards } };
}

t.test('the page of nodes fits 80 columns with all that says how they are, and has the map', async (t) => {
  const view = { ...FIRST_VIEW, page: 'nodes' } as const;
  const nodes = nodesLook({ state: 'suspect', reason: 'silent for 900 ms', tailBytes: 2_048 });
  const texts = renderTop(frameOf(1), view, { nodes }, { columns: 80, lines: 24 }).map(({ text }) => text);
  t.match(texts[5], /^NODE +STATE +SESSIONS +OWNED +STANDBY +BEHIND +ALONE +NATS +UP$/);
  t.match(texts[6], /^a \* +up +7 +2 +1 +up +00:00:01$/);
  t.match(texts[7], /^b +suspect +7 +2 +1 +2\.0 KiB +up +00:00:01$/);
  t.equal(texts[8], '  silent for 900 ms');
  t.equal(texts[10], '3 shards: all served, 1 WITHOUT A WHOLE SECOND COPY');
  t.match(texts[12], /^SHARD +EPOCH +OWNER +STANDBY +PHASE +BEHIND$/);
  t.match(texts[13], /^ +2 +1 +a\.1 +b\.1 \(away\) +serving/, 'first what somebody should look at');
  const wide = renderTop(frameOf(1), view, { nodes: nodesLook() }, { columns: 120, lines: 40 });
  t.match(wide[5]!.text, /RELEASE +WIRE .* NATS +UP$/);
  t.match(wide[6]!.text, /nats-1\.east\.example:4222 +00:00:01$/);
  t.notMatch(wide[5]!.text, 'ALONE', 'nobody has anything alone');
});

t.test('what is wrong stands out, and a long map is cut with a word about the rest', async (t) => {
  const view = { ...FIRST_VIEW, page: 'nodes' } as const;
  const size = { columns: 80, lines: 24 };
  const nodes = nodesLook({ state: 'gone', nats: undefined, sessions: undefined, uptimeMs: undefined }, 1_024);
  const lines = renderTop(frameOf(1), view, { nodes }, size);
  t.equal(lines.length, 24);
  const warned = lines.filter(({ style }) => style === 'warn').map(({ text }) => text.split(/ {2,}/)[0]);
  t.strictSame(
    warned,
    ['2', 'b', '1,024 shards: all served, 1 WITHOUT A WHOLE SECOND COPY', ''],
    'a worker, a node, the sum, a shard',
  );
  const shown = lines.filter(({ text }) => / a\.1 /.test(text)).length;
  t.equal(lines.at(-2)!.text, `… ${(1_024 - shown).toLocaleString('en-US')} more: blindbeam node map`);
  for (const lines of [10, 11, 12, 13])
    t.equal(renderTop(frameOf(1), view, { nodes }, { columns: 80, lines }).length, lines);
  const alone = renderTop(frameOf(1), view, { nodes: { list: { nodes: nodes.list.nodes }, map: undefined } }, size);
  t.notOk(
    alone.some(({ text }) => text.includes('SHARD')),
    'without a cluster no shards',
  );
  const problem = renderTop(frameOf(1), view, { problem: 'no answer within 5000 ms' }, size);
  t.equal(problem[5]!.text, 'no answer within 5000 ms');
});

t.test('the selected row is always in sight', async (t) => {
  const frame = frameOf(100);
  let view: TopView = FIRST_VIEW;
  for (let step = 0; step < 120; step += 1) {
    const marked = renderTop(frame, view, undefined, { columns: 120, lines: 15 }).filter(
      (line) => line.style === 'reverse',
    );
    t.equal(marked.length, 1, `row ${view.selected}`);
    view = pressKey(view, 'down', frame)!;
  }
  t.equal(view.selected, 99);
});

t.test('keys change the view', async (t) => {
  const frame = frameOf(3);
  t.match(press(FIRST_VIEW, frame, 'u'), { by: 'queue' });
  t.match(press(FIRST_VIEW, frame, 'right'), { by: 'time' });
  t.match(press(FIRST_VIEW, frame, 'left', 'left', 'left', 'left'), { by: 'queue' });
  t.match(press(FIRST_VIEW, frame, 'b', 'down', 'return'), { page: 'actors', behavior: 'actors/inbox', selected: 0 });
  t.match(press(FIRST_VIEW, frame, 'b', 'return', 'escape'), { page: 'actors', behavior: undefined });
  t.match(press(FIRST_VIEW, frame, 'down', 'return'), { page: 'actor', pid: '<blindbeam.1.2.7>' });
  t.match(press(FIRST_VIEW, frame, 'down', 'return', 'escape'), { page: 'actors', pid: undefined, selected: 1 });
  t.match(press(FIRST_VIEW, frame, 'space'), { isPaused: true });
  t.match(press(FIRST_VIEW, frame, '+', '+'), { intervalMs: 5_000 });
  t.match(press(FIRST_VIEW, frame, '-', '-', '-'), { intervalMs: 200 });
  t.match(press(FIRST_VIEW, frame, '?', 'escape'), { page: 'actors' });
  t.strictSame(press(FIRST_VIEW, frame, 'x'), FIRST_VIEW);
  t.equal(press(FIRST_VIEW, frame, 'q'), undefined);
  t.equal(press(FIRST_VIEW, frame, 'ctrl-c'), undefined);
});

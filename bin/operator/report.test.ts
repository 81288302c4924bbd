/** Reports as operators see them: over two workers, the newest first, the disclosed part on request and audited. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MemoryStore } from '../../actors/store/memory.ts';
import { ALICE, BOB } from '../../actors/test-kit.ts';
import { agent, AGENT_NAME } from '../../actors/admin/agent.ts';
import { reportQuestions, type ReportDetails } from '../../actors/admin/report-questions.ts';
import { reportVerbs, type ReportList } from '../../actors/admin/report-verbs.ts';
import { createDesk, createThreads } from '../../actors/admin/test-kit.ts';
import { printReport, printReports } from './print-reports.ts';

const SPAMMER = '500000000000005';
const CAROL = '400000000000004';

/** Two workers with a shard each. @param counts - Reports in each. */
async function startFixture(
  t: Test,
  counts: readonly [number, number],
): Promise<{
  ask<T>(verb: string, parameters?: object): Promise<T>;
  audited(): string;
  /** Reports that the first worker has read. */
  readCount(): number;
  settle(): Promise<void>;
}> {
  const threads = createThreads(2);
  const stores = [new MemoryStore(), new MemoryStore()];
  for (const [shard, store] of stores.entries()) {
    await store.commit(({ protection }) => {
      for (let place = 1; place <= counts[shard]!; place += 1) {
        const reporter = shard === 0 ? ALICE : place % 2 === 0 ? BOB : CAROL;
        const sender = place === 1 && shard === 0 ? BOB : SPAMMER;
        const evidence = place % 2 === 0 ? new TextEncoder().encode(`buy\u001b[2J this ${place}`) : new Uint8Array();
        const report = { ts: place * 10 + shard, reporter, sender, senderDevice: 2, senderCreation: 3, id: place + 40 };
        protection.putReport(place, { ...report, evidence });
      }
    });
    const { node } = threads.workerNodes[shard]!;
    node.spawn(agent, { questions: reportQuestions({ shards: [shard], stores: [store] }) }, { name: AGENT_NAME });
  }
  let readCount = 0;
  const { protection } = stores[0]!;
  const read = protection.reports.bind(protection);
  protection.reports = (place, countMax) => {
    const page = read(place, countMax);
    readCount += page.length;
    return page;
  };
  await threads.settle();
  const { desk, directory } = createDesk(t, reportVerbs(threads.workers));
  const caller = { signal: new AbortController().signal, via: 'socket' } as const;
  const ask = async <T>(verb: string, parameters: object = {}): Promise<T> => {
    return (await threads.outcome(desk.answer(verb, parameters, caller, () => Promise.resolve()))) as T;
  };
  const audited = (): string => readFileSync(join(directory, 'audit.log'), 'utf8');
  return { ask, audited, readCount: () => readCount, settle: () => threads.settle() };
}

t.test('a list: the newest of all workers first, with how many different people reported a sender', async (t) => {
  const { ask } = await startFixture(t, [3, 3]);
  const { rows, reporters } = await ask<ReportList>('report.list');
  t.same(
    rows.map(({ report }) => report),
    ['1.3', '0.3', '1.2', '0.2', '1.1', '0.1'],
  );
  t.same(reporters, { [SPAMMER]: 3, [BOB]: 1 });
  t.match(rows[2], { sender: SPAMMER, senderDevice: 2, senderCreation: 3, reporter: BOB, id: 42, at: 21 });
  t.notOk(
    rows.some((row) => 'evidence' in row),
    'nothing of what was said',
  );
  t.same(
    (await ask<ReportList>('report.list', { sender: BOB })).rows.map(({ report }) => report),
    ['0.1'],
  );
  t.equal((await ask<ReportList>('report.list', { rows: 2 })).rows.length, 2);
  const printed = printReports({ rows, reporters });
  t.match(printed, /REPORT +AT +SENDER +REPORTERS/);
  t.match(printed, /1\.2 +1970-01-01T00:00:00\.021Z +500000000000005\.2 +3 +/);
  await t.rejects(ask('report.list', { sender: '+4915100000001' }), { code: 'ADM_BAD_PARAMETER' });
});

t.test('more than one page of a store is looked through for a sender', async (t) => {
  const { ask } = await startFixture(t, [600, 0]);
  t.same(
    (await ask<ReportList>('report.list', { sender: BOB })).rows.map(({ report }) => report),
    ['0.1'],
  );
  t.match((await ask<ReportList>('report.list', { rows: 1 })).rows, [{ report: '0.600' }]);
});

t.test('a worker that looks for a sender does its other work after every page', async (t) => {
  const { ask, readCount, settle } = await startFixture(t, [600, 0]);
  const asked = ask<ReportList>('report.list', { sender: BOB });
  await settle();
  t.ok(readCount() > 0 && readCount() < 200, `${readCount()} in its first turns`);
  t.equal((await asked).rows.length, 1);
  t.equal(readCount(), 600);
});

t.test('what was disclosed is shown on request, which is audited, and cannot steer a terminal', async (t) => {
  const { ask, audited } = await startFixture(t, [2, 2]);
  const details = await ask<ReportDetails>('report.show', { report: '1.2' });
  t.equal(Buffer.from(details.evidence, 'base64').toString(), 'buy\u001b[2J this 2');
  t.match(audited(), /report\.show/);
  const printed = printReport(details);
  t.match(printed, /buy·\[2J this 2/);
  t.notMatch(printed, '\u001b');
  t.match(printReport(await ask<ReportDetails>('report.show', { report: '0.1' })), /disclosed nothing/);
  await t.rejects(ask('report.show', { report: '1.9' }), { code: 'ADM_NOT_FOUND' });
  await t.rejects(ask('report.show', { report: '7.1' }), { code: 'ADM_NOT_FOUND' });
  await t.rejects(ask('report.show', { report: 'last' }), { code: 'ADM_BAD_PARAMETER' });
});

t.test('nothing reported is said in words', async (t) => {
  const { ask } = await startFixture(t, [0, 0]);
  t.equal(printReports(await ask<ReportList>('report.list')), 'nothing has been reported');
});

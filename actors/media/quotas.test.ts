import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Logger } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { ALICE, BOB } from '../test-kit.ts';
import { QuotaFile } from './quota-file.ts';
import { Quotas } from './quotas.ts';

const HOUR = 3_600_000;
const WALL = 1_700_000_000_000;
const DAY_BYTES = LIMITS.mediaDayBytesMax;

t.test('what is used comes back steadily, and never more than a day of it', async (t) => {
  const quotas = new Quotas();
  t.equal(quotas.take(ALICE, DAY_BYTES, 0), 0);
  t.equal(quotas.take(ALICE, DAY_BYTES / 24, 0), 3_600, 'an hour');
  t.equal(quotas.take(ALICE, DAY_BYTES / 24, HOUR), 0);
  t.equal(quotas.take(ALICE, DAY_BYTES, 100 * HOUR), 0);
  t.ok(quotas.take(ALICE, DAY_BYTES, 100 * HOUR) > 0);
  t.equal(quotas.take(BOB, DAY_BYTES, 0), 0, 'each account has its own');
});

t.test('time that passed between two lives counts; a clock that was set back gives nothing', async (t) => {
  const saved = [{ user: ALICE, bytes: 0, atMs: WALL }];
  const restored = (wallMs: number): Quotas => {
    const quotas = new Quotas();
    quotas.restore(saved, 5, wallMs);
    return quotas;
  };
  t.equal(restored(WALL + HOUR).take(ALICE, DAY_BYTES / 24, 5), 0);
  t.ok(restored(WALL + HOUR).take(ALICE, DAY_BYTES / 23, 5) > 0);
  t.equal(restored(WALL - HOUR).take(ALICE, DAY_BYTES / 24, 5), 3_600);
  const later = { user: ALICE, bytes: DAY_BYTES / 2, atMs: WALL + 1 };
  const both = new Quotas();
  both.restore([later, ...saved], 0, WALL + 1);
  t.equal(both.take(ALICE, DAY_BYTES / 2, 0), 0, 'of two records the later one');
});

t.test('accounts that used much are given to be saved, in the numbers of that moment', async (t) => {
  const quotas = new Quotas();
  quotas.take(ALICE, DAY_BYTES, 0);
  quotas.take(BOB, LIMITS.mediaQuotaSavedBytesMin - 1, 0);
  t.strictSame(quotas.heavy(0, WALL), [{ user: ALICE, bytes: 0, atMs: WALL }]);
  t.strictSame(quotas.heavy(HOUR, WALL + HOUR), [
    { user: ALICE, bytes: Math.floor(DAY_BYTES / 24), atMs: WALL + HOUR },
  ]);
  t.strictSame(quotas.heavy(24 * HOUR, WALL), [], 'nothing to say of a full one');
});

t.test('the files of all workers are read; a broken one is told and counts as empty', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-quotas-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const warned: unknown[] = [];
  const none = (): void => undefined;
  const log: Logger = { debug: none, info: none, warn: (...what) => void warned.push(what), error: none };
  const [first, second] = [1, 2].map((worker) => new QuotaFile({ directory, worker, log })) as [QuotaFile, QuotaFile];
  t.strictSame(first.load(), []);
  const [alice, bob] = [ALICE, BOB].map((user) => ({ user, bytes: 7, atMs: WALL }));
  first.save([bob!]);
  first.save([alice!]);
  second.save([bob!]);
  await Promise.all([first.settled(), second.settled()]);
  t.strictSame(second.load(), [alice, bob]);
  t.strictSame(readdirSync(directory).sort(), ['quotas-1.json', 'quotas-2.json'], 'nothing half-written stays');
  for (const text of ['', '{"version":2,"quotas":[]}', '{"version":1,"quotas":[{"user":"1","bytes":-1,"atMs":0}]}']) {
    writeFileSync(join(directory, 'quotas-1.json'), text);
    t.strictSame(first.load(), [bob]);
  }
  t.equal(warned.length, 3);
  rmSync(directory, { recursive: true });
  first.save([alice!]);
  await first.settled();
  t.match(warned.at(-1), ['media_quotas_unsaved', { reason: 'ENOENT' }], 'a disk that fails ends nothing');
});

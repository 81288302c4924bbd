/**
 * The operators' page of a cluster in headless Chromium: its nodes and the map of its shards, a drain ordered from the page, and a node that is killed
 * while somebody looks. With BLINDBEAM_SCREENSHOTS=FOLDER it leaves pictures to look at.
 */

import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import type { ConsoleAddress } from '../../actors/console/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { FaultyCluster } from '../integration/faulty-cluster.ts';
import { PATIENCE_MS } from '../integration/people.ts';
import { findChromium, startChromium } from './chromium.ts';

const chromium = findChromium();
const SKIP =
  chromium === undefined ? 'no Chromium in the PATH' : hasNatsServer() ? false : 'nats-server is not installed';
const SCREENSHOTS = process.env['BLINDBEAM_SCREENSHOTS'];

async function picture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS !== undefined) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

async function consoleOf(cluster: FaultyCluster, node: string): Promise<ConsoleAddress> {
  const client = await AdminClient.connect(`${cluster.directoryOf(node)}/admin.sock`, PATIENCE_MS);
  try {
    return await client.request<ConsoleAddress>('console', {}, PATIENCE_MS);
  } finally {
    client.close();
  }
}

t.test('an operator looks at a cluster, drains a node of it, and sees one die', { skip: SKIP }, async (t) => {
  const flags = ['--cluster-shards', '4', '--console-port', '0'];
  const cluster = await FaultyCluster.start(t, { nodes: ['a', 'b'], servers: 1, flags });
  const { url, token } = await consoleOf(cluster, 'a');
  const browser = await startChromium(chromium!);
  t.teardown(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  // A browser on a machine that does much else takes its time.
  page.setDefaultTimeout(PATIENCE_MS);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));

  await page.goto(url);
  const whole = page.locator('#shards-state.good', { hasText: '4 shards: all served, each with a whole second copy' });
  await whole.waitFor();
  t.equal(await page.locator('#nodes tbody tr').count(), 2);
  t.equal(await page.locator('#shards tbody tr', { hasText: 'serving' }).count(), 4);
  await page.locator('#cluster-charts canvas').nth(1).waitFor();
  t.equal(await page.getByRole('button', { name: 'drain', exact: true }).count(), 0, 'no orders before signing in');

  await page.goto(`${url}#token=${token}`);
  await page.reload();
  const other = page.locator('#nodes tbody tr').nth(1);
  await other.getByRole('button', { name: 'drain' }).click();
  await page.locator('#dialog-ok').click();
  await page.locator('#notice', { hasText: 'b: its shards are with other nodes' }).waitFor();
  await page.locator('#nodes tbody tr', { hasText: 'draining' }).waitFor();
  await page.waitForFunction(() =>
    [...document.querySelectorAll('#shards tbody tr')].every((row) => row.children[3]?.textContent === 'a.1'),
  );
  await page.locator('#audit', { hasText: 'node.drain' }).first().waitFor();
  t.notOk(await page.locator('#drain').isVisible(), 'a node of a cluster is drained with its shards, from its row');
  await picture(page, 'console-cluster-drained');

  await other.getByRole('button', { name: 'join' }).click();
  await page.locator('#dialog-ok').click();
  await page.locator('#notice', { hasText: 'b takes clients again' }).waitFor();
  await whole.waitFor();

  await cluster.kill('b');
  await page.locator('#nodes tbody tr', { hasText: 'gone' }).waitFor();
  await page.locator('#shards tbody tr', { hasText: 'b.1 (away)' }).first().waitFor();
  await page.locator('#shards-state.bad', { hasText: 'without a whole second copy' }).waitFor();
  await picture(page, 'console-cluster-gone');
  t.strictSame(problems, [], 'no error in the page');
});

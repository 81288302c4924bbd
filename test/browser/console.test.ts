/**
 * The operators' page in headless Chromium: what somebody sees who may only look, what signing in adds, and that the page loads
 * nothing from elsewhere. With BLINDBEAM_SCREENSHOTS=FOLDER it leaves pictures to look at.
 */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { ROOT, ServerProcess, temporaryDirectory } from '../integration/server-process.ts';
import { findChromium, startChromium } from './chromium.ts';

const chromium = findChromium();
const SKIP = chromium === undefined ? 'no Chromium in the PATH' : false;
const SCREENSHOTS = process.env['BLINDBEAM_SCREENSHOTS'];

async function picture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS !== undefined) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

t.test('an operator looks, signs in, and acts', { skip: SKIP }, async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '2', '--console-port', '0']);
  const launcher = join(ROOT, 'bin', 'blindbeam.js');
  const told = execFileSync(process.execPath, [launcher, 'console', '--json', '--data', directory], {
    encoding: 'utf8',
  });
  const { url, token } = JSON.parse(told) as { readonly url: string; readonly token: string };
  const browser = await startChromium(chromium!);
  t.teardown(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  // A browser on a machine that does much else takes its time.
  page.setDefaultTimeout(120_000);
  const foreign: string[] = [];
  const problems: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) foreign.push(request.url());
  });
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));

  await page.goto(url);
  await page.locator('#link-state.live').waitFor();
  await page.locator('#actors tbody tr', { hasText: 'inbox.0' }).first().waitFor();
  await page.locator('#tree', { hasText: 'connections' }).waitFor();
  t.match(await page.locator('#node-facts').textContent(), `process ${server.pid}`);
  t.equal(await page.locator('#session-state').textContent(), 'read-only');
  t.notOk(await page.locator('#crashes').isVisible(), 'crash reports quote errors: not before signing in');
  t.notOk(await page.locator('#drain').isVisible(), 'nothing to change before signing in');
  t.equal(await page.getByRole('button', { name: 'kill' }).count(), 0);
  await page.locator('#charts canvas').first().waitFor();
  // Some points for the charts.
  if (SCREENSHOTS !== undefined) await page.waitForTimeout(5_000);
  await picture(page, 'console-read-only');

  await page.locator('#sign-in').click();
  await page.getByLabel('token').fill('wrong');
  await page.locator('#dialog-ok').click();
  await page.locator('#notice', { hasText: 'not the token' }).waitFor();
  await page.goto(`${url}#token=${token}`);
  await page.reload();
  await page.locator('#session-state', { hasText: 'signed in' }).waitFor();
  t.notMatch(page.url(), token, 'the token does not stay in the address');
  await page.locator('#crashes', { hasText: 'Nothing has crashed' }).waitFor();

  await page.locator('#behavior').selectOption('actors/links');
  const row = page.locator('#actors tbody tr', { hasText: 'links' }).first();
  await row.getByRole('button', { name: 'kill' }).click();
  await picture(page, 'console-confirm');
  await page.locator('#dialog-cancel').click();
  t.equal(await page.locator('#dialog').isVisible(), false);
  await row.getByRole('button', { name: 'kill' }).click();
  await page.locator('#dialog-ok').click();
  await page.locator('#notice', { hasText: 'kill is done' }).waitFor();
  await page.locator('#audit', { hasText: 'actor.kill' }).waitFor();
  await page.locator('#crashes .report', { hasText: 'worker' }).first().waitFor();
  await page.locator('#crashes .report summary').first().click();
  await page.locator('#behaviors', { hasText: 'actors/connection' }).waitFor();

  await page.locator('#drain').click();
  await page.locator('#dialog-ok').click();
  await page.locator('#notice', { hasText: 'are left' }).waitFor();
  await page.locator('#resume').click();
  await page.locator('#notice', { hasText: 'let in again' }).waitFor();
  await picture(page, 'console-signed-in');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 420, height: 900 });
  await page.waitForTimeout(300);
  await picture(page, 'console-dark-narrow');
  t.ok(
    await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
    'a narrow page does not scroll sideways',
  );
  t.strictSame(foreign, [], 'no request leaves the node');
  t.strictSame(
    problems.filter((text) => !/401|40[0-9]/.test(text)),
    [],
    'no error in the page',
  );
  t.equal(await server.stop(), 0);
});

/**
 * The web chat as two people use it: real pages in Chromium, on a real node.
 *
 * With `BLINDBEAM_SCREENSHOTS=folder` each stage is photographed, for somebody to look at.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import t from 'tap';
import type { Test } from 'tap';
import { ROOT, ServerProcess, temporaryDirectory } from '../integration/server-process.ts';
import { findChromium, startChromium } from './chromium.ts';

const executablePath = findChromium();
const skip = executablePath === undefined ? 'no chromium in the PATH; on Debian: apt-get install chromium' : false;
const ALICE = '+4915100000001';
const BOB = '+4915100000002';
const WAIT_MS = 30_000;

/** Opens the page in a profile of its own, and fails the test for whatever the page complains about. */
async function openPage(t: Test, browser: Browser, url: string): Promise<Page> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on('pageerror', (error) => t.fail(`the page threw ${error.message}`));
  page.on('console', (message) => message.type() === 'error' && t.fail(`the page says ${message.text()}`));
  await page.goto(url);
  return page;
}

async function register(page: Page, server: ServerProcess, phone: string): Promise<void> {
  await page.getByLabel('Your phone number').fill(phone);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByLabel('Code').fill(await server.code(phone));
  await page.getByRole('button', { name: 'Register' }).click();
  await page.getByPlaceholder('Number, or a group’s link').waitFor();
}

async function openChat(page: Page, to: string): Promise<void> {
  await page.getByPlaceholder('Number, or a group’s link').fill(to);
  await page.getByRole('button', { name: 'Chat', exact: true }).click();
  await page.getByLabel('Message', { exact: true }).waitFor();
}

async function write(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

const message = (page: Page, text: string): ReturnType<Page['locator']> => page.locator('.message', { hasText: text });

async function look(page: Page, name: string): Promise<void> {
  const folder = process.env['BLINDBEAM_SCREENSHOTS'];
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** 64 by 64 pixels of one grey. */
const PICTURE: Buffer = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAATElEQVR42u3PMQ0AAAwDoEqtfxWVsHsJOCB9LgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIClwGjdwEP6EfQ1wAAAABJRU5ErkJggg==',
  'base64',
);

t.test('two people in two browsers', { skip, timeout: 240_000 }, async (t) => {
  const data = temporaryDirectory(t);
  const server = await ServerProcess.start(t, data);
  const browser = await startChromium(executablePath!);
  t.teardown(() => browser.close());
  const url = server.url.replace(/^ws/, 'http').replace(/\/ws$/, '/');
  const alice = await openPage(t, browser, url);
  const bob = await openPage(t, browser, url);
  await look(alice, '1-entrance');

  await t.test('a wrong code is refused with what to do, the right one lets in', async () => {
    await alice.getByLabel('Your phone number').fill('0151');
    await alice.getByRole('button', { name: 'Send me a code' }).click();
    await alice.getByText('CLI_PHONE_INVALID').waitFor();
    await register(alice, server, ALICE);
    await register(bob, server, BOB);
  });

  await t.test('a message is sent, delivered and read; the answer quotes it', async (t) => {
    await openChat(alice, BOB);
    await write(alice, 'Are you coming along on Sunday?');
    await bob.getByText('Request: Are you coming along on Sunday?').waitFor();
    t.equal(await bob.title(), '(1) Blindbeam', 'one unread');
    await look(bob, '2-unread');
    await bob.getByText('Are you coming along on Sunday?').click();
    await bob
      .getByRole('group', { name: 'Message request' })
      .getByText('They learn nothing until you accept')
      .waitFor();
    await look(bob, '2-request');
    await message(alice, 'Sunday').getByLabel('sent').waitFor();
    t.equal(await message(alice, 'Sunday').getByLabel('delivered').count(), 0, 'a stranger is not told that it came');
    await bob.getByRole('button', { name: 'Accept' }).click();
    await bob.getByRole('button', { name: 'Accept' }).waitFor({ state: 'detached' });
    await write(alice, 'At the harbour');
    await message(alice, 'At the harbour').getByLabel('read', { exact: true }).waitFor();
    t.equal(await bob.title(), 'Blindbeam');
    await message(bob, 'Sunday').hover();
    await message(bob, 'Sunday').getByLabel('Answer').click();
    await write(bob, 'With pleasure <b>&amp;</b>');
    await message(alice, 'With pleasure <b>&amp;</b>').locator('blockquote').getByText('Sunday').waitFor();
    await message(alice, 'With pleasure').hover();
    await message(alice, 'With pleasure').getByLabel('React with 👍').click();
    await message(bob, 'With pleasure').locator('.reactions').getByText('👍').waitFor();
    await look(alice, '3-conversation');
  });

  await t.test('changed and deleted for both', async () => {
    await write(alice, 'At ten?');
    await message(alice, 'At ten?')
      .getByLabel('sent')
      .or(message(alice, 'At ten?').getByLabel('delivered'))
      .or(message(alice, 'At ten?').getByLabel('read', { exact: true }))
      .waitFor();
    await message(alice, 'At ten?').hover();
    await message(alice, 'At ten?').getByLabel('Change').click();
    await write(alice, 'At nine?');
    await message(bob, 'At nine?').getByText('edited').waitFor();
    await message(alice, 'At nine?').hover();
    await message(alice, 'At nine?').getByLabel('Delete for everyone').click();
    await message(bob, 'This message was deleted').waitFor();
  });

  await t.test('a picture arrives with its thumbnail and as it was', async (t) => {
    await alice.locator('input[type=file]').setInputFiles({ name: 'boat.png', mimeType: 'image/png', buffer: PICTURE });
    await message(bob, 'boat.png').locator('img').waitFor();
    await message(bob, 'boat.png').getByRole('button', { name: 'Show boat.png' }).click();
    await bob.locator('dialog img').waitFor();
    const width = await bob.evaluate("document.querySelector('dialog img').naturalWidth");
    t.equal(width, 64);
    await look(bob, '4-picture');
    await bob.keyboard.press('Escape');
    await alice.locator('input[type=file]').setInputFiles({ name: 'notes.bin', mimeType: '', buffer: PICTURE });
    const [download] = await Promise.all([
      bob.waitForEvent('download'),
      message(bob, 'notes.bin').getByRole('button', { name: 'Save notes.bin' }).click(),
    ]);
    t.equal(download.suggestedFilename(), 'notes.bin');
    t.same(readFileSync((await download.path())!), PICTURE);
  });

  await t.test('both see the same safety number, and note that they have compared it', async (t) => {
    const digits: (string | null)[] = [];
    for (const page of [alice, bob]) {
      await page.getByRole('button', { name: 'Safety number' }).click();
      digits.push(await page.locator('dialog .digits').textContent());
    }
    t.equal(digits[0], digits[1]);
    await look(alice, '5-safety');
    await alice.getByRole('button', { name: 'They are the same' }).click();
    await alice.getByRole('button', { name: 'Safety number' }).click();
    await alice.getByText('✓ You have compared it.').waitFor();
    await alice.keyboard.press('Escape');
    await bob.keyboard.press('Escape');
  });

  await t.test('a group: made, written in, and who has read what', async () => {
    await alice.getByRole('button', { name: 'New group' }).click();
    await alice.getByLabel('Name').fill('Sailing');
    await alice.getByLabel('Numbers, one on a line').fill(BOB);
    await alice.getByRole('button', { name: 'Create' }).click();
    await alice.locator('header strong', { hasText: 'Sailing' }).waitFor();
    await write(alice, 'Welcome aboard');
    await bob.getByRole('button', { name: /Sailing/ }).click();
    await message(bob, 'Welcome aboard').locator('.author').getByText(ALICE).waitFor();
    await message(alice, 'Welcome aboard').getByLabel('read', { exact: true }).waitFor();
    await look(bob, '6-group');
  });

  await t.test('a second tab is told why it cannot; a reload keeps everything', async () => {
    const second = await bob.context().newPage();
    await second.goto(url);
    await second.getByText('CLI_STORE_LOCKED').waitFor();
    await second.close();
    await bob.reload();
    await bob.getByRole('button', { name: /Sailing/ }).click();
    await message(bob, 'Welcome aboard').waitFor();
  });

  await t.test('the node dies and comes back: what was written meanwhile arrives', async (t) => {
    // The browser writes of itself into the console that a socket was refused.
    for (const page of [alice, bob]) page.removeAllListeners('console');
    await server.kill();
    await alice
      .getByText(/no connection|connecting/)
      .first()
      .waitFor();
    await write(alice, 'Written without a connection');
    await message(alice, 'Written without').getByLabel('waiting to be sent').waitFor();
    await look(alice, '7-offline');
    await ServerProcess.launch(t, ['--data', data, '--port', new URL(url).port]).line(
      ({ event }) => event === 'node_started',
    );
    await message(bob, 'Written without a connection').waitFor({ timeout: 60_000 });
  });

  await t.test('on a narrow screen there is one column, and a way back', async (t) => {
    await alice.setViewportSize({ width: 400, height: 720 });
    t.equal(await alice.locator('.side').isVisible(), false);
    await look(alice, '8-narrow');
    await alice.getByLabel('Back to the chats').click();
    t.equal(await alice.locator('.side').isVisible(), true);
  });
});

/** The policy that comes to whoever asks under another name: `fetch` would not let one say it. */
function policyUnder(url: string, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/`, { headers: { host } }, (response) => {
      response.resume();
      resolve(String(response.headers['content-security-policy']));
    });
    asked.on('error', reject).end();
  });
}

t.test('the page is served with a policy, once, and not when it is switched off', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  const url = server.url.replace(/^ws/, 'http').replace(/\/ws$/, '');
  const page = await fetch(`${url}/`);
  t.match(page.headers.get('content-security-policy'), /default-src 'none'; script-src 'self'/);
  const connections = (policy: string | null): string | undefined => /connect-src ([^;]*);/.exec(policy ?? '')?.[1];
  const { host } = new URL(url);
  t.equal(
    connections(page.headers.get('content-security-policy')),
    `'self' ws://${host} wss://${host}`,
    'nothing leaves for elsewhere, and the socket is named for browsers that do not take it for the same origin',
  );
  for (const name of ["evil.example; script-src 'unsafe-inline'", 'a b', '-']) {
    const policy = await policyUnder(url, name);
    t.equal(connections(policy), "'self'", `a host called ${JSON.stringify(name)} gets no say`);
    t.notMatch(policy, /unsafe-inline/);
  }
  t.equal(await page.text(), readFileSync(join(ROOT, 'client/web/chat/page.html'), 'utf8'));
  const again = await fetch(`${url}/`, { headers: { 'if-none-match': page.headers.get('etag')! } });
  t.equal(again.status, 304);
  const script = await fetch(`${url}/chat.js`);
  t.equal(script.headers.get('content-encoding'), 'gzip');
  t.match(await script.text(), /blindbeam\.1/);
  t.equal((await fetch(`${url}/../package.json`)).status, 404);
  const silent = await ServerProcess.start(t, temporaryDirectory(t), ['--web-chat', 'no']);
  t.equal((await fetch(silent.url.replace(/^ws/, 'http').replace(/\/ws$/, '/'))).status, 404);
});

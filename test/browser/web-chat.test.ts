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
import { encodeQr, QR_QUIET_MODULES } from '../../client/index.ts';
import { ROOT, ServerProcess, temporaryDirectory } from '../integration/server-process.ts';
import { findChromium, startChromium } from './chromium.ts';

const executablePath = findChromium();
const skip = executablePath === undefined ? 'no chromium in the PATH; on Debian: apt-get install chromium' : false;
const ALICE = '+4915100000001';
const BOB = '+4915100000002';
const WAIT_MS = 120_000;

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

/** The modules of a picture of a code, a row each: what a camera would see of it. */
function modulesOf(picture: ReturnType<Page['locator']>): Promise<string[]> {
  return picture.evaluate((node) => {
    const canvas = node as HTMLCanvasElement;
    const { data, width, height } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    const isDark = (row: number, column: number): boolean => data[4 * (row * width + column)]! < 128;
    return Array.from({ length: height }, (_, row) =>
      Array.from({ length: width }, (_, column) => (isDark(row, column) ? '#' : '.')).join(''),
    );
  });
}

/** The same of the code of a text, by the encoder that is held against pictures of another implementation. */
function modulesOfText(text: string): string[] {
  const { size, isDark } = encodeQr(text);
  const places = Array.from({ length: size + 2 * QR_QUIET_MODULES }, (_, place) => place - QR_QUIET_MODULES);
  return places.map((row) => places.map((column) => (isDark(row, column) ? '#' : '.')).join(''));
}

/** 64 by 64 pixels of one grey. */
const PICTURE: Buffer = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAATElEQVR42u3PMQ0AAAwDoEqtfxWVsHsJOCB9LgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIClwGjdwEP6EfQ1wAAAABJRU5ErkJggg==',
  'base64',
);

t.test('two people in two browsers', { skip }, async (t) => {
  const data = temporaryDirectory(t);
  const server = await ServerProcess.start(t, data);
  const browser = await startChromium(executablePath!);
  t.teardown(() => browser.close());
  const url = server.url.replace(/^ws/, 'http').replace(/\/ws$/, '/');
  const alice = await openPage(t, browser, url);
  const bob = await openPage(t, browser, url);
  /** The same node, once it has died and come back. */
  let later = server;
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
    await message(bob, 'With pleasure').locator('.reactions').press('Enter');
    await bob.locator('dialog .row', { hasText: ALICE }).getByText('👍').waitFor();
    await bob.keyboard.press('Escape');
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

  await t.test('a file to be viewed once is seen once, and is gone then, also after a reload', async (t) => {
    await alice.getByLabel('Once').check();
    await alice.locator('input[type=file]').setInputFiles({ name: 'once.png', mimeType: 'image/png', buffer: PICTURE });
    t.equal(await alice.getByLabel('Once').isChecked(), false, 'the next file is as any');
    await look(alice, '4-once-sent');
    const item = message(bob, 'To be viewed once');
    t.equal(await message(bob, 'once.png').count(), 0, 'before it is viewed nothing of it shows');
    await item.getByRole('button', { name: 'View' }).click();
    await bob.getByRole('button', { name: 'Show once.png' }).click();
    await bob.waitForFunction("document.querySelector('dialog img')?.naturalWidth === 64");
    await look(bob, '4-once');
    // One press may close one dialog or both, and what is closed leaves the page a task later: the next press waits for that.
    for (let left = await bob.locator('dialog').count(); left > 0; left = await bob.locator('dialog').count()) {
      await bob.keyboard.press('Escape');
      await bob
        .locator('dialog')
        .nth(left - 1)
        .waitFor({ state: 'detached' });
    }
    await item.getByText('viewed', { exact: true }).waitFor();
    await message(alice, 'To be viewed once').getByText('viewed', { exact: true }).waitFor();
    await bob.reload();
    await bob.getByRole('button', { name: new RegExp(`\\+${ALICE.slice(1)}`) }).click();
    await item.waitFor();
    t.equal(await item.getByRole('button', { name: 'View' }).count(), 0);
    t.equal(await bob.getByText('once.png').count(), 0);
    await look(bob, '4-once-gone');
  });

  await t.test('a timer shows as it was set, at both ends, whoever knows such a span or not', async (t) => {
    const timer = (page: Page): ReturnType<Page['locator']> => page.getByLabel('Disappearing messages');
    await timer(alice).selectOption('7 days');
    t.equal(await timer(alice).inputValue(), '604800', 'at once');
    await bob.locator('.event', { hasText: 'Messages disappear after 7 days' }).waitFor();
    t.equal(await timer(bob).inputValue(), '604800');
    await timer(bob).selectOption('Messages stay');
    await alice.locator('.event', { hasText: 'Messages stay from here on' }).waitFor();
    t.equal(await timer(alice).inputValue(), '0');
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

  await t.test('somebody is blocked, and not any more', async () => {
    await alice.getByLabel('More about this chat').click();
    await look(alice, '5-person');
    await alice.getByRole('button', { name: 'Block', exact: true }).click();
    await alice.getByText('Blocked: nothing that they write arrives').waitFor();
    await alice.getByLabel('Message request').getByRole('button', { name: 'Unblock' }).click();
    await alice.getByText('Blocked: nothing that they write arrives').waitFor({ state: 'detached' });
    await alice.getByText('until you accept').waitFor({ state: 'detached' });
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
    await message(alice, 'Welcome aboard').getByRole('button', { name: 'read', exact: true }).press('Enter');
    await alice.locator('dialog .row', { hasText: BOB }).getByText('read').waitFor();
    await look(alice, '6-reached');
    await alice.keyboard.press('Escape');
    await look(bob, '6-group');
  });

  await t.test('an admin names another one, renames the group, and has a link for it', async (t) => {
    await alice.getByRole('button', { name: 'Members' }).click();
    await alice.getByRole('button', { name: 'Make an admin' }).click();
    await alice.locator('dialog').waitFor({ state: 'detached' });
    await alice.getByRole('button', { name: 'Members' }).click();
    await alice.getByRole('button', { name: 'Make a member' }).waitFor();
    await alice.getByRole('button', { name: 'Invite by link' }).click();
    await alice.locator('dialog .link', { hasText: 'blindbeam:join/' }).waitFor();
    await look(alice, '6-members');
    const { width } = (await alice.locator('dialog .link').boundingBox())!;
    t.ok(width <= (await alice.locator('dialog').boundingBox())!.width, 'the link stays within its dialog');
    await alice.getByLabel('Name').fill('Sailing club');
    await alice.getByRole('button', { name: 'Rename' }).click();
    await bob.locator('header strong', { hasText: 'Sailing club' }).waitFor();
  });

  await t.test('a third browser becomes a device, and gets the history', async (t) => {
    const laptop = await openPage(t, browser, url);
    await laptop.getByRole('button', { name: 'Link this browser' }).click();
    await laptop.locator('.code .qr').waitFor();
    const code = (await laptop.locator('.code').textContent())!;
    t.same(await modulesOf(laptop.locator('.code .qr')), modulesOfText(code), 'the picture says what the text says');
    await alice.getByRole('button', { name: 'Devices' }).click();
    await alice.getByLabel('Code that the new device shows').fill(code);
    await alice.getByRole('button', { name: 'Link a device' }).click();
    await laptop.getByRole('button', { name: /Sailing club/ }).waitFor();
    await laptop.getByRole('button', { name: 'Devices' }).click();
    await laptop.getByRole('button', { name: 'Ask the first device for the history' }).click();
    await laptop.getByText('Say yes on the first device').waitFor();
    await laptop.keyboard.press('Escape');
    await alice.getByText('asks for the history').waitFor();
    await alice.getByRole('button', { name: 'Devices' }).click();
    await alice.getByRole('button', { name: 'Hand it over' }).click();
    await laptop.getByText(/The history is here: \d+ messages/).waitFor();
    await alice.keyboard.press('Escape');
    await laptop.getByRole('button', { name: new RegExp(`\\+${BOB.slice(1)}`) }).click();
    await message(laptop, 'Are you coming along on Sunday?').first().waitFor();
    t.equal(await laptop.locator('.chats li').count(), 2, 'nobody is listed without a message');
    await look(laptop, '7-laptop');
    await laptop.context().close();
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

  await t.test('the node dies and comes back: what was written meanwhile arrives', async () => {
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
    later = ServerProcess.launch(t, ['--data', data, '--port', new URL(url).port]);
    await later.line(({ event }) => event === 'node_started');
    await message(bob, 'Written without a connection').waitFor();
  });

  await t.test('keys that had been compared and are others now stop the chat until that is decided', async (t) => {
    const again = await openPage(t, browser, url);
    await register(again, later, BOB);
    await openChat(again, ALICE);
    await write(again, 'My new phone');
    await alice.getByRole('button', { name: new RegExp(`\\+${BOB.slice(1)}`) }).click();
    const alarm = alice.getByRole('alert', { name: 'Changed keys' });
    await alarm.getByText('have changed since you compared them').waitFor();
    await write(alice, 'Is it you?');
    await message(alice, 'Is it you?').getByRole('button', { name: 'not delivered' }).press('Enter');
    await alice.locator('dialog').getByText('CLI_IDENTITY_REFUSED').waitFor();
    await alice.keyboard.press('Escape');
    await alice.locator('dialog').waitFor({ state: 'detached' });
    await alarm.getByRole('button', { name: 'Compare', exact: true }).click();
    await look(alice, '8-changed-keys');
    const dialog = alice.locator('dialog');
    const shown = (await dialog.locator('.digits').textContent())!.split(/\s+/);
    await again.getByRole('button', { name: 'Safety number' }).click();
    const theirs = (await again.locator('dialog .digits').textContent())!.split(/\s+/);
    await again.keyboard.press('Escape');
    const missing = theirs.filter((_, index) => shown[index] === '?????');
    t.equal(missing.length, 2, 'what one sees oneself is not enough');
    const fill = async (first: string, second: string): Promise<void> => {
      await dialog.getByLabel('First group that is missing').fill(first);
      await dialog.getByLabel('Second group that is missing').fill(second);
      await dialog.getByRole('button', { name: 'Compare', exact: true }).click();
    };
    await fill(missing[0]!, missing[1] === '00000' ? '00001' : '00000');
    await dialog.getByText('That is not the same').waitFor();
    await alarm.getByText('have changed since you compared them').waitFor();
    await fill(missing[0]!, missing[1]!);
    await alarm.getByText('have changed').waitFor({ state: 'detached' });
    await write(alice, 'It is you');
    await message(again, 'It is you').waitFor();
    t.equal(await message(again, 'Is it you?').count(), 0, 'what was refused never left');
    await message(alice, 'Is it you?').getByRole('button', { name: 'Send again' }).click();
    await message(again, 'Is it you?').waitFor();
    t.equal(await message(alice, 'Is it you?').count(), 1, 'and stands once, where it was sent');
    t.equal(await message(alice, 'Is it you?').getByRole('button', { name: 'Send again' }).count(), 0);
    await again.context().close();
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

// What the tests are told with: a server and two people for each test, and what people do.
//
// People do everything through what a page shows them, found by role and label.

import { writeFile } from 'node:fs/promises';

import { test as base, expect } from '@playwright/test';

import { Server } from './server.js';

export { expect };

export const test = base.extend({
  /** The server's settings, for `test.use`. */
  settings: [{}, { option: true }],

  server: async ({ settings }, use, testInfo) => {
    const server = new Server(settings);
    try {
      await server.start();
      await use(server);
    } finally {
      if (testInfo.status !== testInfo.expectedStatus) {
        await writeFile(testInfo.outputPath('server.log'), server.log);
      }
      await server.discard();
    }
  },

  baseURL: ({ server }, use) => use(server.url),

  /** A page in Ada's browser. */
  ada: ({ browser }, use) => inOwnBrowser(browser, use),

  /** A page in Bob's browser. */
  bob: ({ browser }, use) => inOwnBrowser(browser, use),
});

async function inOwnBrowser(browser, use) {
  const context = await browser.newContext();
  await use(await context.newPage());
  await context.close();
}

export async function signUp(page, name) {
  await page.goto('/');
  await page.getByRole('main').getByRole('link', { name: 'Create an account' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByLabel('Password').fill('many small kettles');
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText(`Signed in as ${name}`)).toBeVisible();
}

export async function createPublicRoom(page, name) {
  await followNavigation(page, 'Create a room');
  await page.getByRole('textbox', { name: 'Room name' }).fill(name);
  await page.getByRole('radio', { name: 'Public' }).check();
  await page.getByRole('button', { name: 'Create room' }).click();
  await expectRoom(page, name);
}

export async function createPrivateRoom(page, name, password) {
  await followNavigation(page, 'Create a room');
  await page.getByRole('textbox', { name: 'Room name' }).fill(name);
  await page.getByRole('radio', { name: 'Private' }).check();
  await page.getByLabel('Room password').fill(password);
  await page.getByRole('button', { name: 'Create room' }).click();
  await expectRoom(page, name);
}

export async function joinPublicly(page, name) {
  await followNavigation(page, 'Public rooms');
  await page.getByRole('button', { name: `Join ${name}`, exact: true }).click();
  await expectRoom(page, name);
}

/** Fills in and sends the form; what comes of it is the test's to see. */
export async function joinPrivately(page, name, password) {
  await followNavigation(page, 'Join a private room');
  await page.getByRole('textbox', { name: 'Room name' }).fill(name);
  await page.getByLabel('Room password').fill(password);
  await page.getByRole('button', { name: 'Join room' }).click();
}

export async function openRoom(page, name) {
  await followNavigation(page, 'Your rooms');
  await page.getByRole('main').getByRole('link', { name, exact: true }).click();
  await expectRoom(page, name);
}

export async function expectRoom(page, name) {
  await expect(page.getByRole('heading', { level: 1, name, exact: true })).toBeVisible();
}

/** The box to write a message in. */
export function messageBox(page) {
  return page.getByRole('textbox', { name: 'Message', exact: true });
}

/** Sends a message, which may be refused. */
export async function trySending(page, text) {
  await messageBox(page).fill(text);
  await page.getByRole('button', { name: 'Send message' }).click();
}

export async function send(page, text) {
  await trySending(page, text);
  // Whatever refuses a message leaves it in the box.
  await expect(messageBox(page)).toHaveValue('');
}

/** The messages of the room page, such as "ada: Hello 13:05 UTC". */
export function messagesOf(page) {
  return page.getByRole('region', { name: 'Messages' }).getByRole('listitem');
}

/** The sentence that stands in for messages where there are none. */
export function noMessagesIn(page) {
  return page.getByText('There are no messages here now.');
}

/** The summary above a form of what was wrong with it. */
export function problemsOf(page) {
  return page.getByRole('group', { name: 'There is a problem' });
}

export async function checkForNews(page) {
  await page.getByRole('link', { name: 'Check for new messages' }).click();
}

/** When this page was loaded: stays the same for as long as it is not loaded again. */
export function loadTimeOf(page) {
  return page.evaluate(() => performance.timeOrigin);
}

/** Collects, from now on, what the pages write to the console as errors, and whom they ask for anything. */
export function watch(...pages) {
  const complaints = [];
  const origins = new Set();
  for (const page of pages) {
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
  }
  return { complaints, origins };
}

function followNavigation(page, name) {
  return page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }).click();
}

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

  /** The address of a public room, "Kettle club", that Ada owns and Bob is in. No page shows it yet. */
  room: async ({ ada, bob }, use) => {
    await Promise.all([register(ada, 'ada'), register(bob, 'bob')]);
    const room = await submit(ada, '/rooms/new', { name: 'Kettle club', kind: 'public' });
    await submit(bob, `${room}/join`, { join: '1' });
    await use(room);
  },
});

async function inOwnBrowser(browser, use) {
  const context = await browser.newContext();
  await context.addInitScript(listen);
  await use(await context.newPage());
  await context.close();
}

/** Runs in each page: keeps what its live regions are given to say, and what is taken out of them. */
function listen() {
  window.heard = [];
  window.emptied = [];
  const isSpoken = (node) => (node.closest ? node : node.parentElement)?.closest('[role=log], [role=status]');
  const watchFor = (records) => {
    for (const { target, addedNodes, removedNodes } of records) {
      const region = isSpoken(target);
      if (!region) continue;
      for (const { textContent } of addedNodes) {
        if (textContent) window.heard.push({ in: region.role, text: textContent, at: performance.now() });
      }
      if (removedNodes.length > 0 && region.role === 'log') {
        const { id, childNodes } = target;
        window.emptied.push({ id, left: childNodes.length, at: performance.now() });
      }
    }
  };
  new MutationObserver(watchFor).observe(document, { childList: true, subtree: true });
}

/** What the announcer was given since the page was loaded. */
export function announcedTo(page) {
  return page.evaluate(() => window.heard.filter((line) => line.in === 'log').map((line) => line.text));
}

/** What the status line was given since the page was loaded. */
export function statusesOf(page) {
  return page.evaluate(() => window.heard.filter((line) => line.in === 'status').map((line) => line.text));
}

// A connection of their own, as the server closes one that is kept for some seconds without use.
const headers = { Connection: 'close' };

/** Sends a form without a page, and answers where it led. */
export async function submit(person, address, form) {
  const { request } = person.context();
  const answer = await request.post(address, { form, headers, maxRedirects: 0 });
  expect(answer.status()).toBe(303);
  return new URL(answer.headers().location, answer.url()).pathname;
}

export async function register(person, name) {
  await submit(person, '/register', { name, password: 'many small kettles' });
}

/** Sends messages without a page, as fast as the server takes them. */
export async function say(person, room, ...texts) {
  const { request } = person.context();
  const page = await (await request.get(room, { headers })).text();
  let [, nonce] = /name="nonce" value="([^"]+)"/.exec(page);
  for (const text of texts) {
    const answer = await request.post(`${room}/messages`, {
      form: { text, nonce },
      headers: { ...headers, 'Mirage-Script': '1' },
    });
    expect(answer.status()).toBe(204);
    nonce = answer.headers()['mirage-nonce'];
  }
}

/** "Tea 1" to "Tea 12", say. */
export function numbered(word, count) {
  return Array.from({ length: count }, (_, index) => `${word} ${index + 1}`);
}

export const POLLS = /\/rooms\/\d+\/poll\?/;

/**
 * Keeps the page's polls from the server, from now on: what happens meanwhile comes in one answer
 * when the function that this returns is called.
 */
export async function holdPolls(page) {
  let release;
  const gate = new Promise((open) => {
    release = open;
  });
  await page.route(POLLS, async (route) => {
    await gate;
    await route.continue().catch(ignoreClosed);
  });
  return release;
}

// The page may have given up the request meanwhile.
function ignoreClosed() {}

/** Opens the room, and waits until the page waits for news. */
export async function visit(page, room) {
  const waits = page.waitForRequest((request) => isPoll(request) && !/wait=0/.test(request.url()));
  await page.goto(room);
  await waits;
}

export function isPoll(request) {
  return POLLS.test(request.url());
}

/** Stops the page's clock, for the test to move with `page.clock.runFor`. Install it before. */
export async function stopClock(page) {
  await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 1_000);
}

/** What the page's steady clock shows. */
export function steadyTimeOf(page) {
  return page.evaluate(() => performance.now());
}

/** Makes the page hidden or shown, as the browser does with a tab. Headless ones are always shown. */
export async function turn(page, state) {
  await page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => state === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

/** The status line below the form. */
export function statusOf(page) {
  return page.getByRole('status');
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

/** Ends the session of all this person's pages, without a page. */
export async function signOutElsewhere(person) {
  await submit(person, '/logout', { 'sign-out': '1' });
}

/** Fills in and sends the form that the page shows. */
export async function signInAgain(page, name) {
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByLabel('Password').fill('many small kettles');
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
}

// Fixtures and actions: a server and two people for each test, and what people do on pages.
//
// Actions find all elements by role and label.

import { writeFile } from 'node:fs/promises';

import { test as base, expect } from '@playwright/test';

import { Server } from './server.js';

export { expect };

export const test = base.extend({
  /** The command-line settings of the server, for `test.use`. */
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

  /** The path of the public room "Kettle club", with Ada as owner and Bob as member. No page is open yet. */
  room: async ({ ada, bob }, use) => {
    await Promise.all([register(ada, 'ada'), register(bob, 'bob')]);
    const room = await submit(ada, '/rooms/new', { name: 'Kettle club', kind: 'public' });
    await submit(bob, `${room}/join`, { join: '1' });
    await use(room);
  },
});

async function inOwnBrowser(browser, use) {
  const context = await browser.newContext();
  await context.addInitScript(recordLiveRegions);
  await use(await context.newPage());
  await context.close();
}

/** Runs in each page: records when it was loaded, the texts added to its live regions, and the removals. */
function recordLiveRegions() {
  // A clock that a test installs later has another time.
  window.loadedAt = performance.timeOrigin;
  window.heard = [];
  window.emptied = [];
  const isSpoken = (node) => (node.closest ? node : node.parentElement)?.closest('[role=log], [aria-live]');
  const watchFor = (records) => {
    for (const { target, addedNodes, removedNodes } of records) {
      const region = isSpoken(target);
      if (!region) continue;
      for (const { textContent } of addedNodes) {
        if (textContent) window.heard.push({ in: region.role ?? 'status', text: textContent, at: performance.now() });
      }
      if (removedNodes.length > 0 && region.role === 'log') {
        const { id, childNodes } = target;
        window.emptied.push({ id, left: childNodes.length, at: performance.now() });
      }
    }
  };
  new MutationObserver(watchFor).observe(document, { childList: true, subtree: true });
}

/** The announcements since the page was loaded. */
export function announcedTo(page) {
  return page.evaluate(() => window.heard.filter((line) => line.in === 'log').map((line) => line.text));
}

/** The texts of the status line since the page was loaded. */
export function statusesOf(page) {
  return page.evaluate(() => window.heard.filter((line) => line.in === 'status').map((line) => line.text));
}

// A new connection per request, because the server closes idle connections after a few seconds.
const headers = { Connection: 'close' };

/** Submits a form without a page; returns the path of the redirect. */
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

/** Numbered texts, such as "Tea 1" to "Tea 12". */
export function numbered(word, count) {
  return Array.from({ length: count }, (_, index) => `${word} ${index + 1}`);
}

export const POLLS = /\/rooms\/\d+\/poll\?/;

/**
 * Holds back the page's polls until the returned function is called, so that everything that happens
 * meanwhile arrives in one response.
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

// The page may have aborted the request meanwhile.
function ignoreClosed() {}

/** Opens the room and waits until its page polls. */
export async function visit(page, room) {
  const waits = page.waitForRequest((request) => isPoll(request) && !/wait=0/.test(request.url()));
  await page.goto(room);
  await waits;
}

export function isPoll(request) {
  return POLLS.test(request.url());
}

/** Stops the page's clock, which must be installed. Advance it with `page.clock.runFor`. */
export async function stopClock(page) {
  const stop = async () => page.clock.pauseAt((await page.evaluate(() => Date.now())) + 1_000);
  // It fails if the clock is beyond that time already. Then it has stopped the clock, so that the next one does not.
  await stop().catch(stop);
}

/** The time of the page's monotonic clock. */
export function steadyTimeOf(page) {
  return page.evaluate(() => performance.now());
}

/** Makes the page hidden or visible, like a tab. Headless browsers always report pages as visible. */
export async function setVisibility(page, state) {
  await page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => state === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

/**
 * Replaces the notifications of the browser, which headless browsers deny, by a class that records them.
 *
 * `permission` is the permission before the reader is asked, `answer` what the reader then answers. With `isIllegal`
 * the class throws, as in Chrome on Android.
 */
export async function fakeNotifications(page, given = {}) {
  await page.addInitScript(({ permission = 'default', answer = 'granted', isIllegal = false }) => {
    window.shown = [];
    window.timesAsked = 0;
    window.Notification = class {
      constructor(title, { body = '', tag } = {}) {
        if (isIllegal) throw new TypeError('Illegal constructor');
        if (window.Notification.permission !== 'granted') return;
        for (const other of window.shown) other.isClosed ||= Boolean(tag) && other.tag === tag;
        window.shown.push(Object.assign(this, { title, body, tag, isClosed: false }));
      }

      close() {
        this.isClosed = true;
      }

      static get permission() {
        return sessionStorage.getItem('permission') ?? permission;
      }

      static async requestPermission() {
        window.timesAsked += 1;
        if (window.Notification.permission === 'default') sessionStorage.setItem('permission', answer);
        return window.Notification.permission;
      }
    };
  }, given);
}

/** Puts another window in front of the page's, or takes it away. The page stays visible. */
export async function setWindowFocus(page, hasFocus) {
  await page.evaluate((hasFocus) => {
    document.hasFocus = () => hasFocus;
    dispatchEvent(new Event(hasFocus ? 'focus' : 'blur'));
  }, hasFocus);
}

/** The status line below the form, which has no role: an empty element with one is met by screen readers. */
export function statusOf(page) {
  return page.locator('[aria-live=polite]');
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

export async function joinPublicRoom(page, name) {
  await followNavigation(page, 'Public rooms');
  await page.getByRole('button', { name: `Join ${name}`, exact: true }).click();
  await expectRoom(page, name);
}

/** Fills in and submits the form, without checking the result. */
export async function joinPrivateRoom(page, name, password) {
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
  return page.getByRole('textbox', { name: /^Message to / });
}

/** Sends a message, which may be refused. */
export async function trySending(page, text) {
  await messageBox(page).fill(text);
  await page.getByRole('button', { name: 'Send message' }).click();
}

export async function send(page, text) {
  await trySending(page, text);
  // A refused message stays in the box.
  await expect(messageBox(page)).toHaveValue('');
}

/** The messages of the room page, such as "ada: Hello 13:05 UTC". */
export function messagesOf(page) {
  return page.getByRole('region', { name: 'Messages' }).getByRole('listitem');
}

/** The notice in a room without messages. */
export function noMessagesIn(page) {
  return page.getByText('There are no messages here now.');
}

/** The error summary above a form. */
export function problemsOf(page) {
  return page.getByRole('group', { name: 'There is a problem' });
}

export async function checkForNewMessages(page) {
  await page.getByRole('button', { name: 'Check for new messages' }).click();
}

/** The time at which this page was loaded, which changes when it is loaded again. */
export function loadTimeOf(page) {
  return page.evaluate(() => window.loadedAt);
}

/** Collects console errors and the origins of all requests of the pages from now on. */
export function watchPages(...pages) {
  const consoleErrors = [];
  const origins = new Set();
  for (const page of pages) {
    page.on('console', (message) => {
      if (message.type() === 'error') consoleErrors.push(message.text());
    });
    page.on('pageerror', (error) => consoleErrors.push(error.message));
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
  }
  return { consoleErrors, origins };
}

/** Follows a link of the navigation, which narrow windows and rooms have in a menu. */
export async function followNavigation(page, name) {
  const link = page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name });
  if (!(await link.isVisible())) await page.getByText('Menu', { exact: true }).click();
  await link.click();
}

/** Signs this person out without a page, which ends the session of all open pages. */
export async function signOutElsewhere(person) {
  await submit(person, '/logout', { 'sign-out': '1' });
}

/** Signs in with the form that the page shows. */
export async function signInAgain(page, name) {
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByLabel('Password').fill('many small kettles');
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
}

// An open room keeps up with the server through slow, lost, repeated and refused responses, and through
// suspension, without using up the connections that other tabs need.

import {
  announcedTo,
  expect,
  isPoll,
  loadTimeOf,
  messageBox,
  messagesOf,
  numbered,
  POLLS,
  say,
  send,
  statusesOf,
  statusOf,
  stopClock,
  test,
  trySending,
  setVisibility,
  visit,
} from './support.js';

const lines = (...texts) => texts.map((text) => new RegExp(`: ${text} `));
const waits = (url) => !/wait=0/.test(url);

/** To run the clock in hundreds of steps. Made anew each time, because Playwright empties the array. */
const manySteps = () => ({ timeout: 50_000, intervals: [10] });

/** Makes the page record its polls with times, by its own clock, and whether they were answered or failed. */
async function recordPolls(page) {
  await page.addInitScript(() => {
    window.recordedPolls = [];
    const fetch = window.fetch.bind(window);
    window.fetch = async (url, options) => {
      const poll = { url: String(url), at: performance.now(), hasEnded: false };
      if (/poll/.test(url)) window.recordedPolls.push(poll);
      try {
        return await fetch(url, options);
      } finally {
        poll.hasEnded = true;
      }
    };
  });
}

const recordedPolls = (page) => page.evaluate(() => window.recordedPolls);

test('with slow responses, no message is lost and the order is kept', async ({ room, ada, bob }) => {
  await ada.route(POLLS, async (route) => {
    const response = await route.fetch().catch(() => null);
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (response) await route.fulfill({ response }).catch(() => {});
  });
  await visit(ada, room);

  await say(bob, room, ...numbered('Tea', 30));
  await say(ada, room, 'Mine');

  await expect(messagesOf(ada)).toHaveText(lines(...numbered('Tea', 30), 'Mine'));
  await ada.unrouteAll({ behavior: 'ignoreErrors' });
});

test('repeated poll responses change nothing', async ({ room, ada, bob }) => {
  let first;
  let repeats = 0;
  await ada.route(POLLS, async (route) => {
    const url = new URL(route.request().url());
    first ??= url.searchParams.get('after');
    if (repeats < 3 && waits(url.href)) {
      repeats += 1;
      url.searchParams.set('after', first);
    }
    await route.continue({ url: url.href });
  });
  await visit(ada, room);
  await say(bob, room, 'Tea');

  await expect.poll(() => repeats).toBe(3);
  await say(bob, room, 'Cake');
  await expect(messagesOf(ada)).toHaveText(lines('Tea', 'Cake'));
  await expect.poll(() => announcedTo(ada)).toEqual(['bob: Tea', 'bob: Cake']);
});

test('polls back off after a lost connection, and its loss and return are each reported once', async ({
  room,
  ada,
  bob,
}) => {
  test.setTimeout(120_000);
  let isDown = false;
  await ada.clock.install();
  await recordPolls(ada);
  await ada.route(POLLS, (route) => (isDown ? route.abort() : route.continue()));
  await visit(ada, room);
  await messageBox(ada).fill('A draft');
  await stopClock(ada);
  isDown = true;
  const before = (await recordedPolls(ada)).length;
  await say(bob, room, 'Tea');

  const failed = async () => {
    const polls = (await recordedPolls(ada)).slice(before);
    const hasFailed = polls.at(-1)?.hasEnded;
    // The page rests only once the poll has failed, which takes real time.
    if (hasFailed) await ada.clock.runFor(900);
    return hasFailed ? polls.length : polls.length - 1;
  };
  await expect.poll(failed, manySteps()).toBe(1);
  expect(await statusesOf(ada)).toEqual([]);
  await expect.poll(failed, manySteps()).toBe(2);
  await expect(statusOf(ada)).toHaveText('Connection lost. Trying again.');
  await expect.poll(failed, manySteps()).toBe(9);
  const times = (await recordedPolls(ada)).slice(before).map(({ at }) => at);
  times.slice(1).forEach((time, index) => {
    const most = Math.min(30_000, 2_000 * 2 ** index);
    expect(time - times[index]).toBeGreaterThanOrEqual(most / 2 - 1);
    expect(time - times[index]).toBeLessThanOrEqual(most + 1_000);
  });

  // The browser reports that the network is back, and the page polls at once.
  isDown = false;
  await ada.evaluate(() => dispatchEvent(new Event('online')));
  await expect(statusOf(ada)).toHaveText('Connected again.');
  await expect(messagesOf(ada)).toHaveText(lines('Tea'));
  expect(await statusesOf(ada)).toEqual(['Connection lost. Trying again.', 'Connected again.']);
  await expect(messageBox(ada)).toHaveValue('A draft');
});

test('an open page survives a server crash without a reload or announcements of missed messages', async ({
  server,
  room,
  ada,
  bob,
}) => {
  test.setTimeout(120_000);
  await visit(ada, room);
  await say(bob, room, 'Before');
  await expect.poll(() => announcedTo(ada)).toEqual(['bob: Before']);
  const load = await loadTimeOf(ada);

  await server.kill();
  await expect(statusOf(ada)).toHaveText('Connection lost. Trying again.');
  await trySending(ada, 'Is it me?');
  await expect(statusOf(ada)).toHaveText(/^Not sent: connection lost\./);
  await server.start();
  await say(bob, room, ...numbered('Meanwhile', 2));
  // The page rests for up to half a minute between polls.
  await expect(messagesOf(ada)).toHaveText(lines(...numbered('Meanwhile', 2)), { timeout: 40_000 });
  await expect(statusOf(ada)).toHaveText('The server has restarted. Earlier messages are gone.');
  await expect(messageBox(ada)).toHaveValue('Is it me?');
  await say(bob, room, 'After');

  await expect.poll(() => announcedTo(ada)).toContain('bob: After');
  expect(await announcedTo(ada)).not.toContain('bob: Meanwhile 1');
  await ada.getByRole('button', { name: 'Send message' }).click();
  await expect(messagesOf(ada)).toHaveText(lines(...numbered('Meanwhile', 2), 'After', 'Is it me\\?'));
  expect(await loadTimeOf(ada)).toBe(load);
});

test.describe('when a waiting poll is never answered', () => {
  test.beforeEach(async ({ room, ada, bob }) => {
    await ada.clock.install();
    await ada.route(POLLS, (route) => {
      // A waiting poll never gets a response.
      if (!waits(route.request().url())) return route.continue();
    });
    await visit(ada, room);
    await stopClock(ada);
    await say(bob, room, 'Tea');
  });

  test('a computer that was suspended catches up when it resumes', async ({ ada }) => {
    await ada.clock.fastForward('08:00:00');
    await expect(messagesOf(ada)).toHaveText(lines('Tea'));
  });

  test('the page polls again after a while', async ({ ada }) => {
    await ada.clock.runFor(40_000);
    await expect(messagesOf(ada)).toHaveText(lines('Tea'));
    expect(await statusesOf(ada)).toEqual([]);
  });
});

test('a hidden tab holds no poll open, polls at most every 15 seconds, and catches up when shown', async ({
  room,
  ada,
  bob,
}) => {
  test.setTimeout(120_000);
  const open = new Set();
  ada.on('request', (request) => isPoll(request) && open.add(request));
  for (const end of ['requestfinished', 'requestfailed']) ada.on(end, (request) => open.delete(request));
  await ada.clock.install();
  await recordPolls(ada);
  await visit(ada, room);
  await expect.poll(() => open.size).toBe(1);
  await stopClock(ada);
  const before = (await recordedPolls(ada)).length;

  await setVisibility(ada, 'hidden');
  await expect.poll(() => open.size).toBe(0);
  const from = await ada.evaluate(() => performance.now());
  const pollCount = async () => {
    await ada.clock.runFor(1_000);
    return (await recordedPolls(ada)).length - before;
  };
  await expect.poll(pollCount, manySteps()).toBe(3);
  await expect.poll(() => open.size).toBe(0);
  const polls = (await recordedPolls(ada)).slice(before);
  polls.forEach(({ url, at }, index) => {
    expect(url).toMatch(/&wait=0&hidden=1$/);
    expect(at - from).toBeGreaterThanOrEqual(15_000 * (index + 1));
  });

  // A shown tab polls at once.
  await say(bob, room, 'Tea');
  await setVisibility(ada, 'visible');
  await expect(messagesOf(ada)).toHaveText(lines('Tea'));
});

test.describe('with polls that wait for half a second', () => {
  test.use({ settings: { '--poll-wait': '500ms' } });

  test('messages that arrive in a hidden tab count as new in Your rooms', async ({
    room,
    ada,
    bob,
  }) => {
    const rooms = await ada.context().newPage();
    const newMessages = rooms
      .getByRole('listitem')
      .filter({ hasText: 'Kettle club' })
      .getByText(/new message/);
    await ada.clock.install();
    await visit(ada, room);
    await setVisibility(ada, 'hidden');
    // The poll that the tab aborted still waits at the server. This later poll ends after the aborted one.
    const cursor = await ada.locator('#log').getAttribute('data-cursor');
    await ada.context().request.get(`${room}/poll?after=${cursor}`);
    await say(bob, room, ...numbered('Tea', 2));
    await ada.clock.runFor(15_000);
    await expect(messagesOf(ada)).toHaveCount(2);

    await rooms.goto('/rooms/mine');
    await expect(newMessages).toHaveText('2 new messages.');
  });
});

test('a page without a slot for a waiting poll polls every five seconds for a minute', async ({
  room,
  ada,
}) => {
  test.setTimeout(120_000);
  await ada.clock.install();
  await recordPolls(ada);
  let refusals = 1;
  await ada.route(POLLS, async (route) => {
    const isRefused = waits(route.request().url()) && refusals > 0;
    if (!isRefused) return route.continue();
    refusals -= 1;
    const url = `${route.request().url()}&wait=0`;
    const response = await route.fetch({ url });
    await route.fulfill({ response, headers: { ...response.headers(), 'mirage-wait': '0' } });
  });
  await visit(ada, room);
  await stopClock(ada);
  const before = (await recordedPolls(ada)).length;

  const waitsAgain = async () => {
    await ada.clock.runFor(1_000);
    return (await recordedPolls(ada)).slice(before).some(({ url }) => waits(url));
  };
  await expect.poll(waitsAgain, manySteps()).toBe(true);
  const times = (await recordedPolls(ada)).slice(before - 1).map(({ at }) => at);
  expect(times.at(-1) - times[0]).toBeGreaterThanOrEqual(60_000);
  for (const [index, time] of times.slice(1).entries()) {
    expect(time - times[index]).toBeGreaterThanOrEqual(5_000);
  }
});

test('eight tabs of one person are all live, and other pages still load', async ({
  room,
  ada,
  bob,
}) => {
  const others = await Promise.all(Array.from({ length: 7 }, () => ada.context().newPage()));
  const windows = [ada, ...others];
  // One after the other: two cores are too slow to load all of them at once.
  for (const window of windows) await window.goto(room);

  await say(bob, room, 'Tea');
  await Promise.all(windows.map((window) => expect(messagesOf(window)).toHaveText(lines('Tea'))));

  // Only one tab of a window is visible, so seven are hidden.
  for (const tab of others) await setVisibility(tab, 'hidden');
  await send(ada, 'Cake');
  await expect(messagesOf(ada)).toHaveText(lines('Tea', 'Cake'));
  const ninth = await ada.context().newPage();
  await ninth.goto('/rooms/mine');
  await expect(ninth.getByRole('heading', { level: 1, name: 'Your rooms' })).toBeVisible();
  await setVisibility(others[3], 'visible');
  await expect(messagesOf(others[3])).toHaveText(lines('Tea', 'Cake'));
});

test('five visible windows of one person are all live', async ({ room, ada, bob }) => {
  const others = await Promise.all(Array.from({ length: 4 }, () => ada.context().newPage()));
  const windows = [ada, ...others];
  for (const window of windows) await visit(window, room);

  for (const text of ['Tea', 'Cake']) {
    await say(bob, room, text);
    await Promise.all(
      windows.map((window) => expect(messagesOf(window).last()).toHaveText(new RegExp(`: ${text} `))),
    );
  }
  for (const window of windows) await expect(messagesOf(window)).toHaveCount(2);
});

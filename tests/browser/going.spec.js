// Expired and deleted messages disappear from open pages, and nothing else on the page changes.

import {
  announcedTo,
  expect,
  isPoll,
  loadTimeOf,
  messageBox,
  messagesOf,
  noMessagesIn,
  numbered,
  POLLS,
  say,
  statusesOf,
  steadyTimeOf,
  stopClock,
  test,
  setVisibility,
  visit,
} from './support.js';

const DAY = 24 * 60 * 60 * 1_000;

async function deleteMessage(author, room, text) {
  await author.goto(room);
  await messagesOf(author).filter({ hasText: text }).getByRole('link', { name: 'Delete' }).click();
  await author.getByRole('button', { name: 'Delete message' }).click();
}

/** Changes the deadlines and times of the messages on the next room page, oldest first. */
async function alter(page, room, changes) {
  await page.route(
    (url) => url.pathname === room,
    async (route) => {
      const response = await route.fetch();
      let index = -1;
      const body = (await response.text()).replace(/<li id="m.*?<\/li>/gs, (item) => {
        index += 1;
        const { deadline, sentAt } = changes[index] ?? {};
        if (deadline) item = item.replace(/data-deadline="\d+"/, `data-deadline="${deadline}"`);
        if (sentAt) item = item.replace(/datetime="[^"]+"/, `datetime="${sentAt}"`);
        return item;
      });
      await route.fulfill({ response, body });
    },
    { times: 1 },
  );
}

test.describe('where messages live for thirty seconds', () => {
  test.use({ settings: { '--message-lifespan': '30s' } });

  test('a message disappears within two seconds of its deadline by the server’s clock', async ({
    room,
    ada,
    bob,
  }) => {
    let told;
    ada.on('response', (answer) => {
      if (isPoll(answer.request())) told = Number(answer.headers()['mirage-time']);
    });
    await ada.addInitScript(() => {
      window.removed = [];
      new MutationObserver((records) => {
        for (const item of records.flatMap((record) => [...record.removedNodes])) {
          const deadline = Number(item.dataset?.deadline);
          if (deadline) window.removed.push({ deadline, at: performance.now() });
        }
      }).observe(document, { childList: true, subtree: true });
    });
    await ada.clock.install({ time: Date.now() + 400 * DAY });
    await visit(ada, room);
    await stopClock(ada);
    await say(bob, room, 'Tea', 'Cake');
    await expect(messagesOf(ada)).toHaveCount(2);

    // The page's clock stood still when it was last told the server's time.
    const [from, toldThen] = [await steadyTimeOf(ada), told];
    const deadline = Number(await messagesOf(ada).last().getAttribute('data-deadline'));
    await ada.clock.runFor(deadline - toldThen + 2_000);
    await expect(messagesOf(ada)).toHaveCount(0);
    await expect(noMessagesIn(ada)).toBeVisible();
    await expect(ada.locator('#log')).toBeEmpty();
    const removed = await ada.evaluate(() => window.removed);
    expect(removed).toHaveLength(2);
    for (const { deadline, at } of removed) {
      const late = toldThen + at - from - deadline;
      expect(late).toBeGreaterThan(-100);
      expect(late).toBeLessThan(2_000);
    }
    expect(await announcedTo(ada)).toEqual(['bob: Tea', 'bob: Cake']);
  });
});

test('a hidden tab with suspended timers removes expired messages as soon as it is shown', async ({
  room,
  ada,
  bob,
}) => {
  await ada.clock.install();
  await say(bob, room, 'Tea');
  await visit(ada, room);
  await expect(messagesOf(ada)).toHaveCount(1);
  await setVisibility(ada, 'hidden');
  await stopClock(ada);
  // Meanwhile, the server's clock goes on.
  const deadline = await messagesOf(ada).getAttribute('data-deadline');
  await ada.route(
    POLLS,
    async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), 'mirage-time': deadline } });
    },
    { times: 1 },
  );

  await setVisibility(ada, 'visible');

  await expect(messagesOf(ada)).toHaveCount(0);
  expect(await ada.evaluate(() => window.heard)).toEqual([]);
});

test('a deleted message silently disappears from every open page', async ({ room, ada, bob }) => {
  await say(bob, room, 'Slip of the tongue', 'Tea?');
  await visit(ada, room);
  const load = await loadTimeOf(ada);

  await deleteMessage(bob, room, 'Slip of the tongue');

  await expect(messagesOf(ada)).toHaveText([/^bob: Tea\?/]);
  expect(await ada.evaluate(() => window.heard)).toEqual([]);
  expect(await loadTimeOf(ada)).toBe(load);
});

test.describe('in a room that fills several screens', () => {
  test.use({ viewport: { width: 500, height: 500 } });

  const topOf = (item) => item.evaluate((element) => element.getBoundingClientRect().top);
  /** Allows a difference below one pixel, because browsers scroll by whole pixels. */
  const expectTop = async (item, top) => expect(Math.abs((await topOf(item)) - top)).toBeLessThan(1);
  const link = (page, name) => page.getByRole('link', { name, exact: true });

  test('new messages do not move the draft, the caret, the focus or the scroll position', async ({
    room,
    ada,
    bob,
  }) => {
    await say(bob, room, ...numbered('Tea', 30));
    await visit(ada, room);
    await messageBox(ada).fill('A draft');
    await messageBox(ada).evaluate((box) => box.setSelectionRange(2, 5));
    const read = messagesOf(ada).nth(14);
    await read.evaluate((item) => item.scrollIntoView());
    const top = await topOf(read);

    await say(bob, room, ...numbered('Cake', 3));
    await expect(messagesOf(ada)).toHaveCount(33);

    await expectTop(read, top);
    await expect(messageBox(ada)).toBeFocused();
    await expect(messageBox(ada)).toHaveValue('A draft');
    expect(
      await messageBox(ada).evaluate((box) => [box.selectionStart, box.selectionEnd]),
    ).toEqual([2, 5]);

    // The new messages are out of view, so there is a link to the first one, until it has been seen.
    await link(ada, '3 new messages').click();
    await expect(messagesOf(ada).nth(30)).toBeInViewport();
    await expect(link(ada, '3 new messages')).toHaveCount(0);
  });

  test('added and removed messages do not change the selection', async ({ room, ada, bob }) => {
    await say(bob, room, 'Deleted', ...numbered('Tea', 30));
    await visit(ada, room);
    const read = messagesOf(ada).filter({ hasText: /Tea 15 / });
    await read.evaluate((item) => {
      item.scrollIntoView();
      getSelection().selectAllChildren(item.querySelector('.text'));
    });

    await say(bob, room, 'Cake');
    await deleteMessage(bob, room, 'Deleted');
    await expect(messagesOf(ada)).toHaveCount(31);
    await expect(messagesOf(ada).first()).toHaveText(/Tea 1 /);

    expect(await ada.evaluate(() => String(getSelection()))).toBe('Tea 15');
  });

  test('a reader at the end of the list stays there, and the message box does not move', async ({
    room,
    ada,
    bob,
  }) => {
    await say(bob, room, ...numbered('Tea', 30));
    await visit(ada, room);
    await messageBox(ada).focus();
    await ada.locator('#log ~ .end').evaluate((end) => end.scrollIntoView());
    const top = await topOf(messageBox(ada));

    // One by one, to show that rounding errors do not add up.
    await say(bob, room, ...numbered('Cake', 20));
    await expect(messagesOf(ada)).toHaveCount(50);
    await expect(messagesOf(ada).last()).toBeInViewport();
    await expectTop(messageBox(ada), top);
    await expect(ada.getByRole('link', { name: /new message/ })).toHaveCount(0);

    await deleteMessage(bob, room, 'Cake 11');
    await expect(messagesOf(ada)).toHaveCount(49);
    await expectTop(messageBox(ada), top);
  });

  test('messages removed above and in view do not move the scroll position', async ({
    room,
    ada,
    bob,
  }) => {
    await say(bob, room, ...numbered('Tea', 30));
    await ada.clock.install();
    const deadline = Date.now() + 60_000;
    await alter(ada, room, Array(16).fill({ deadline }));
    await visit(ada, room);
    const read = messagesOf(ada).filter({ hasText: /Tea 17 / });
    // One message that will be removed is above this one, and one is in view.
    await messagesOf(ada).nth(14).evaluate((item) => item.scrollIntoView());
    const top = await topOf(read);
    expect(top).toBeGreaterThan(0);

    await ada.clock.fastForward(61_000);

    await expect(messagesOf(ada)).toHaveCount(14);
    await expectTop(read, top);
  });
});

test('the focus in a removed message moves to the next message, or else to the end of the list', async ({
  room,
  ada,
  bob,
}) => {
  await say(ada, room, 'First', 'Second');
  await say(bob, room, 'Plain');
  await visit(ada, room);
  const deleteLink = (text) =>
    messagesOf(ada).filter({ hasText: text }).getByRole('link', { name: 'Delete' });
  const page = await ada.context().newPage();

  await deleteLink('First').focus();
  await deleteMessage(page, room, 'First');
  await expect(messagesOf(ada)).toHaveCount(2);
  await expect(deleteLink('Second')).toBeFocused();

  await deleteMessage(page, room, 'Second');
  await expect(messagesOf(ada)).toHaveCount(1);
  await expect(messagesOf(ada)).toBeFocused();

  await deleteMessage(bob, room, 'Plain');
  await expect(messagesOf(ada)).toHaveCount(0);
  await expect(noMessagesIn(ada)).toBeFocused();
  expect(await ada.evaluate(() => window.heard)).toEqual([]);
});

test.describe('in another time zone and language than the server’s', () => {
  test.use({ timezoneId: 'Pacific/Auckland', locale: 'de-DE' });

  test('days and times are local to the reader, and empty days disappear', async ({
    room,
    ada,
    bob,
  }) => {
    await say(bob, room, ...numbered('Tea', 4));
    await ada.clock.install();
    const deadline = Date.now() + 60_000;
    await alter(ada, room, [
      { sentAt: '2026-11-20T10:59:00Z', deadline },
      { sentAt: '2026-11-20T11:01:00Z' },
      { sentAt: '2026-11-21T08:00:00Z', deadline },
      { sentAt: '2026-11-21T23:30:00Z' },
    ]);
    await visit(ada, room);
    const days = ada.locator('#log > h3:not(#now)');
    const lists = ada.locator('#log > ol');
    const times = ada.locator('#log li time');

    await expect(days).toHaveText(['20. November 2026', '21. November 2026', '22. November 2026']);
    await expect(days.first()).toHaveAttribute('lang', 'de-DE');
    await expect(lists).toHaveText([/Tea 1 /, /Tea 2 .*Tea 3 /s, /Tea 4 /]);
    await expect(times).toHaveText(['23:59', '00:01', '21:00', '12:30']);
    await expect(times.first()).toHaveAttribute('datetime', '2026-11-20T10:59:00Z');

    await ada.clock.fastForward(61_000);
    await expect(messagesOf(ada)).toHaveText([/Tea 2 /, /Tea 4 /]);
    await expect(days).toHaveText(['21. November 2026', '22. November 2026']);
    await say(bob, room, 'Cake');
    await expect(messagesOf(ada)).toHaveCount(3);
    await expect(lists).toHaveCount(3);
    expect(await announcedTo(ada)).toEqual(['bob: Cake']);
  });
});

test('an idle page changes nothing', async ({ room, ada, bob }) => {
  await say(bob, room, 'Tea');
  await ada.clock.install();
  await visit(ada, room);
  // Again, so that the title does not begin with "1 new".
  await visit(ada, room);
  await ada.evaluate(() => {
    window.changes = 0;
    const count = (records) => (window.changes += records.length);
    const all = { attributes: true, characterData: true, childList: true, subtree: true };
    new MutationObserver(count).observe(document, all);
  });

  await ada.clock.runFor(3 * 60_000);

  expect(await ada.evaluate(() => window.changes)).toBe(0);
});

test('after 200 messages have come and expired, an open page is empty and has not grown', async ({
  room,
  ada,
  bob,
}) => {
  await ada.clock.install();
  await visit(ada, room);
  const browser = await ada.context().newCDPSession(ada);
  const nodes = async () => {
    // The announcer is cleared after ten seconds.
    await ada.clock.runFor(10_000);
    await browser.send('HeapProfiler.collectGarbage');
    return (await browser.send('Memory.getDOMCounters')).nodes;
  };
  const sendAndExpire = async (count) => {
    await say(bob, room, ...numbered('Tea', count));
    await expect(messagesOf(ada)).toHaveCount(count);
    await messagesOf(ada).evaluateAll((items) => items.forEach((item) => (item.dataset.deadline = 1)));
    await expect(messagesOf(ada)).toHaveCount(0);
  };
  await sendAndExpire(10);
  const before = await nodes();

  await sendAndExpire(200);
  const after = await nodes();

  await expect(noMessagesIn(ada)).toBeVisible();
  await expect(ada.locator('#log')).toBeEmpty();
  await expect(ada.locator('[role=log]')).toHaveText('');
  // A single message has more than ten nodes.
  expect(after).toBeLessThan(before + 50);
  expect(await statusesOf(ada)).toEqual([]);
});

// The room in windows of all sizes: where one lands, what stays in view, and how much there is room for.

import { tabThrough } from './layout.js';
import {
  expect,
  fakeNotifications,
  messageBox,
  messagesOf,
  numbered,
  register,
  say,
  send,
  statusOf,
  submit,
  test,
  visit,
} from './support.js';

const LAPTOP = { width: 1280, height: 800 };
const WIDE = { width: 1600, height: 900 };
const TELEPHONE = { width: 390, height: 844 };
const WITH_KEYBOARD = { width: 390, height: 400 };
const ON_ITS_SIDE = { width: 844, height: 330 };
const ZOOMED = { width: 320, height: 256 };
const WINDOWS = [LAPTOP, WIDE, TELEPHONE, WITH_KEYBOARD, ON_ITS_SIDE, ZOOMED];

/** Colours, and the direction in which a translation would be written. */
const LOOKS = {
  light: {},
  dark: { colorScheme: 'dark' },
  'forced colours': { forcedColors: 'active' },
  'right to left': { dir: 'rtl' },
};
const lookOf = (number) => Object.keys(LOOKS)[number % Object.keys(LOOKS).length];

/** Shows this page, and those that are opened later, in a look. */
async function dress(page, look) {
  const { dir = 'ltr', ...colours } = LOOKS[look];
  await page.emulateMedia({ colorScheme: 'light', forcedColors: 'none', ...colours });
  await page.evaluate((dir) => document.documentElement.setAttribute('dir', dir), dir);
  if (dir === 'ltr') return;
  await page.route('**/rooms/*', async (route) => {
    if (route.request().resourceType() !== 'document') return route.fallback();
    const response = await route.fetch();
    const body = (await response.text()).replace('<html ', `<html dir="${dir}" `);
    await route.fulfill({ response, body });
  });
}

const nameOf = ({ width, height }) => `${width}×${height}`;
const boxOf = (locator) => locator.evaluate((element) => element.getBoundingClientRect().toJSON());
const compose = (page) => page.locator('#compose');
const check = (page) => page.getByText('Check for new messages');
const newMessages = (page) => page.getByRole('heading', { name: 'New messages', exact: true });
const enterSends = (page) => page.getByRole('checkbox', { name: 'Enter sends' });

/** The height of the window's upper part that the bar covers. */
const covered = (page) =>
  page.locator('header').evaluate((bar) => Math.max(0, bar.getBoundingClientRect().bottom));

/** Opens the room twice, so that nothing in it is new. */
async function revisit(page, room) {
  await page.goto(room);
  await page.goto('about:blank');
  await page.goto(`${room}#now`);
}

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with its script' : 'without scripts', () => {
    test.use({ javaScriptEnabled });

    WINDOWS.forEach((window, index) => {
      // All looks with the script, and all without it, but not each in each window.
      const look = lookOf(javaScriptEnabled ? index : index + 3);

      test(`at ${nameOf(window)}, ${look}, a room opens at the first new message`, async ({ room, ada, bob }) => {
        await ada.setViewportSize(window);
        await dress(ada, look);
        await say(bob, room, ...numbered('Old', 30));
        await ada.goto(room);
        await ada.goto('about:blank');
        await say(bob, room, 'New https://example.org/', ...numbered('New', 40));

        await ada.goto(`${room}#now`);

        const top = (await boxOf(newMessages(ada))).top - (await covered(ada));
        expect(top).toBeGreaterThanOrEqual(-1);
        expect(top).toBeLessThan(32);
        await ada.keyboard.press('Tab');
        await expect(ada.getByRole('link', { name: 'https://example.org/' })).toBeFocused();
      });

      test(`at ${nameOf(window)}, ${look}, a room with nothing new opens at its end, with the box in view`, async ({
        room,
        ada,
        bob,
      }) => {
        await ada.setViewportSize(window);
        await dress(ada, look);
        await say(bob, room, ...numbered('Old', 60));

        await revisit(ada, room);

        const ratio = window === ZOOMED ? 0.3 : 0.9;
        await expect(messagesOf(ada).last()).toBeInViewport({ ratio });
        await expect(check(ada)).toBeInViewport({ ratio: 0.9 });
        await expect(messageBox(ada)).toBeInViewport({ ratio });
        const [last, box] = [await boxOf(messagesOf(ada).last()), await boxOf(compose(ada))];
        expect(last.bottom).toBeLessThanOrEqual(box.top + 1);
        // "Pause updates" is the script's.
        for (let stop = 0; stop < (javaScriptEnabled ? 2 : 1); stop += 1) await ada.keyboard.press('Tab');
        await expect(check(ada)).toBeFocused();
        await ada.keyboard.press('Tab');
        await expect(messageBox(ada)).toBeFocused();
        expect(await ada.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
      });
    });

    test('"Older messages" goes on right above the message that one was reading', async ({ room, ada, bob }) => {
      await ada.setViewportSize(TELEPHONE);
      await say(bob, room, ...numbered('Tea', 130));
      await ada.goto(room);

      await ada.getByRole('link', { name: 'Older messages' }).click();

      await expect(messagesOf(ada)).toHaveCount(30);
      await expect(messagesOf(ada).last()).toHaveText(/Tea 30 /);
      await expect(messagesOf(ada).last()).toBeInViewport({ ratio: 0.9 });
    });

    test('new messages that the page has no room for are counted at the heading, with a link', async ({
      room,
      ada,
      bob,
    }) => {
      await ada.goto(room);
      await ada.goto('about:blank');
      await say(bob, room, ...numbered('Tea', 103));
      await ada.goto(`${room}#now`);

      const link = ada.getByRole('link', { name: '3 earlier new messages' });
      await expect(link).toBeInViewport();
      await link.click();

      await expect(messagesOf(ada)).toHaveText([/Tea 1 /, /Tea 2 /, /Tea 3 /]);
    });

    test('the box has a visible label with the name of the room, and Send beside it', async ({ room, ada }) => {
      await ada.goto(room);
      for (const [index, window] of WINDOWS.entries()) {
        await ada.setViewportSize(window);
        await dress(ada, lookOf(index));
        const label = ada.getByText('Message to Kettle club', { exact: true });
        await label.scrollIntoViewIfNeeded();
        await expect(label).toBeInViewport({ ratio: 1 });
        await expect(label).toHaveJSProperty('htmlFor', 'message');
        const [box, button] = [await boxOf(messageBox(ada)), await boxOf(ada.getByRole('button', { name: 'Send message' }))];
        expect(button.bottom, nameOf(window)).toBeCloseTo(box.bottom, 0);
        const isBeside = lookOf(index) === 'right to left' ? button.right <= box.left : button.left >= box.right;
        expect(isBeside, nameOf(window)).toBe(true);
      }
    });

    test('the box has one line when it is empty, and grows with the text to 40 % of the window', async ({
      room,
      ada,
    }) => {
      await ada.setViewportSize(LAPTOP);
      await ada.goto(room);
      const heightOf = async () => (await boxOf(messageBox(ada))).height;
      expect(await heightOf()).toBeCloseTo(44, 0);

      await messageBox(ada).fill('One\ntwo\nthree');
      const three = await heightOf();
      expect(three).toBeGreaterThan(80);
      expect(three).toBeLessThan(110);
      await messageBox(ada).fill('line\n'.repeat(60));
      expect(await heightOf()).toBeCloseTo(0.4 * LAPTOP.height, 0);
    });
  });
}

test('an address without a fragment leads to what is new too, and a reload restores the place', async ({
  room,
  ada,
  bob,
}) => {
  await ada.setViewportSize(TELEPHONE);
  await say(bob, room, ...numbered('Tea', 60));
  await visit(ada, room);
  await visit(ada, room);
  await expect(messagesOf(ada).last()).toBeInViewport({ ratio: 0.9 });
  expect(new URL(ada.url()).hash).toBe('#now');

  await messagesOf(ada).nth(20).evaluate((item) => item.scrollIntoView());
  const { top } = await boxOf(messagesOf(ada).nth(20));
  await ada.reload();

  await expect(async () => {
    expect(Math.abs((await boxOf(messagesOf(ada).nth(20))).top - top)).toBeLessThan(2);
  }).toPass();
});

test('a conversation at its end stays there while the box grows and a keyboard opens', async ({ room, ada, bob }) => {
  await ada.setViewportSize(TELEPHONE);
  await say(bob, room, ...numbered('Tea', 40));
  await visit(ada, room);
  await visit(ada, room);

  await messageBox(ada).fill('One\ntwo\nthree\nfour');
  await expect(messagesOf(ada).last()).toBeInViewport({ ratio: 0.9 });
  await ada.setViewportSize(WITH_KEYBOARD);

  await expect(async () => {
    const [last, box] = [await boxOf(messagesOf(ada).last()), await boxOf(compose(ada))];
    expect(last.bottom).toBeLessThanOrEqual(box.top + 1);
    expect(box.bottom).toBeLessThanOrEqual(WITH_KEYBOARD.height + 1);
  }).toPass();
});

test('a reader who is reading older messages is not moved by writing and sending', async ({ room, ada, bob }) => {
  await ada.setViewportSize(LAPTOP);
  await say(bob, room, ...numbered('Tea', 60));
  await visit(ada, room);
  await messagesOf(ada).nth(20).evaluate((item) => item.scrollIntoView());
  const { top } = await boxOf(messagesOf(ada).nth(20));
  const expectPlace = async () =>
    expect(Math.abs((await boxOf(messagesOf(ada).nth(20))).top - top)).toBeLessThan(1);

  // Not with a locator, which would scroll the box into view first.
  const { left, bottom } = await boxOf(messageBox(ada));
  await ada.mouse.click(left + 20, bottom - 20);
  await expect(messageBox(ada)).toBeFocused();
  await expectPlace();
  await ada.keyboard.type('Cake?');
  await expectPlace();
  for (let line = 0; line < 5; line += 1) {
    await ada.keyboard.press('Shift+Enter');
    await ada.keyboard.type('Tea?');
    await expectPlace();
  }
  await ada.keyboard.press('Enter');
  await expect(messagesOf(ada)).toHaveCount(61);
  await expectPlace();
});

test('the box sticks to the lower edge of windows at least 22rem high, and stays in the flow of lower ones', async ({
  room,
  ada,
  bob,
}) => {
  await say(bob, room, ...numbered('Tea', 60));
  await ada.goto(room);
  for (const [height, isSticky] of [
    [352, true],
    [351, false],
  ]) {
    await ada.setViewportSize({ width: 500, height });
    await ada.evaluate(() => scrollTo(0, 0));
    if (isSticky) await expect(compose(ada)).toBeInViewport({ ratio: 0.9 });
    else await expect(compose(ada)).not.toBeInViewport();
  }
  await expect(ada.locator('meta[name=viewport]')).toHaveAttribute('content', /interactive-widget=resizes-content/);
  await ada.setViewportSize(LAPTOP);
  await ada.emulateMedia({ media: 'print' });
  await expect(compose(ada)).toBeHidden();
});

test('the limit is said once 200 characters are left', async ({ room, ada }) => {
  await visit(ada, room);
  const hint = ada.locator('#message-hint');
  await messageBox(ada).fill('k'.repeat(1_799));
  await expect(hint).toHaveText('Up to 2,000 characters.');
  await expect(statusOf(ada)).toHaveText('');

  await messageBox(ada).press('k');
  await expect(statusOf(ada)).toHaveText('200 characters left.');
  await messageBox(ada).press('k');
  await expect(hint).toHaveText('199 characters left.');
  await expect(statusOf(ada)).toHaveText('200 characters left.');
  await messageBox(ada).fill('👋'.repeat(2_003));
  await expect(hint).toHaveText('3 characters too many.');
});

test('on a telephone, Enter starts a new line at first, and the choice is remembered', async ({
  server,
  room,
  ada,
  browser,
}) => {
  const storageState = await ada.context().storageState();
  const touch = { isMobile: true, hasTouch: true, viewport: TELEPHONE };
  const context = await browser.newContext({ storageState, baseURL: server.url, ...touch });
  const page = await context.newPage();
  await visit(page, room);
  await expect(enterSends(page)).not.toBeChecked();
  await messageBox(page).focus();
  await page.keyboard.press('Enter');
  await expect(messageBox(page)).toHaveValue('\n');
  await enterSends(page).check();
  await page.reload();
  await expect(enterSends(page)).toBeChecked();
  await context.close();
});

test('one-line messages in view: at least 16 and 14 on a laptop, 12 and 10 on a telephone', async ({
  room,
  ada,
  bob,
}) => {
  const own = await submit(ada, '/rooms/new', { name: 'Half of it', kind: 'public' });
  await submit(bob, `${own}/join`, { join: '1' });
  await say(bob, room, ...numbered('Tea', 40));
  for (const number of numbered('Cake', 15)) {
    await say(bob, own, number);
    await say(ada, own, number);
  }
  const inView = async () => {
    const [from, to] = [await covered(ada), (await boxOf(compose(ada))).top];
    expect((await boxOf(compose(ada))).bottom).toBeLessThanOrEqual(ada.viewportSize().height);
    return messagesOf(ada).evaluateAll(
      (items, [from, to]) =>
        items.filter((item) => {
          const { top, bottom } = item.getBoundingClientRect();
          return top >= from - 1 && bottom <= to + 1;
        }).length,
      [from, to],
    );
  };
  for (const [window, all, half] of [
    [LAPTOP, 16, 14],
    [TELEPHONE, 12, 10],
  ]) {
    await ada.setViewportSize(window);
    await revisit(ada, room);
    expect(await inView(), `${nameOf(window)}, of others`).toBeGreaterThanOrEqual(all);
    await revisit(ada, own);
    expect(await inView(), `${nameOf(window)}, half of them own`).toBeGreaterThanOrEqual(half);
  }
});

/** Tabs through a room that is longer than the window, and expects that all that has the focus can be seen. */
async function expectFocusInView(page, look, hint) {
  await dress(page, look);
  const { stops, faults } = await tabThrough(page);
  expect(faults, hint).toEqual([]);
  expect(stops.length, hint).toBeGreaterThan(40);
}

for (const window of WINDOWS) {
  test(`at ${nameOf(window)}, nothing covers what has the focus, in the whole room and in all looks`, async ({
    room,
    ada,
    bob,
  }) => {
    await ada.setViewportSize(window);
    await say(bob, room, ...numbered('See https://example.org/', 15));
    await say(ada, room, ...numbered('Tea', 15));
    await visit(ada, room);

    for (const look of Object.keys(LOOKS)) await expectFocusInView(ada, look, look);
  });
}

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('nothing covers what has the focus, in windows of all sizes', async ({ room, ada, bob }) => {
    await say(bob, room, ...numbered('See https://example.org/', 15));
    await say(ada, room, ...numbered('Tea', 15));
    await ada.goto(room);

    for (const [index, window] of WINDOWS.entries()) {
      await ada.setViewportSize(window);
      await expectFocusInView(ada, lookOf(index), `${nameOf(window)}, ${lookOf(index)}`);
    }
  });
});

test('the bar is at most 3.5rem high, and sticks to the upper edge of windows at least 40rem high', async ({
  room,
  ada,
  bob,
}) => {
  await say(bob, room, ...numbered('Tea', 60));
  for (const window of WINDOWS) {
    await ada.setViewportSize(window);
    await ada.goto(`${room}#now`);
    const bar = await boxOf(ada.locator('header'));
    expect(bar.height, nameOf(window)).toBeLessThanOrEqual(56);
    if (window.height >= 640) expect(bar.top, nameOf(window)).toBe(0);
    else expect(bar.bottom, nameOf(window)).toBeLessThanOrEqual(0);
  }
});

test("the room's name is in the bar of windows at least 40rem high, and above the messages of lower ones", async ({
  room,
  ada,
  bob,
}) => {
  const name = 'A long name of a room, for which there is no place in a bar';
  const other = await submit(bob, '/rooms/new', { name, kind: 'public' });
  await submit(ada, `${other}/join`, { join: '1' });
  for (const place of [room, other]) await say(bob, place, ...numbered('Tea', 60));
  for (const window of WINDOWS) {
    await ada.setViewportSize(window);
    for (const place of [room, other]) {
      await revisit(ada, place);
      const heading = ada.getByRole('heading', { level: 1 });
      const hint = `${nameOf(window)}, ${await heading.textContent()}`;
      if (window.height < 640) {
        await expect(heading, hint).not.toBeInViewport();
        continue;
      }
      const [bar, { top, bottom, left, right }] = [await boxOf(ada.locator('header')), await boxOf(heading)];
      expect(top, hint).toBe(bar.top);
      expect(bottom, hint).toBeLessThanOrEqual(bar.bottom);
      const beside = ada.locator('.site:visible, .back:visible, .menu:visible');
      await expect(beside, hint).toHaveCount(2);
      for (const part of await beside.all()) {
        const box = await boxOf(part);
        expect(box.right <= left || box.left >= right, hint).toBe(true);
      }
    }
  }
  // Where it is cut off, the whole name is here.
  await expect(ada.getByRole('link', { name: `Leave ${name}` })).toHaveText(`Leave ${name}`);
});

test('"Pause updates" and "Check for new messages" share one line in windows of all sizes', async ({ room, ada }) => {
  await visit(ada, room);
  for (const window of WINDOWS) {
    await ada.setViewportSize(window);
    const buttons = [await boxOf(ada.getByRole('button', { name: 'Pause updates' })), await boxOf(check(ada))];
    expect(buttons[0].top, nameOf(window)).toBe(buttons[1].top);
    expect((await boxOf(ada.locator('#updates'))).height, nameOf(window)).toBeLessThanOrEqual(48);
  }
});

test.describe('in a narrow window without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('Your rooms are one press away, and a menu holds the rest of the navigation', async ({ room, ada }) => {
    await ada.setViewportSize(TELEPHONE);
    await ada.goto(`${room}#now`);
    await expect(ada.getByRole('link', { name: 'Back to Your rooms' })).toBeInViewport({ ratio: 1 });
    const links = ada.getByRole('navigation', { name: 'Main' }).getByRole('link');
    await expect(links.first()).toBeHidden();

    await ada.getByText('Menu', { exact: true }).click();

    await expect(links).toHaveText([
      'Your rooms',
      'Public rooms',
      'Join a private room',
      'Create a room',
      'Your account',
    ]);
    for (const window of [TELEPHONE, LAPTOP, WIDE]) {
      await ada.setViewportSize(window);
      for (const link of await links.all()) {
        await expect(link).toBeInViewport({ ratio: 1 });
        const { height } = await boxOf(link);
        expect(height).toBeGreaterThanOrEqual(44);
        expect(height, 'on one line').toBeLessThan(48);
      }
      await expect(ada.getByRole('button', { name: 'Sign out' })).toBeInViewport({ ratio: 1 });
    }
  });
});

test('from 64rem on, the rooms and what is said about the room are beside the conversation', async ({
  room,
  ada,
  bob,
}) => {
  const library = await submit(bob, '/rooms/new', { name: 'Library', kind: 'public' });
  await submit(ada, `${library}/join`, { join: '1' });
  await say(bob, library, ...numbered('Chapter', 3));
  await say(bob, room, ...numbered('Tea', 60));
  const [rooms, about] = [ada.locator('#rooms'), ada.locator('#about')];

  await ada.setViewportSize(LAPTOP);
  await revisit(ada, room);
  const [left, middle, right] = [await boxOf(rooms), await boxOf(ada.locator('.talk')), await boxOf(about)];
  expect(left.right).toBeLessThanOrEqual(middle.left + 1);
  expect(middle.right).toBeLessThanOrEqual(right.left + 1);
  await expect(ada.getByRole('navigation', { name: 'Your rooms' }).getByRole('link')).toHaveText([
    'Kettle club',
    'Library 3 new',
    'All your rooms',
  ]);
  await expect(ada.getByRole('link', { name: 'Kettle club', exact: true })).toHaveAttribute('aria-current', 'page');
  for (const column of [rooms, ada.locator('.talk'), about]) {
    await expect(column).toHaveCSS('overflow-x', 'visible');
    await expect(column).toHaveCSS('overflow-y', 'visible');
  }
  for (const link of ['Library 3 new', 'All your rooms', 'All members of Kettle club', 'Leave Kettle club']) {
    await expect(ada.getByRole('link', { name: link })).toBeInViewport({ ratio: 1 });
  }

  await ada.setViewportSize({ width: 1023, height: 800 });
  const order = [await boxOf(ada.locator('.talk')), await boxOf(rooms), await boxOf(about)];
  expect(order[0].bottom).toBeLessThanOrEqual(order[1].top + 1);
  expect(order[1].bottom).toBeLessThanOrEqual(order[2].top + 1);
});

test('the lists beside the conversation show 12 rooms and 12 members, and lead to all', async ({ room, ada }) => {
  for (const name of numbered('Shelf', 13)) await submit(ada, '/rooms/new', { name, kind: 'public' });
  await ada.setViewportSize(LAPTOP);
  await visit(ada, room);

  await expect(ada.locator('#rooms li')).toHaveCount(12);
  await expect(ada.locator('#rooms')).toHaveCSS('position', 'sticky');
  await expect(ada.getByRole('link', { name: 'All your rooms' })).toBeInViewport({ ratio: 1 });
  await ada.setViewportSize({ width: 1280, height: 799 });
  await expect(ada.locator('#rooms')).toHaveCSS('position', 'static');
});

test('what is said about the room stays in view with 12 members, also where notifications are offered', async ({
  room,
  ada,
  bob,
  browser,
  server,
}) => {
  const names = ['cleo', 'dorothea', 'emil', 'fatima', 'grace-h', 'hana', 'ivan', 'jun', 'karl', 'lena-maria', 'mo'];
  for (const name of names) {
    const context = await browser.newContext({ baseURL: server.url });
    const person = { context: () => context };
    await register(person, name);
    await submit(person, `${room}/join`, { join: '1' });
    await context.close();
  }
  const description = 'For all who drink tea in the kitchen of the third floor.';
  const settings = { name: 'Kettle club', description, lifespan: 'longest', 'slow-mode': '0', language: '' };
  await submit(ada, `${room}/settings`, { ...settings, posting: 'everyone' });
  await say(bob, room, ...numbered('Tea', 60));
  await fakeNotifications(ada, { permission: 'granted' });
  await ada.setViewportSize(LAPTOP);
  await visit(ada, room);
  const about = ada.locator('#about');
  await expect(about.getByRole('listitem')).toHaveCount(12);

  await ada.getByRole('button', { name: 'Notify me' }).click();

  await expect(ada.getByRole('checkbox', { name: 'With author and first words' })).toBeVisible();
  await expect(about).toHaveCSS('position', 'sticky');
  for (const place of ['0', 'document.body.scrollHeight / 3']) {
    await ada.evaluate(`scrollTo(0, ${place})`);
    for (const part of await about.locator('h2, li, a, button, input').all()) {
      await expect(part).toBeInViewport({ ratio: 1 });
    }
  }
  await ada.setViewportSize({ width: 1280, height: 799 });
  await expect(about).toHaveCSS('position', 'static');
});

test('a column that is higher than the window goes with the page', async ({ room, ada }) => {
  await ada.setViewportSize(LAPTOP);
  await visit(ada, room);
  const about = ada.locator('#about');
  await expect(about).toHaveCSS('position', 'sticky');

  await about.evaluate((part) => part.append('line', ...Array.from({ length: 60 }, () => document.createElement('br'))));

  await expect(about).toHaveCSS('position', 'static');
});

test('members who are here come first', async ({ room, ada, bob }) => {
  await visit(bob, room);
  const names = bob.getByRole('region', { name: /^Members/ }).getByRole('listitem');
  await expect(names).toHaveText(['bob (you) (here now)', 'ada, owner']);
  await visit(ada, room);
  await bob.reload();
  await expect(names).toHaveText(['ada, owner (here now)', 'bob (you) (here now)']);
});

test('with a mouse, a Delete link shows on hover and focus, and all of it can be pressed', async ({ room, ada }) => {
  await ada.setViewportSize(LAPTOP);
  await say(ada, room, 'Tea', 'Two\nlines', 'Cake');
  await visit(ada, room);
  const item = messagesOf(ada).nth(1);
  const link = item.getByRole('link', { name: 'Delete' });
  await ada.mouse.move(0, 0);
  await expect(link).toHaveCSS('opacity', '0');
  await link.focus();
  await expect(link).toHaveCSS('opacity', '1');
  await link.blur();
  await item.hover();
  await expect(link).toHaveCSS('opacity', '1');
  expect(await coveredPointsOf(link)).toEqual([]);
});

test('with a finger, all of a Delete link can be pressed', async ({ server, room, ada, browser }) => {
  await say(ada, room, 'Tea', 'Two\nlines', 'Cake');
  const storageState = await ada.context().storageState();
  const touch = { isMobile: true, hasTouch: true, viewport: TELEPHONE };
  const context = await browser.newContext({ storageState, baseURL: server.url, ...touch });
  const page = await context.newPage();
  await visit(page, room);
  for (const item of await messagesOf(page).all()) {
    const link = item.getByRole('link', { name: 'Delete' });
    await expect(link).toHaveCSS('opacity', '1');
    const { width, height } = await boxOf(link);
    expect(Math.min(width, height)).toBeGreaterThanOrEqual(43.9);
    expect(await coveredPointsOf(link)).toEqual([]);
  }
  await context.close();
});

/** The points of an element's edges and middle at which something else is on top. */
function coveredPointsOf(link) {
  return link.evaluate((element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const points = [left + 1, (left + right) / 2, right - 1].flatMap((x) =>
      [top + 1, (top + bottom) / 2, bottom - 1].map((y) => [x, y]),
    );
    return points
      .map(([x, y]) => document.elementFromPoint(x, y))
      .filter((on) => !element.contains(on))
      .map((on) => on?.outerHTML.slice(0, 60));
  });
}

test('a first visit to a room with 50 messages takes at most 20 KB and 5 requests, of this site only', async ({
  server,
  room,
  ada,
  bob,
}) => {
  const lines = ['Is anybody in the kitchen?', 'The kettle is on, and there are two mugs left.', 'One is mine.'];
  await say(bob, room, ...Array.from({ length: 50 }, (_, n) => `${lines[n % 3]} (${n})`));
  const devtools = await ada.context().newCDPSession(ada);
  await devtools.send('Network.enable');
  const requests = new Set();
  let bytes = 0;
  devtools.on('Network.requestWillBeSent', ({ request }) => requests.add(request.url));
  devtools.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));

  await visit(ada, room);

  expect(requests.size).toBeLessThanOrEqual(5);
  expect([...requests].every((url) => url.startsWith(server.url))).toBe(true);
  expect(bytes).toBeGreaterThan(5_000);
  expect(bytes).toBeLessThanOrEqual(20_000);
});

test.describe('after sending without scripts', () => {
  test.use({ javaScriptEnabled: false });

  for (const window of WINDOWS) {
    test(`at ${nameOf(window)}, the sent message and the box are in view`, async ({ room, ada, bob }) => {
      await ada.setViewportSize(window);
      await say(bob, room, ...numbered('Tea', 60));
      await ada.goto(room);

      await send(ada, 'Cake');

      await expect(messageBox(ada)).toBeFocused();
      await expect(messageBox(ada)).toBeInViewport({ ratio: 0.9 });
      // There is no room for both in the smallest window.
      if (window !== ZOOMED) await expect(messagesOf(ada).last()).toBeInViewport({ ratio: 0.9 });
    });
  }
});

// A text in the box survives all that happens before it is sent, and is seen by nobody else.

import {
  checkForNewMessages,
  expect,
  expectRoom,
  followNavigation,
  messageBox,
  messagesOf,
  numbered,
  register,
  say,
  send,
  signInAgain,
  statusOf,
  stopClock,
  submit,
  test,
  trySending,
  visit,
} from './support.js';

const draftsOf = (page) => page.evaluate(() => Object.values(sessionStorage).join());
const storedKeysOf = (page) => page.evaluate(() => Object.keys(sessionStorage));

/** Changes what the room's page says, so that open pages are told to reload. */
async function describe(person, room, description) {
  const form = {
    ...{ name: 'Kettle club', description, lifespan: 'longest', posting: 'everyone' },
    ...{ 'slow-mode': '0', language: '' },
  };
  await submit(person, `${room}/settings`, form);
}

const WORD = ' kettles';
// The parts of texts, and how often they are repeated. A form encodes a Cyrillic letter as six bytes.
const sizes = [
  ['34,500 Cyrillic letters', 'ж', 34_500],
  ['1,000,000 characters', WORD, 125_000],
];
const tooLarge = [
  ['2 MB', 250_000],
  ['8 MB', 1_000_000],
];

/** Sends a text that is too long to type. The box is hidden meanwhile: browsers take seconds to lay it out. */
async function trySendingMany(page, part, count) {
  const write = (box, [part, count]) => {
    box.style.display = 'none';
    box.value = part.repeat(count);
  };
  await page.locator('#message').evaluate(write, [part, count]);
  await page.getByRole('button', { name: 'Send message' }).click();
}

/** Asserts that the box has such a text. */
function expectMany(page, part, count) {
  const has = (box, [part, count]) => box.value === part.repeat(count);
  return expect.poll(() => page.locator('#message').evaluate(has, [part, count])).toBe(true);
}

for (const [what, part, count] of sizes) {
  test(`${what} stay in the box, with their number and the limit`, async ({ room, ada }) => {
    await visit(ada, room);
    await trySendingMany(ada, part, count);

    const number = (part.length * count).toLocaleString('en');
    await expect(statusOf(ada)).toHaveText(`Not sent. Your message has ${number} characters. The limit is 2,000`);
    await expectMany(ada, part, count);
  });
}

for (const [what, count] of tooLarge) {
  test(`the script does not advise to send ${what} again`, async ({ room, ada }) => {
    await visit(ada, room);
    await trySendingMany(ada, WORD, count);

    await expect(statusOf(ada)).toHaveText(
      'Not sent. Your message is far too long. The limit is 2,000 characters.',
    );
    await expectMany(ada, WORD, count);
    await ada.locator('#message').evaluate((box) => {
      box.value = '';
      box.style.display = '';
    });
    await trySending(ada, 'Short');
    await expect(messagesOf(ada)).toHaveText([/: Short/]);
  });
}

test('reloading the page, as it says when the room has changed, keeps the draft', async ({ room, ada, bob }) => {
  await visit(bob, room);
  await messageBox(bob).fill('Half a thought');
  await describe(ada, room, 'For tea only');
  await expect(statusOf(bob)).toHaveText('This room has changed. Reload the page.');

  await bob.reload();
  await expect(bob.getByText('For tea only')).toBeVisible();
  await expect(messageBox(bob)).toHaveValue('Half a thought');
  await bob.getByRole('button', { name: 'Send message' }).click();
  await expect(messagesOf(bob)).toHaveText([/: Half a thought/]);
  await bob.reload();
  await expect(messageBox(bob)).toHaveValue('');
  expect(await draftsOf(bob)).toBe('');
});

test('checking for new messages keeps the draft', async ({ room, ada, bob }) => {
  await ada.clock.install();
  // Five seconds after the start of the page, its title loses the number.
  await stopClock(ada);
  await visit(ada, room);
  await messageBox(ada).fill('Half a thought');
  await say(bob, room, 'Tea?');
  await checkForNewMessages(ada);

  await expect(ada).toHaveTitle(/^1 new – Kettle club/);
  await expect(messageBox(ada)).toHaveValue('Half a thought');
  await messageBox(ada).fill('A whole thought');
  await ada.reload();
  await expect(messageBox(ada)).toHaveValue('A whole thought');
});

test('going back keeps the draft', async ({ room, ada }) => {
  await visit(ada, room);
  await messageBox(ada).fill('Half a thought');
  await ada.goto('/rooms');
  await ada.goBack();

  await expect(messageBox(ada)).toHaveValue('Half a thought');
});

test('each room has its own draft', async ({ room, ada }) => {
  const other = await submit(ada, '/rooms/new', { name: 'Library', kind: 'public' });
  await visit(ada, room);
  await messageBox(ada).fill('Half a thought');
  await visit(ada, other);
  await expect(messageBox(ada)).toHaveValue('');
  await messageBox(ada).fill('Another');

  await visit(ada, room);
  await expect(messageBox(ada)).toHaveValue('Half a thought');
  await visit(ada, other);
  await expect(messageBox(ada)).toHaveValue('Another');
});

test('a draft is not shown after a sign-out, and deleted when the script next runs', async ({ room, ada }) => {
  await visit(ada, room);
  await messageBox(ada).fill('Half a thought');
  await ada.goto('/rooms');
  await ada.getByRole('button', { name: 'Sign out' }).click();
  await register(ada, 'zoe');
  await submit(ada, `${room}/join`, { join: '1' });

  // Back to the page on which Ada wrote.
  while (new URL(ada.url()).pathname !== room) await ada.goBack();
  await ada.getByText('Menu', { exact: true }).click();
  await expect(ada.getByText('Signed in as zoe')).toBeVisible();
  await expect(ada.getByRole('button', { name: 'Pause updates' })).toBeVisible();
  await expect(messageBox(ada)).toHaveValue('');
  expect(await draftsOf(ada)).toBe('');
  expect(await storedKeysOf(ada)).toEqual([]);
});

test('the page does not reveal the cookie', async ({ room, ada }) => {
  await visit(ada, room);
  const session = await ada.locator('#log').getAttribute('data-session');
  const cookies = await ada.context().cookies();

  expect(session).toMatch(/^[0-9a-f]{16}$/);
  for (const { value } of cookies) expect(value).not.toContain(session);
});

test('an empty status line is not met and takes no room, and speaks when it is filled', async ({ room, ada }) => {
  await visit(ada, room);
  const write = ada.getByRole('region', { name: 'Write a message' });

  await expect(statusOf(ada)).toHaveCount(1);
  expect(await statusOf(ada).evaluate((line) => line.getBoundingClientRect().height)).toBe(0);
  await expect(write).toMatchAriaSnapshot(`
    - region "Write a message":
      - /children: deep-equal
      - heading "Write a message" [level=2]
      - text: Message to Kettle club
      - paragraph: Up to 2,000 characters.
      - textbox "Message to Kettle club"
      - button "Send message"
      - checkbox "Enter sends" [checked]
      - text: Enter sends
  `);
  const line = await statusOf(ada).elementHandle();
  await send(ada, 'Tea?');
  await expect(write).toMatchAriaSnapshot(`
    - region "Write a message":
      - text: Sent
  `);
  // Screen readers announce a change only in a region that was there before.
  expect(await line.evaluate((before) => before.isConnected && before.textContent)).toBe('Sent');
});

test('the button to check is the Tab stop before the box', async ({ room, ada }) => {
  await say(ada, room, 'Tea?');
  await visit(ada, room);
  await messagesOf(ada).getByRole('link').last().focus();
  const stops = [];
  for (let stop = 0; stop < 5; stop += 1) {
    await ada.keyboard.press('Tab');
    stops.push(await ada.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id));
  }

  expect(stops).toEqual(['Pause updates', 'Check for new messages', 'message', 'Send message', 'enter-sends']);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  for (const [what, part, count] of sizes) {
    test(`${what} come back in the box, with their number and the limit`, async ({ room, ada }) => {
      await ada.goto(room);
      await trySendingMany(ada, part, count);

      await expect(ada.getByRole('group', { name: 'There is a problem' })).toContainText(
        `Your message has ${(part.length * count).toLocaleString('en')} characters. The limit is 2,000`,
      );
      await expectMany(ada, part, count);
    });
  }

  test('after 2 MB the page says that Back has the text, and Back has it', async ({ room, ada }) => {
    await ada.goto(room);
    await trySendingMany(ada, WORD, 250_000);
    await expect(ada.getByRole('heading', { name: 'You sent too much at once' })).toBeVisible();
    await expect(ada.getByText('Go back: your text is still in its box.')).toBeVisible();

    await ada.goBack();
    await expectRoom(ada, 'Kettle club');
    await expectMany(ada, WORD, 250_000);
  });

  test('going back keeps the draft', async ({ room, ada }) => {
    await ada.goto(room);
    await messageBox(ada).fill('Half a thought');
    await followNavigation(ada, 'Public rooms');
    await expect(ada.getByRole('heading', { name: 'Public rooms' })).toBeVisible();
    await ada.goBack();

    await expect(messageBox(ada)).toHaveValue('Half a thought');
    await send(ada, 'Half a thought');
    await expect(messagesOf(ada)).toHaveText([/: Half a thought/]);
  });

  test('checking for new messages keeps the draft until it is sent', async ({ room, ada, bob }) => {
    await say(bob, room, ...numbered('Old', 2));
    await ada.goto(room);
    await messageBox(ada).fill('Half a thought');
    await say(bob, room, 'Tea?');

    await checkForNewMessages(ada);
    await expect(ada).toHaveTitle(/^1 new – Kettle club/);
    await expect(messageBox(ada)).toHaveValue('Half a thought');
    await checkForNewMessages(ada);
    await expect(ada).toHaveTitle(/^No new messages – Kettle club/);
    await expect(messageBox(ada)).toHaveValue('Half a thought');
    await ada.getByRole('button', { name: 'Send message' }).click();
    await expect(messagesOf(ada)).toHaveCount(4);
    await checkForNewMessages(ada);
    await expect(messageBox(ada)).toHaveValue('');
  });

  test('checking after the session ended keeps the draft across the sign-in', async ({ room, ada }) => {
    await ada.goto(room);
    await messageBox(ada).fill('Half a thought');
    await submit(ada, '/logout', { 'sign-out': '1' });
    await checkForNewMessages(ada);
    await signInAgain(ada, 'ada');

    await expectRoom(ada, 'Kettle club');
    await expect(messageBox(ada)).toHaveValue('Half a thought');
  });
});

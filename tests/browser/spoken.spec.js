// What screen readers announce while a room is open, and when they announce nothing.

import {
  announcedTo,
  expect,
  holdPolls,
  messageBox,
  messagesOf,
  numbered,
  register,
  say,
  statusesOf,
  setWindowFocus,
  isPoll,
  stopClock,
  submit,
  test,
  setVisibility,
  visit,
} from './support.js';

test('each new message is announced once, in order, and one at a time', async ({ room, ada, bob }) => {
  await say(bob, room, 'Old news');
  const release = await holdPolls(ada);
  await ada.goto(room);
  await say(bob, room, ...numbered('Tea', 5));
  release();

  await expect.poll(() => announcedTo(ada)).toEqual(numbered('bob: Tea', 5));
  await say(bob, room, 'Cake');
  await expect.poll(() => announcedTo(ada)).toEqual([...numbered('bob: Tea', 5), 'bob: Cake']);
  const times = await ada.evaluate(() => window.heard.map((line) => line.at));
  const gaps = times.slice(1).map((time, index) => time - times[index]);
  for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(200);
});

test('more than five messages in one poll are announced as one line', async ({ room, ada, bob }) => {
  const release = await holdPolls(ada);
  await ada.goto(room);
  await say(bob, room, ...numbered('Tea', 6));
  release();

  await expect(messagesOf(ada)).toHaveCount(6);
  await expect.poll(() => announcedTo(ada)).toEqual(['6 new messages, last from bob: Tea 6']);
});

test('a text equal to the previous one is altered, so that it is spoken, too', async ({
  room,
  ada,
  bob,
}) => {
  await visit(ada, room);

  await say(bob, room, 'Tea', 'Tea', 'Tea');

  await expect.poll(() => announcedTo(ada)).toEqual(['bob: Tea', 'bob: Tea\u00a0', 'bob: Tea']);
});

test('an announcement is plain text: links replaced, lines joined, long texts truncated', async ({
  room,
  ada,
  bob,
}) => {
  const sentence = 'The kettle in the small kitchen is broken again.';
  await visit(ada, room);

  await say(bob, room, 'See https://example.org/tea?with=milk\nfor <b>tea</b>');
  await say(bob, room, `${sentence} ${'It drips and it hisses. '.repeat(20)}`);
  await say(bob, room, 'drip'.repeat(100));

  await expect
    .poll(() => announcedTo(ada))
    .toEqual([
      'bob: See link for <b>tea</b>',
      `bob: ${sentence} … long message`,
      `bob: ${'drip'.repeat(25)} … long message`,
    ]);
});

test('loading, older messages, removed messages and joining people are not spoken', async ({
  room,
  ada,
  bob,
  browser,
}) => {
  await say(bob, room, ...numbered('Tea', 101));
  await visit(ada, room);
  await expect(messagesOf(ada)).toHaveCount(100);
  expect(await ada.evaluate(() => window.heard)).toEqual([]);

  // A person joins, and then Bob deletes his last message.
  const context = await browser.newContext();
  const cleo = await context.newPage();
  await register(cleo, 'cleo');
  await submit(cleo, `${room}/join`, { join: '1' });
  await context.close();
  await bob.goto(room);
  await messagesOf(bob).last().getByRole('link', { name: 'Delete' }).click();
  await bob.getByRole('button', { name: 'Delete message' }).click();
  await expect(messagesOf(ada)).toHaveCount(99);
  expect(await ada.evaluate(() => window.heard)).toEqual([]);

  await ada.getByRole('link', { name: 'Older messages' }).click();
  await expect(messagesOf(ada)).toHaveCount(1);
  expect(await ada.evaluate(() => window.heard)).toEqual([]);
});

test("a person's own messages are not announced", async ({ room, ada, bob }) => {
  await visit(ada, room);

  await messageBox(ada).fill('Mine');
  await ada.getByRole('button', { name: 'Send message' }).click();
  await expect(messagesOf(ada)).toHaveCount(1);
  await say(bob, room, 'Yours');

  await expect.poll(() => announcedTo(ada)).toEqual(['bob: Yours']);
});

test('an announcement waits until typing pauses', async ({ room, ada, bob }) => {
  await ada.clock.install();
  await visit(ada, room);
  await stopClock(ada);
  await messageBox(ada).press('a');

  await say(bob, room, 'Tea');
  await expect(messagesOf(ada)).toHaveCount(1);
  await ada.clock.runFor(1_400);
  await messageBox(ada).press('b');
  await ada.clock.runFor(1_400);
  expect(await announcedTo(ada)).toEqual([]);
  await ada.clock.runFor(200);
  expect(await announcedTo(ada)).toEqual(['bob: Tea']);
});

test('nothing is announced during continuous typing, and a pause announces the messages or their number', async ({
  room,
  ada,
  bob,
}) => {
  const typeFor = async (seconds) => {
    for (let second = 0; second < seconds; second += 1) {
      await messageBox(ada).press('a');
      await ada.clock.runFor(1_000);
    }
  };
  await ada.clock.install();
  await visit(ada, room);
  await stopClock(ada);
  await messageBox(ada).press('a');
  await say(bob, room, 'Tea');
  await expect(messagesOf(ada)).toHaveCount(1);

  await typeFor(40);
  expect(await announcedTo(ada)).toEqual([]);
  await ada.clock.runFor(1_000);
  expect(await announcedTo(ada)).toEqual(['bob: Tea']);

  await messageBox(ada).press('a');
  await say(bob, room, ...numbered('Cake', 6));
  await expect(messagesOf(ada)).toHaveCount(7);
  await typeFor(25);
  await ada.clock.runFor(1_000);
  expect(await announcedTo(ada)).toEqual(['bob: Tea', '6 new messages, last from bob: Cake 6']);
});

test('messages in a hidden tab are counted in its title, and announced as one line when it is shown', async ({
  room,
  ada,
  bob,
}) => {
  await ada.clock.install();
  await visit(ada, room);
  const title = await ada.title();
  await setVisibility(ada, 'hidden');

  await say(bob, room, ...numbered('Tea', 2));
  await ada.clock.runFor(15_000);
  await expect(ada).toHaveTitle(`(2) ${title}`);
  await say(bob, room, 'Cake');
  expect(await announcedTo(ada)).toEqual([]);
  await setVisibility(ada, 'visible');

  await expect(messagesOf(ada)).toHaveCount(3);
  await expect(ada).toHaveTitle(title);
  await expect.poll(() => announcedTo(ada)).toEqual(['3 new messages']);
});

test('messages behind another window are shown at once, and announced as one line on return', async ({
  room,
  ada,
  bob,
}) => {
  const polls = [];
  await visit(ada, room);
  const title = await ada.title();
  await setWindowFocus(ada, false);
  ada.on('request', (request) => isPoll(request) && polls.push(request.url()));

  await say(bob, room, 'Tea');
  await expect(messagesOf(ada)).toHaveCount(1);
  await say(bob, room, 'Cake');
  await expect(messagesOf(ada)).toHaveCount(2);
  expect(await announcedTo(ada)).toEqual([]);
  // It polls as a visible page does.
  expect(polls.filter((url) => /hidden=1|wait=0/.test(url))).toEqual([]);
  await expect(ada).toHaveTitle(title);
  await setWindowFocus(ada, true);

  await expect.poll(() => announcedTo(ada)).toEqual(['2 new messages']);
  await say(bob, room, 'Biscuits');
  await expect.poll(() => announcedTo(ada)).toEqual(['2 new messages', 'bob: Biscuits']);
});

test('what the title began with goes once the reader is there', async ({ room, ada, bob }) => {
  await say(bob, room, 'Tea');
  await ada.clock.install();
  // Five seconds after the start of the page, a reader in front of it has heard the title.
  await stopClock(ada);
  await visit(ada, room);
  await setWindowFocus(ada, false);
  await ada.clock.runFor(10_000);
  await expect(ada).toHaveTitle('1 new – Kettle club – Your rooms – Mirage');

  await setWindowFocus(ada, true);

  const isLeadGone = async () => {
    await ada.clock.runFor(1_000);
    return ada.title();
  };
  await expect.poll(isLeadGone).toBe('Kettle club – Your rooms – Mirage');
});

test('a message removed before its announcement is not announced', async ({ room, ada, bob }) => {
  await visit(ada, room);
  await setVisibility(ada, 'hidden');
  await say(bob, room, 'Gone soon', 'Staying');
  await bob.goto(room);
  await messagesOf(bob).first().getByRole('link', { name: 'Delete' }).click();
  await bob.getByRole('button', { name: 'Delete message' }).click();

  await setVisibility(ada, 'visible');

  await expect(messagesOf(ada)).toHaveText([/^bob: Staying/]);
  await expect.poll(() => announcedTo(ada)).toEqual(['1 new message']);
});

test('the announcer is cleared as a whole, at least ten seconds after its last line', async ({
  room,
  ada,
  bob,
}) => {
  await ada.clock.install();
  await visit(ada, room);
  // One by one, so that they are not combined into one line.
  for (const text of numbered('Tea', 13)) {
    await say(bob, room, text);
    await expect.poll(() => announcedTo(ada)).toContain(`bob: ${text}`);
  }
  await ada.clock.runFor(10_000);

  await expect(ada.locator('[role=log] p')).toHaveCount(0);
  const { heard, emptied } = await ada.evaluate(() => ({ heard, emptied }));
  expect(heard.map((line) => line.text)).toEqual(numbered('bob: Tea', 13));
  expect(emptied).toEqual([
    expect.objectContaining({ id: 'say-a', left: 0 }),
    expect.objectContaining({ id: 'say-b', left: 0 }),
  ]);
  expect(emptied[0].at - heard[9].at).toBeGreaterThan(9_900);
  expect(emptied[1].at - heard[12].at).toBeGreaterThan(9_900);
});

test.describe('with the announcement setting', () => {
  async function choose(page, choice) {
    await page.goto('/account');
    await page.getByRole('radio', { name: choice }).check();
    await page.getByRole('button', { name: 'Save settings' }).click();
    await expect(page.getByText('Settings saved.')).toBeVisible();
  }

  test('only the number of new messages is announced', async ({ room, ada, bob }) => {
    await choose(ada, 'Count only');
    await ada.clock.install();
    await visit(ada, room);
    await stopClock(ada);
    await say(bob, room, 'Tea');
    await expect(messagesOf(ada)).toHaveCount(1);
    await ada.clock.runFor(1_000);
    await say(bob, room, 'Cake');
    await expect(messagesOf(ada)).toHaveCount(2);

    // Gathered for two seconds.
    await ada.clock.runFor(900);
    expect(await announcedTo(ada)).toEqual([]);
    await ada.clock.runFor(200);
    expect(await announcedTo(ada)).toEqual(['2 new messages']);
    await say(bob, room, 'Biscuits');
    await expect(messagesOf(ada)).toHaveCount(3);
    await ada.clock.runFor(2_100);
    expect(await announcedTo(ada)).toEqual(['2 new messages', '1 new message']);
  });

  test('nothing is announced', async ({ room, ada, bob }) => {
    await choose(ada, 'None');
    await ada.clock.install();
    await visit(ada, room);
    await say(bob, room, 'Tea');

    await expect(messagesOf(ada)).toHaveCount(1);
    await ada.clock.runFor(1_000);
    expect(await announcedTo(ada)).toEqual([]);
    expect(await statusesOf(ada)).toEqual([]);
  });
});

test('a hidden word and the visible word after it are separate in speech', async ({ page }) => {
  await page.goto('/register');
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText('Error: Enter a password')).toHaveCount(1);
  const browser = await page.context().newCDPSession(page);

  // The browser's own tree: Playwright computes names without regard to the layout.
  const { nodes } = await browser.send('Accessibility.getFullAXTree');

  const texts = nodes.filter(({ role }) => role?.value === 'StaticText').map(({ name }) => name.value);
  const errors = texts.filter((text) => text.startsWith('Error:'));
  expect(errors).toEqual(['Error: ', 'Error: ']);
});

// Notifications, which readers ask for, while the tab is hidden.

import { expect, fakeNotifications, messagesOf, say, setVisibility, statusOf, submit, test, visit } from './support.js';

const button = (page) => page.getByRole('button', { name: 'Notify me' });
const wordsChoice = (page) => page.getByRole('checkbox', { name: 'With author and first words' });
const allShown = (page) => page.evaluate(() => window.shown.map(({ title, body }) => [title, body].join(': ')));
const open = (page) => page.evaluate(() => window.shown.filter(({ isClosed }) => !isClosed).length);

/** Opens the room, asks for notifications, and hides the tab. */
async function beNotified(page, room, prepare = () => {}) {
  await fakeNotifications(page);
  await page.clock.install();
  await visit(page, room);
  await button(page).click();
  await expect(button(page)).toHaveAttribute('aria-pressed', 'true');
  await prepare();
  await setVisibility(page, 'hidden');
}

/** Runs the next poll of the hidden tab. */
async function pollHidden(page) {
  const answer = page.waitForResponse(/hidden=1/);
  await page.clock.runFor(15_000);
  await (await answer).finished();
}

test('a hidden tab shows one notification for the room, without author and words', async ({ room, ada, bob }) => {
  await beNotified(ada, room);

  await say(bob, room, 'Tea?', 'Cake?');
  await pollHidden(ada);
  await expect.poll(() => allShown(ada)).toEqual(['New message in Kettle club: ']);
  await say(bob, room, 'Pie?');
  await pollHidden(ada);
  await expect.poll(() => allShown(ada)).toHaveLength(2);
  expect(await open(ada), 'the later replaces the earlier').toBe(1);

  await setVisibility(ada, 'visible');
  expect(await open(ada)).toBe(0);
});

test('author and first words are in the notification if the reader chooses so, which is remembered', async ({
  room,
  ada,
  bob,
}) => {
  await beNotified(ada, room, () => wordsChoice(ada).check());

  await say(bob, room, 'Is the kettle on?');
  await pollHidden(ada);
  await expect.poll(() => allShown(ada)).toEqual(['New message in Kettle club: bob: Is the kettle on?']);

  await ada.reload();
  await expect(button(ada)).toHaveAttribute('aria-pressed', 'true');
  await expect(wordsChoice(ada)).toBeChecked();
});

test('a notification is closed when its message goes', async ({ room, ada, bob }) => {
  await beNotified(ada, room);
  await say(bob, room, 'Slip of the tongue');
  await pollHidden(ada);
  await expect.poll(() => open(ada)).toBe(1);

  const id = await messagesOf(ada).getAttribute('id');
  await submit(bob, `${room}/messages/${id.slice(1)}/delete`, { confirm: '1' });
  await pollHidden(ada);
  await expect(messagesOf(ada)).toHaveCount(0);
  expect(await open(ada)).toBe(0);
});

test.describe('messages with a short life', () => {
  test.use({ settings: { '--message-lifespan': '60s' } });

  test('a notification is closed when its message expires', async ({ room, ada, bob }) => {
    await beNotified(ada, room);
    await say(bob, room, 'Tea?');
    await pollHidden(ada);
    await expect.poll(() => open(ada)).toBe(1);

    await ada.clock.runFor(61_000);

    await expect(messagesOf(ada)).toHaveCount(0);
    expect(await open(ada)).toBe(0);
  });
});

test('a visible tab shows no notification, nor does one whose reader has not asked or has asked to stop', async ({
  room,
  ada,
  bob,
}) => {
  await fakeNotifications(ada);
  await ada.clock.install();
  await visit(ada, room);
  expect(await ada.evaluate(() => window.timesAsked), 'nobody is asked before the press').toBe(0);
  await setVisibility(ada, 'hidden');
  await say(bob, room, 'One');
  await pollHidden(ada);
  await expect(messagesOf(ada)).toHaveCount(1);
  await setVisibility(ada, 'visible');

  await button(ada).click();
  await expect(button(ada)).toHaveAttribute('aria-pressed', 'true');
  expect(await ada.evaluate(() => window.timesAsked)).toBe(1);
  await say(bob, room, 'Two');
  await expect(messagesOf(ada)).toHaveCount(2);

  await button(ada).click();
  await expect(button(ada)).toHaveAttribute('aria-pressed', 'false');
  await setVisibility(ada, 'hidden');
  await say(bob, room, 'Three');
  await pollHidden(ada);
  await expect(messagesOf(ada)).toHaveCount(3);
  expect(await allShown(ada)).toEqual([]);
});

test('the button says when the notification comes, and what the browser refuses', async ({ room, ada }) => {
  await fakeNotifications(ada, { answer: 'denied' });
  await visit(ada, room);
  await expect(button(ada)).toHaveAccessibleDescription(/hidden, within 15 s or when the browser next lets it run\.$/);

  await button(ada).click();

  await expect(statusOf(ada)).toHaveText('Your browser does not allow notifications.');
  await expect(button(ada)).toHaveAttribute('aria-pressed', 'false');
});

for (const [where, given] of [
  ['denied', { permission: 'denied' }],
  ['impossible, as in Chrome on Android', { isIllegal: true }],
]) {
  test(`there is no button where notifications are ${where}`, async ({ room, ada }) => {
    await fakeNotifications(ada, given);
    await visit(ada, room);

    await expect(ada.getByRole('button', { name: 'Pause updates' })).toBeVisible();
    await expect(button(ada)).toHaveCount(0);
    await expect(wordsChoice(ada)).toHaveCount(0);
  });
}

test('with permission from elsewhere, a constructor that throws takes the button away and loses no message', async ({
  room,
  ada,
  bob,
}) => {
  await fakeNotifications(ada, { permission: 'granted', isIllegal: true });
  await ada.clock.install();
  await visit(ada, room);
  await button(ada).click();
  await setVisibility(ada, 'hidden');

  await say(bob, room, 'Tea?');
  await pollHidden(ada);

  await expect(messagesOf(ada)).toHaveCount(1);
  await expect(button(ada)).toHaveCount(0);
});

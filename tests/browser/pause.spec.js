// The button that pauses the updates of an open room.

import {
  announcedTo,
  expect,
  holdPolls,
  loadTimeOf,
  messageBox,
  messagesOf,
  numbered,
  say,
  send,
  statusesOf,
  test,
  visit,
} from './support.js';

const pause = (page) => page.getByRole('button', { name: 'Pause updates', exact: true });
const resume = (page, waiting) =>
  page.getByRole('button', { name: `Resume updates, ${waiting} waiting`, exact: true });

test('a pause holds back and counts new messages until updates are resumed', async ({
  room,
  ada,
  bob,
}) => {
  await visit(ada, room);
  const title = await ada.title();
  await messageBox(ada).fill('A draft');
  await pause(ada).click();
  await expect(resume(ada, 'none')).toBeFocused();
  expect(await statusesOf(ada)).toEqual(['Updates paused']);

  await say(bob, room, ...numbered('Tea', 4));
  await expect(resume(ada, 4)).toBeFocused();
  await expect(messagesOf(ada)).toHaveCount(0);
  await expect(ada).toHaveTitle(title);
  expect(await announcedTo(ada)).toEqual([]);

  await resume(ada, 4).click();
  await expect(pause(ada)).toBeFocused();
  expect(await statusesOf(ada)).toEqual(['Updates paused', 'Updates resumed']);
  await expect(messagesOf(ada)).toHaveText(numbered('bob: Tea', 4).map((line) => new RegExp(`^${line}`)));
  await expect.poll(() => announcedTo(ada)).toEqual(numbered('bob: Tea', 4));
  await say(bob, room, 'Cake');
  await expect(messagesOf(ada)).toHaveCount(5);
  await expect(messageBox(ada)).toHaveValue('A draft');
});

test('a person’s own message is shown while paused, after the held-back messages', async ({
  room,
  ada,
  bob,
}) => {
  await visit(ada, room);
  await pause(ada).click();
  await say(bob, room, 'Before');
  await expect(resume(ada, 1)).toBeVisible();

  await send(ada, 'Mine');
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): Mine/]);
  await say(bob, room, 'After');
  await resume(ada, 2).click();

  await expect(messagesOf(ada)).toHaveText([/^bob: Before/, /^ada \(you\): Mine/, /^bob: After/]);
  await expect(ada.locator('#log ol')).toHaveCount(1);
});

test('a pause survives a reload', async ({ room, ada, bob }) => {
  await visit(ada, room);
  await pause(ada).click();
  await say(bob, room, 'Tea');
  await expect(resume(ada, 1)).toBeVisible();

  await visit(ada, room);
  await expect(messagesOf(ada)).toHaveCount(1);
  await expect(resume(ada, 'none')).toBeVisible();
  await say(bob, room, 'Cake');
  await expect(resume(ada, 1)).toBeVisible();
  await expect(messagesOf(ada)).toHaveCount(1);
});

test.describe('where messages live for an hour', () => {
  test.use({ settings: { '--message-lifespan': '1h' } });

  test('while paused, expired and deleted messages leave the page and the held-back messages', async ({
    room,
    ada,
    bob,
  }) => {
    await ada.clock.install();
    const release = await holdPolls(ada);
    await say(bob, room, 'Shown', 'Shown and deleted');
    await ada.goto(room);
    const load = await loadTimeOf(ada);
    await expect(messagesOf(ada)).toHaveCount(2);
    await pause(ada).click();
    release();
    await say(bob, room, 'Waiting');
    await expect(resume(ada, 1)).toBeVisible();

    await bob.goto(room);
    await messagesOf(bob).nth(1).getByRole('link', { name: 'Delete' }).click();
    await bob.getByRole('button', { name: 'Delete message' }).click();
    await expect(messagesOf(ada)).toHaveText([/^bob: Shown \d/]);
    await expect(resume(ada, 1)).toBeVisible();

    await ada.clock.fastForward('01:05:00');
    await expect(messagesOf(ada)).toHaveCount(0);
    await expect(resume(ada, 'none')).toBeVisible();
    expect(await announcedTo(ada)).toEqual([]);
    expect(await loadTimeOf(ada)).toBe(load);
  });
});

// People protect themselves: they ignore others, and report messages to the moderators.

import {
  announcedTo,
  expect,
  messagesOf,
  register,
  say,
  setVisibility,
  submit,
  test,
  visit,
} from './support.js';

const press = (page, name) => page.getByRole('main').getByRole('button', { name }).click();
const follow = (page, name) => page.getByRole('main').getByRole('link', { name }).first().click();

/** A third person, who joins the room. */
async function joinAsCleo(ada, room) {
  const context = await ada.context().browser().newContext({ baseURL: new URL(ada.url()).origin });
  const cleo = await context.newPage();
  await register(cleo, 'cleo');
  await submit(cleo, `${room}/join`, { join: '1' });
  return cleo;
}

/** Ignores bob in another tab of this person's. */
async function ignoreBob(person, room) {
  const tab = await person.context().newPage();
  await tab.goto(`${room}/members`);
  await follow(tab, 'Ignore bob');
  await press(tab, 'Ignore bob');
  await expect(tab.getByText('Person ignored.')).toBeVisible();
  return tab;
}

test('an open page shows, counts and announces nothing of a person who is ignored', async ({
  ada,
  bob,
  room,
}) => {
  await visit(ada, room);
  const cleo = await joinAsCleo(ada, room);
  await say(bob, room, 'Buy kettles');
  await say(cleo, room, 'No, thanks');
  await expect(messagesOf(ada)).toContainText(['bob: Buy kettles', 'cleo: No, thanks']);
  await expect.poll(() => announcedTo(ada)).toHaveLength(2);

  const tab = await ignoreBob(ada, room);

  await expect(messagesOf(ada)).toHaveCount(1);
  await say(bob, room, 'Buy them now');
  await say(cleo, room, 'Still no');
  await expect(messagesOf(ada)).toContainText(['cleo: No, thanks', 'cleo: Still no']);
  const announced = ['bob: Buy kettles', 'cleo: No, thanks', 'cleo: Still no'];
  await expect.poll(() => announcedTo(ada)).toEqual(announced);

  // Undone in the account, what bob said comes back, in silence.
  await tab.goto('/account');
  await follow(tab, 'Ignored people');
  await press(tab, 'Stop ignoring bob');
  await expect(messagesOf(ada)).toContainText([
    'bob: Buy kettles',
    'cleo: No, thanks',
    'bob: Buy them now',
    'cleo: Still no',
  ]);
  expect(await announcedTo(ada)).toEqual(announced);
  await cleo.context().close();
});

test('the number in the title leaves out a person who is ignored', async ({ ada, bob, room }) => {
  await ada.clock.install();
  await visit(ada, room);
  const cleo = await joinAsCleo(ada, room);
  await ignoreBob(ada, room);
  await setVisibility(ada, 'hidden');

  await say(bob, room, 'Buy kettles', 'Buy them now');
  await say(cleo, room, 'No, thanks');

  await ada.clock.runFor(15_000);
  await expect(ada).toHaveTitle(/^\(1\) Kettle club/);
  await cleo.context().close();
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with' : 'without';
  test(`a message is reported and dealt with ${how} script`, async ({ ada, bob, room, browser, baseURL }) => {
    await ada.goto('/');
    const cleo = await joinAsCleo(ada, room);
    await say(cleo, room, 'Buy kettles');
    const open = async (person) => {
      const storageState = await person.context().storageState();
      return (await browser.newContext({ baseURL, storageState, javaScriptEnabled })).newPage();
    };
    const [reporter, moderator] = [await open(bob), await open(ada)];

    await reporter.goto(room);
    await follow(reporter, 'Report a message');
    await follow(reporter, 'Report cleo’s message “Buy kettles”');
    await reporter.getByLabel('Reason').fill('Spam');
    await press(reporter, 'Report message');
    await expect(reporter.getByText('Report sent.')).toBeVisible();

    await moderator.goto(room);
    await follow(moderator, '1 open report');
    await expect(moderator.getByRole('blockquote')).toHaveText('Buy kettles');
    await expect(moderator.getByText('Reason: Spam')).toBeVisible();
    await follow(moderator, 'Delete message of report 1');
    await press(moderator, 'Delete message');
    await press(moderator, 'Close report 1');
    await expect(moderator.getByText('There are no open reports.')).toBeVisible();

    for (const page of [reporter, moderator, cleo]) await page.context().close();
  });
}

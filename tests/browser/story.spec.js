// The main use of Mirage, from start to end, by two people.

import {
  checkForNewMessages,
  createPrivateRoom,
  createPublicRoom,
  expect,
  expectRoom,
  joinPrivateRoom,
  joinPublicRoom,
  loadTimeOf,
  messageBox,
  messagesOf,
  noMessagesIn,
  openRoom,
  problemsOf,
  send,
  signUp,
  statusOf,
  test,
  trySending,
  watchPages,
} from './support.js';

const TOO_LONG = 'kettle '.repeat(300).trim();

// Long enough for the pages that a message must outlive, on a slow machine.
test.use({ settings: { '--message-lifespan': '20s' } });
test.describe.configure({ timeout: 120_000 });

const EXPIRY = { timeout: 40_000 };

test('two people talk live in a public and a private room until their messages expire', async ({
  server,
  ada,
  bob,
}) => {
  const { consoleErrors, origins } = watchPages(ada, bob);

  await playTheStory(ada, bob, statusOf, talkLive, expectEmptyLive);

  // Chromium logs the two refused requests of the story, and nothing else.
  expect(consoleErrors).toEqual([
    expect.stringContaining('403 (Forbidden)'),
    expect.stringContaining('422 (Unprocessable Entity)'),
  ]);
  expect([...origins]).toEqual([server.url]);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('two people talk in a public and a private room until their messages expire', async ({
    ada,
    bob,
  }) => {
    await playTheStory(ada, bob, problemsOf, talkByReloading, expectEmptyByReloading);
  });
});

async function playTheStory(ada, bob, refusalOf, talk, expectEmpty) {
  await signUp(ada, 'ada');
  await signUp(bob, 'bob');

  await createPublicRoom(ada, 'Kettle club');
  await joinPublicRoom(bob, 'Kettle club');
  await talk(ada, bob);

  await createPrivateRoom(ada, 'Night shift', 'three spoons');
  await joinPrivateRoom(bob, 'Night shift', 'three forks');
  await expect(problemsOf(bob)).toContainText(
    'Wrong password, or there is no private room with that name',
  );
  await joinPrivateRoom(bob, 'Night shift', 'three spoons');
  await expectRoom(bob, 'Night shift');
  await trySending(ada, TOO_LONG);
  await expect(refusalOf(ada)).toContainText(/Your message has [\d,]+ characters\. The limit is 2,000/);
  await expect(messageBox(ada)).toHaveValue(TOO_LONG);
  await talk(ada, bob);

  await expectEmpty(ada);
  await expectEmpty(bob);
  await openRoom(bob, 'Kettle club');
  await expect(noMessagesIn(bob)).toBeVisible();
}

async function talkLive(ada, bob) {
  const bobsLoad = await loadTimeOf(bob);
  await send(ada, 'Tea is ready');
  await expect(messagesOf(bob)).toHaveText([/^ada: Tea is ready/]);
  expect(await loadTimeOf(bob)).toBe(bobsLoad);

  const adasLoad = await loadTimeOf(ada);
  await send(bob, 'On my way');
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): Tea is ready/, /^bob: On my way/]);
  expect(await loadTimeOf(ada)).toBe(adasLoad);
}

async function expectEmptyLive(page) {
  const load = await loadTimeOf(page);
  await expect(messagesOf(page)).toHaveCount(0, EXPIRY);
  expect(await loadTimeOf(page)).toBe(load);
}

async function talkByReloading(ada, bob) {
  await send(ada, 'Tea is ready');
  await checkForNewMessages(bob);
  await expect(messagesOf(bob)).toHaveText([/^ada: Tea is ready/]);

  await send(bob, 'On my way');
  await checkForNewMessages(ada);
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): Tea is ready/, /^bob: On my way/]);
}

async function expectEmptyByReloading(page) {
  const isEmptyAfterReload = async () => {
    await checkForNewMessages(page);
    return noMessagesIn(page).isVisible();
  };
  await expect.poll(isEmptyAfterReload, { ...EXPIRY, intervals: [2_000] }).toBe(true);
}

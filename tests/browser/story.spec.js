// What Mirage is for, as two people live through it.

import {
  checkForNews,
  createPrivateRoom,
  createPublicRoom,
  expect,
  expectRoom,
  joinPrivately,
  joinPublicly,
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
  watch,
} from './support.js';

const TOO_LONG = 'kettle '.repeat(300).trim();

test.use({ settings: { '--message-lifespan': '8s' } });

test('two people talk live in a public and a private room until their messages expire', async ({
  server,
  ada,
  bob,
}) => {
  const { complaints, origins } = watch(ada, bob);

  await liveThroughTheStory(ada, bob, statusOf, talkLive, expectNoneLive);

  // Chromium logs the two mistakes in the story, and nothing else.
  expect(complaints).toEqual([
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
    await liveThroughTheStory(ada, bob, problemsOf, talkByLooking, expectNoneByLooking);
  });
});

async function liveThroughTheStory(ada, bob, refusalOf, talk, expectNone) {
  await signUp(ada, 'ada');
  await signUp(bob, 'bob');

  await createPublicRoom(ada, 'Kettle club');
  await joinPublicly(bob, 'Kettle club');
  await talk(ada, bob);

  await createPrivateRoom(ada, 'Night shift', 'three spoons');
  await joinPrivately(bob, 'Night shift', 'three forks');
  await expect(problemsOf(bob)).toContainText(
    'Wrong password, or there is no private room with that name',
  );
  await joinPrivately(bob, 'Night shift', 'three spoons');
  await expectRoom(bob, 'Night shift');
  await trySending(ada, TOO_LONG);
  await expect(refusalOf(ada)).toContainText('The message is too long');
  await expect(messageBox(ada)).toHaveValue(TOO_LONG);
  await talk(ada, bob);

  await expectNone(ada);
  await expectNone(bob);
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

async function expectNoneLive(page) {
  const load = await loadTimeOf(page);
  await expect(messagesOf(page)).toHaveCount(0);
  expect(await loadTimeOf(page)).toBe(load);
}

async function talkByLooking(ada, bob) {
  await send(ada, 'Tea is ready');
  await checkForNews(bob);
  await expect(messagesOf(bob)).toHaveText([/^ada: Tea is ready/]);

  await send(bob, 'On my way');
  await checkForNews(ada);
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): Tea is ready/, /^bob: On my way/]);
}

async function expectNoneByLooking(page) {
  const isEmptyAtALook = async () => {
    await checkForNews(page);
    return noMessagesIn(page).isVisible();
  };
  await expect.poll(isEmptyAtALook).toBe(true);
}

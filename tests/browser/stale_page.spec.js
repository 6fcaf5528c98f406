// Pages whose meaning has changed since they were opened: somebody else has signed in, or the room is public now.

import {
  expect,
  holdPolls,
  messageBox,
  messagesOf,
  POLLS,
  problemsOf,
  register,
  say,
  setVisibility,
  stopClock,
  statusesOf,
  statusOf,
  submit,
  test,
  trySending,
  visit,
} from './support.js';

const PASSWORD = 'many small kettles';
const STOPPED =
  'You are now signed in as someone else. Reload the page to continue. Your draft is still here.';
const PUBLIC = 'This room is public now. Everyone who joins it can read what you send.';

/** Signs in as somebody else in the same browser, as in another tab. */
const signInElsewhere = (person, name) => submit(person, '/login', { name, password: PASSWORD });

const reads = (person, room) => person.context().request.get(room).then((answer) => answer.text());

test('a page says by itself that somebody else has signed in, stops, and keeps the draft', async ({
  room,
  ada,
  bob,
}) => {
  const statuses = [];
  ada.on('response', (answer) => POLLS.test(answer.url()) && statuses.push(answer.status()));
  await visit(ada, room);
  await messageBox(ada).fill('From ada');

  await signInElsewhere(ada, 'bob');

  await expect(statusOf(ada)).toHaveText(STOPPED);
  expect(await statusesOf(ada)).toEqual([STOPPED]);
  await say(bob, room, 'Tea?');
  expect(statuses.filter((status) => status === 409)).toHaveLength(1);
  expect(statuses.at(-1)).toBe(409);
  await expect(messagesOf(ada)).toHaveCount(0);
  await expect(messageBox(ada)).toHaveValue('From ada');

  for (let time = 0; time < 2; time += 1) {
    await ada.getByRole('button', { name: 'Send message' }).click();
    await expect(statusOf(ada)).toHaveText(/^Not sent\. You are now signed in as bob\. /);
    await expect(messageBox(ada)).toHaveValue('From ada');
  }
  expect(await reads(bob, room)).not.toContain('From ada');

  await signInElsewhere(ada, 'ada');
  await ada.getByRole('button', { name: 'Send message' }).click();
  await expect(messagesOf(ada)).toHaveText([/^bob: Tea\?/, /^ada \(you\): From ada/]);
});

test('a page that only reads says it too', async ({ room, ada, bob }) => {
  const settings = { lifespan: 'longest', 'slow-mode': '0', posting: 'moderators' };
  await submit(ada, `${room}/settings`, { name: 'Kettle club', ...settings });
  await visit(bob, room);

  await signInElsewhere(bob, 'ada');

  await expect(statusOf(bob)).toHaveText(
    'You are now signed in as someone else. Reload the page to continue.',
  );
});

test('a tab that was hidden meanwhile says it when it is shown', async ({ room, ada }) => {
  await visit(ada, room);
  await setVisibility(ada, 'hidden');
  await signInElsewhere(ada, 'bob');

  await setVisibility(ada, 'visible');

  await expect(statusOf(ada)).toHaveText(STOPPED);
});

test.describe('without the script', () => {
  test('a message of another person waits in the box for the person who is signed in', async ({
    room,
    ada,
    bob,
  }) => {
    await ada.route('**/room.js*', (route) => route.abort());
    await ada.goto(room);
    await signInElsewhere(ada, 'bob');

    await trySending(ada, 'From ada');

    await expect(problemsOf(ada)).toContainText('You are now signed in as bob.');
    await expect(messageBox(ada)).toHaveValue('From ada');
    expect(await reads(bob, room)).not.toContain('From ada');
    await ada.getByRole('button', { name: 'Send message' }).click();
    await expect(messagesOf(ada)).toHaveText([/^bob \(you\): From ada/]);
  });

  test('the sign-out button of another person signs nobody out', async ({ room, ada }) => {
    await ada.goto(room);
    await signInElsewhere(ada, 'bob');

    await ada.getByText('Menu', { exact: true }).click();
    await ada.getByRole('button', { name: 'Sign out' }).click();

    await expect(ada.getByRole('heading', { level: 1 })).toHaveText('You are now signed in as bob');
    await ada.getByRole('button', { name: 'Sign out' }).click();
    await expect(ada.getByText('You are signed out.')).toBeVisible();
  });
});

test.describe('in a private room', () => {
  const makePublic = (person, room) => submit(person, `${room}/settings/public`, { confirm: '1' });

  /** A private room of bob's with ada as a member. */
  async function privateRoom(ada, bob) {
    await Promise.all([register(ada, 'ada'), register(bob, 'bob')]);
    const form = { name: 'Cellar', password: 'three spoons' };
    const room = await submit(bob, '/rooms/new', { ...form, kind: 'private' });
    await submit(ada, '/rooms/private', form);
    return room;
  }

  test('a page says by itself that the room is public now, and then sends', async ({ ada, bob }) => {
    const room = await privateRoom(ada, bob);
    await visit(ada, room);
    await messageBox(ada).fill('Between us');

    await makePublic(bob, room);

    await expect(statusOf(ada)).toHaveText(PUBLIC);
    await expect(messageBox(ada)).toHaveValue('Between us');
    await ada.getByRole('button', { name: 'Send message' }).click();
    await expect(messagesOf(ada)).toHaveText([/: Between us/]);
    await say(bob, room, 'Tea?');
    await expect(messagesOf(ada)).toHaveCount(2);
    expect((await statusesOf(ada)).filter((status) => status.startsWith(PUBLIC))).toHaveLength(1);
  });

  test('a page that has not heard of it does not publish a message at once', async ({ ada, bob }) => {
    const room = await privateRoom(ada, bob);
    const release = await holdPolls(ada);
    await ada.goto(room);
    await makePublic(bob, room);

    await trySending(ada, 'Between us');

    await expect(statusOf(ada)).toHaveText(/^Not sent\. This room is public now\. .* send it again to publish it$/);
    await expect(messageBox(ada)).toHaveValue('Between us');
    expect(await reads(bob, room)).not.toContain('Between us');
    await ada.getByRole('button', { name: 'Send message' }).click();
    await expect(statusOf(ada)).toHaveText('Sent');
    await release();
    await expect(messagesOf(ada)).toHaveText([/: Between us/]);
  });

  test('a hidden tab says it when it is shown, and publishes nothing before', async ({ ada, bob }) => {
    const room = await privateRoom(ada, bob);
    await ada.clock.install();
    await visit(ada, room);
    await stopClock(ada);
    await setVisibility(ada, 'hidden');
    await makePublic(bob, room);
    const polled = ada.waitForResponse((answer) => POLLS.test(answer.url()) && answer.ok());
    await ada.clock.runFor(15_000);
    await polled;
    const audience = ada.locator('#write [name=audience]');
    await expect(statusOf(ada)).toHaveText('This room has changed. Reload the page.');
    await expect(audience).toHaveValue('members');

    await setVisibility(ada, 'visible');

    await expect(statusOf(ada)).toHaveText(PUBLIC);
    await expect(audience).toHaveValue('everyone');
  });
});

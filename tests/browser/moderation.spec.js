// Moderation and changed settings show at once on the open pages of an owner and a member.

import {
  expect,
  expectRoom,
  messageBox,
  messagesOf,
  noMessagesIn,
  openRoom,
  send,
  statusOf,
  test,
  visit,
} from './support.js';

const GONE = 'You are no longer in this room.';
const BACK = 'Join it again in another tab.';
const CHANGED = 'This room has changed. Reload the page.';

/** Opens the page for managing bob. */
async function manageBob(owner, room) {
  await owner.goto(room);
  await owner.getByRole('link', { name: 'All members' }).click();
  await owner.getByRole('link', { name: 'Manage bob' }).click();
}

function press(page, name) {
  return page.getByRole('main').getByRole('button', { name }).click();
}

function follow(page, name) {
  return page.getByRole('main').getByRole('link', { name }).click();
}

test('a removed member is told so, keeps the draft, and may rejoin', async ({ ada, bob, room }) => {
  await visit(bob, room);
  await messageBox(bob).fill('Half a thought');

  await manageBob(ada, room);
  await follow(ada, 'Remove bob from the room');
  await press(ada, 'Remove bob from the room');

  await expect(ada.getByText('Member removed.')).toBeVisible();
  await expect(statusOf(bob)).toHaveText(`${GONE} ${BACK} Your draft is still here.`);
  await expect(messageBox(bob)).toHaveValue('Half a thought');
  await bob.reload();
  await press(bob, 'Join Kettle club');
  await expectRoom(bob, 'Kettle club');
});

test('a banned person is told so, and why, until the ban is lifted', async ({ ada, bob, room }) => {
  await visit(bob, room);

  await manageBob(ada, room);
  await follow(ada, 'Ban bob');
  await ada.getByRole('textbox', { name: 'Reason' }).fill('Too loud');
  await press(ada, 'Ban bob');

  await expect(ada.getByText('bob: Too loud')).toBeVisible();
  await expect(statusOf(bob)).toHaveText(`${GONE} ${BACK} Your draft is still here.`);
  await bob.reload();
  await press(bob, 'Join Kettle club');
  await expect(bob.getByRole('heading', { name: 'You are banned from this room' })).toBeVisible();
  await expect(bob.getByText('Too loud')).toBeVisible();

  await press(ada, 'Lift the ban on bob');
  await expect(ada.getByText('Ban lifted.')).toBeVisible();
  await bob.goto(room);
  await press(bob, 'Join Kettle club');
  await expectRoom(bob, 'Kettle club');
});

test('deleting all messages of one person removes them from open pages', async ({ ada, bob, room }) => {
  await visit(bob, room);
  await send(bob, 'Buy kettles');
  await send(bob, 'Buy them now');
  await expect(messagesOf(bob)).toHaveCount(2);

  await manageBob(ada, room);
  await follow(ada, 'Delete all messages from bob');
  await press(ada, 'Delete all messages from bob');

  await expect(noMessagesIn(bob)).toBeVisible();
  await send(bob, 'Sorry');
  await expect(messagesOf(bob)).toHaveCount(1);
});

test('a moderator deletes a single message of another person', async ({ ada, bob, room }) => {
  await manageBob(ada, room);
  await press(ada, 'Make bob a moderator');
  await expect(ada.getByText('Moderator added.')).toBeVisible();
  const carol = await ada.context().browser().newContext({ baseURL: new URL(ada.url()).origin });
  const carols = await carol.newPage();
  await carols.request.post('/register', { form: { name: 'carol', password: 'many small kettles' } });
  await carols.request.post(`${room}/join`, { form: { join: '1' } });
  await visit(carols, room);
  await send(carols, 'Buy kettles');

  await bob.goto(room);
  await follow(bob, 'Delete other people’s messages');
  await follow(bob, 'carol’s message');
  await press(bob, 'Delete message');

  await expect(bob.getByText('Message deleted.')).toBeVisible();
  await expect(noMessagesIn(carols)).toBeVisible();
  await carol.close();
});

test('open pages learn of new settings, and of the deletion of the room', async ({ ada, bob, room }) => {
  await visit(bob, room);
  await ada.goto(room);
  await follow(ada, 'Settings of Kettle club');
  await ada.getByRole('textbox', { name: 'Room name' }).fill('Teapot club');
  await ada.getByRole('radio', { name: 'Only the owner and moderators' }).check();
  await press(ada, 'Save settings');

  await expect(ada.getByText('Settings saved.')).toBeVisible();
  await expect(statusOf(bob)).toHaveText(CHANGED);
  await bob.reload();
  await expectRoom(bob, 'Teapot club');
  await expect(messageBox(bob)).toBeHidden();
  await expect(bob.getByText('Only the owner and moderators can write here.')).toBeVisible();

  await follow(ada, 'Delete the room');
  await press(ada, 'Delete the room');
  await expect(ada.getByText('Room deleted.')).toBeVisible();
  await expect(statusOf(bob)).toHaveText(GONE);
});

test('in a room where only moderators write, the page of a member is live', async ({
  ada,
  bob,
  room,
}) => {
  await ada.goto(`${room}/settings`);
  await ada.getByRole('combobox', { name: 'Main language' }).selectOption('Deutsch');
  await ada.getByRole('radio', { name: 'Only the owner and moderators' }).check();
  await press(ada, 'Save settings');
  await visit(bob, room);

  await openRoom(ada, 'Kettle club');
  await send(ada, 'Der Kessel pfeift.');

  await expect(messagesOf(bob)).toHaveText(/Der Kessel pfeift\./);
  await expect(bob.locator('#log > ol')).toHaveAttribute('lang', 'de');
});

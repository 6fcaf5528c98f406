// The list of rooms beside a conversation follows the polls of the conversation.

import { announcedTo, expect, numbered, say, setVisibility, statusesOf, submit, test, visit } from './support.js';

test.use({ settings: { '--poll-wait': '300ms' } });

test('the list beside a conversation counts what is new in other rooms, and nothing is spoken', async ({
  room,
  ada,
  bob,
}) => {
  const tea = await submit(ada, '/rooms/new', { name: 'Tea', kind: 'public' });
  await submit(bob, `${tea}/join`, { join: '1' });
  await say(bob, tea, 'Before');
  const requests = [];
  ada.on('request', (request) => requests.push(new URL(request.url()).pathname));
  await visit(ada, room);
  const entry = ada.getByRole('navigation', { name: 'Your rooms' }).getByRole('link', { name: /^Tea/ });
  await expect(entry).toHaveAccessibleName('Tea 1 new');
  requests.length = 0;

  await say(bob, tea, 'Kettle?');
  await expect(entry).toHaveAccessibleName('Tea 2 new');
  const title = await ada.title();
  expect(title).toMatch(/^Kettle club /);

  // Ada reads the room in another tab.
  const other = await ada.context().newPage();
  await other.goto(tea);
  await expect(entry).toHaveAccessibleName('Tea');
  await other.close();

  await say(bob, tea, 'Cake?');
  await expect(entry).toHaveAccessibleName('Tea 1 new');
  await expect(ada.getByRole('link', { name: /^Kettle club/ }).first()).not.toHaveText(/new/);

  expect(new Set(requests), 'no other request than the poll').toEqual(new Set([`${room}/poll`]));
  expect([await announcedTo(ada), await statusesOf(ada)]).toEqual([[], []]);
});

test('the number in the title is that of the room itself', async ({ room, ada, bob }) => {
  const tea = await submit(ada, '/rooms/new', { name: 'Tea', kind: 'public' });
  await submit(bob, `${tea}/join`, { join: '1' });
  await ada.clock.install();
  await visit(ada, room);
  await setVisibility(ada, 'hidden');

  await say(bob, tea, 'Elsewhere', 'Elsewhere too');
  await say(bob, room, 'Here');
  await ada.clock.runFor(15_000);

  await expect(ada).toHaveTitle(/^\(1\) Kettle club/);
  const entry = ada.getByRole('navigation', { name: 'Your rooms' }).getByRole('link', { name: /^Tea/ });
  await expect(entry).toHaveAccessibleName('Tea 2 new');
});

test('new messages in rooms that the list has no place for are counted at "All your rooms"', async ({
  room,
  ada,
  bob,
}) => {
  const all = ada.getByRole('navigation', { name: 'Your rooms' }).getByRole('link', { name: /^All your rooms/ });
  await visit(ada, room);
  await expect(all).toHaveAccessibleName('All your rooms');

  // A room that Ada joins in another tab while this page is open.
  const tea = await submit(bob, '/rooms/new', { name: 'Tea', kind: 'public' });
  await submit(ada, `${tea}/join`, { join: '1' });
  await say(bob, tea, 'Kettle?', 'Tea?');
  await expect(all).toHaveAccessibleName('All your rooms 2 new');
  expect([await announcedTo(ada), await statusesOf(ada)]).toEqual([[], []]);

  const other = await ada.context().newPage();
  await other.goto(tea);
  await expect(all).toHaveAccessibleName('All your rooms');
  await other.close();
});

test('the count at "All your rooms" goes on from the page', async ({ room, ada, bob }) => {
  const rooms = [];
  for (const name of numbered('Shelf', 13)) rooms.push(await submit(bob, '/rooms/new', { name, kind: 'public' }));
  for (const shelf of rooms) {
    await submit(ada, `${shelf}/join`, { join: '1' });
    await say(bob, shelf, 'Book');
  }
  const all = ada.getByRole('link', { name: /^All your rooms/ });
  // Eleven of the thirteen have a place beside this room.
  await visit(ada, room);
  await expect(all).toHaveAccessibleName('All your rooms 2 new');
  const listed = await ada.locator('#rooms li').evaluateAll((items) => items.map((item) => item.dataset.room));
  const shelf = rooms.find((path) => !listed.includes(path.split('/').at(-1)));

  await say(bob, shelf, 'Another book');

  await expect(all).toHaveAccessibleName('All your rooms 3 new');
});

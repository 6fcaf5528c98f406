// Every page, in every state that it can have.
//
// A state has a name, the pattern of its route, a text on its page, and a function that opens it: `as` a
// person who is signed in, or signed out; on a `site` of site.js; with a `status` other than 200. A state
// with a `problem` is a refused form.

import { readFileSync } from 'node:fs';

import { expect, LONGEST_WORD, LONG_NAME, LONG_PERSON, PASSWORD, ROOM_PASSWORD, submit } from './site.js';
import { fakeNotifications, messageBox, problemsOf } from './support.js';

/** Routes that people do not see: for the script, for monitoring, and files. */
export const NOT_PAGES = ['/.well-known/change-password', '/rooms/{room}/poll', '/healthz', '/assets/{file}'];

export const STATES = [
  ...[...home(), ...register(), ...registerByLink(), ...login(), ...reset(), ...accessibility(), ...about()],
  ...[...publicRooms(), ...myRooms(), ...privateJoin(), ...newRoom()],
  ...[...room(), ...liveRoom(), ...members(), ...leave(), ...deleteMessage(), ...messageRefused()],
  ...[...reports(), ...ignoring()],
  ...[...manage(), ...roomSettings(), ...invites(), ...invite()],
  ...[...account(), ...accountPassword(), ...accountSessions(), ...accountDelete(), ...errors()],
  ...[...accountReset(), ...siteModeration(), ...siteActs()],
];

function home() {
  const at = '/';
  return [
    { name: 'home', at, says: 'rooms that forget', go: open(at) },
    { name: 'home, by link only', at, site: 'by link', says: 'Teahouse is for', go: open(at) },
    { name: 'home, closed', at, site: 'closed', says: 'not accepting new accounts', go: open(at) },
  ];
}

function register() {
  const at = '/register';
  const blank = { name: 'create an account', at, says: 'Everyone can see it', go: open(at) };
  const refused = ([what, name, password, problem]) => ({
    ...{ name: `create an account, ${what}`, at, status: 422, says: problem, problem },
    go: send(at, { Name: name, Password: password }, 'Create account'),
  });
  return [
    blank,
    ...[
      ['nothing filled in', '', '', 'Enter a password'],
      ['both too short', 'a', 'kettle', 'must be at least 8 characters long'],
      ['both too long', 'a'.repeat(33), 'kettle '.repeat(20), 'must be 128 characters or fewer'],
      ['a space in the name', 'ada lovelace', PASSWORD, 'can only contain letters'],
      ['a common password', 'ada-lovelace', 'password1', 'This password is too common'],
      ['no letters in the name', '--', PASSWORD, 'at least one letter or digit'],
      ['an accent alone before the name', '\u0301ada', PASSWORD, 'must start with a letter'],
      ['two alphabets in the name', 'adа', PASSWORD, 'letters from only one alphabet'],
      ['the name as the password', 'ada-lovelace', 'ada-lovelace', 'must not be your name'],
      ['a name that somebody has', 'Ada', PASSWORD, 'Someone else has this name'],
    ].map(refused),
    ...[
      ['by link only', 'by link', 'If you have a sign-up link, open it.'],
      ['closed', 'closed', 'not accepting new accounts'],
    ].map(([what, site, says]) => ({
      ...{ name: `create an account, ${what}`, at, site, says, go: open(at) },
    })),
    {
      ...{ name: 'create an account, closed meanwhile', at, site: 'closed', status: 403 },
      ...{ says: 'not accepting new accounts' },
      go: async ({ page }) => {
        // Simulates a page that was opened before sign-up was closed.
        await page.goto('/login');
        await page.locator('main form').evaluate((form) => form.setAttribute('action', '/register'));
        await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
      },
    },
  ];
}

function registerByLink() {
  const at = '/register/{token}';
  const name = 'create an account by a link';
  const openLink = async (page, site) => page.goto(await site.link('signup-link'));
  return [
    {
      ...{ name, at, site: 'by link', says: 'Everyone can see it' },
      go: ({ page, site }) => openLink(page, site),
    },
    {
      ...{ name: `${name}, nothing filled in`, at, site: 'by link', status: 422 },
      ...{ says: 'Enter a name', problem: 'Enter a name' },
      go: async ({ page, site }) => {
        await openLink(page, site);
        await page.getByRole('button', { name: 'Create account' }).click();
      },
    },
    {
      ...{ name: `${name} that does not work`, at, site: 'by link', status: 404 },
      ...{ says: 'This link does not work', go: open('/register/x') },
    },
  ];
}

function reset() {
  const at = '/reset/{token}';
  const openLink = async (page, site) => page.goto(await site.link('user', 'reset-password', 'ada'));
  const change = async (page, password) => {
    await page.getByLabel('New password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Change password' }).click();
  };
  const refused = ([what, password, problem]) => ({
    ...{ name: `choose a new password, ${what}`, at, as: 'ada', status: 422, says: problem, problem },
    go: async ({ page, site }) => {
      await openLink(page, site);
      await change(page, password);
    },
  });
  return [
    {
      ...{ name: 'choose a new password', at, as: 'ada', says: 'This link works once' },
      go: ({ page, site }) => openLink(page, site),
    },
    ...[
      ['nothing filled in', '', 'Enter a password'],
      ['too common', 'password1', 'This password is too common'],
    ].map(refused),
    {
      ...{ name: 'choose a new password, a link that does not work', at, status: 404 },
      ...{ says: 'This link does not work', go: open('/reset/x') },
    },
    {
      ...{ name: 'your rooms, the password changed', at: '/rooms/mine', says: 'Password changed.' },
      go: async ({ page, site }) => {
        const name = await signUp(page, site);
        await page.goto(await site.link('user', 'reset-password', name));
        await change(page, 'an owl in a willow');
      },
    },
  ];
}

function login() {
  const at = '/login';
  const refused = ([what, name, password, problem]) => ({
    ...{ name: `sign in, ${what}`, at, status: 422, as: 'ada', says: problem, problem },
    go: async ({ page, site }) => {
      await page.context().clearCookies();
      await send(at, { Name: name, Password: password }, 'Sign in')({ page, site });
    },
  });
  return [
    { name: 'sign in', at, says: 'help@mirage.example', go: open(at) },
    { name: 'sign in, on the way to a page', at, says: 'Sign in', go: open('/rooms/mine') },
    {
      ...{ name: 'sign in, by link only', at, site: 'by link' },
      ...{ says: 'You need a sign-up link', go: open(at) },
    },
    {
      ...{ name: 'sign in, closed', at, site: 'closed' },
      ...{ says: 'not accepting new accounts', go: open(at) },
    },
    {
      ...{ name: 'sign in, where nobody can help', at, site: 'empty' },
      ...{ says: 'Ask the person who runs this server', go: open(at) },
    },
    {
      ...{ name: 'sign in, after signing out', at, says: 'You are signed out.' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        await page.goto('/account');
        await page.getByRole('button', { name: 'Sign out' }).click();
      },
    },
    ...[
      ['nothing filled in', '', '', 'Enter your password'],
      ['no password', 'ada', '', 'Enter your password'],
      ['the wrong password', 'ada', 'many small spoons', 'The name or password is wrong'],
    ].map(refused),
  ];
}

function accessibility() {
  const at = '/accessibility';
  const name = 'accessibility statement';
  return [
    { name, at, says: 'help@mirage.example', go: open(at) },
    {
      ...{ name: `${name}, where nobody can help`, at, site: 'empty', as: 'ada' },
      ...{ says: 'tell the person who runs this server.', go: open(at) },
    },
  ];
}

function about() {
  const at = '/about';
  return [
    { name: 'about this site', at, site: 'by link', says: 'Be kind', go: open(at) },
    { name: 'about this site, no text', at, status: 404, says: 'Page not found', go: open(at) },
  ];
}

function publicRooms() {
  const at = '/rooms';
  const rows = [
    ['none', 'empty', '', 'There are no public rooms yet'],
    ['one', 'with one room', '', 'Join Kettle club'],
    ['first page of many', 'busy', '?page=1', 'Next page of rooms'],
    ['last page of many', 'busy', '?page=2', 'Previous page of rooms'],
    ['some found', 'busy', '?search=shelf+5', 'Join Shelf 51'],
    ['pages of them found', 'busy', '?search=shelf', 'Page 1 of 2'],
    ['a long name found', 'busy', '?search=samovar', `Join ${LONG_NAME}`],
    ['an Arabic name found', 'busy', `?search=${encodeURIComponent('الشاي')}`, 'غرفة الشاي'],
    ['none found', 'busy', `?search=${'teapot'.repeat(30)}`, 'No public room has'],
  ];
  const states = rows.map(([what, site, query, says]) => ({
    ...{ name: `public rooms, ${what}`, at, site, as: 'cleo', says, go: open(at + query) },
  }));
  const own = { name: 'public rooms, some of them joined', as: 'bob', says: 'You are in this room.' };
  return [...states, { ...own, at, go: open(at) }];
}

function myRooms() {
  const at = '/rooms/mine';
  return [
    { name: 'your rooms, none', at, as: 'cleo', says: 'You are not in any rooms yet', go: open(at) },
    { name: 'your rooms, many', at, as: 'ada', says: 'Leave غرفة الشاي', go: open(at) },
    {
      ...{ name: 'your rooms, new messages', at, as: 'ada', says: '2 new messages.' },
      go: async ({ page, site }) => {
        const room = await site.room('bob', ['ada']);
        await site.say('bob', room, 'Tea?');
        await site.say('bob', room, 'Cake?');
        await page.goto(at);
      },
    },
    {
      ...{ name: 'your rooms, one left', at, as: 'ada', says: 'You have left the room.' },
      go: async ({ page, site }) => {
        await page.goto(`${await site.room('bob', ['ada'])}/leave`);
        await page.getByRole('button', { name: 'Leave' }).click();
      },
    },
  ];
}

function privateJoin() {
  const at = '/rooms/private';
  const refused = ([what, status, name, password, problem]) => ({
    ...{ name: `join a private room, ${what}`, at, as: 'cleo', status, says: problem, problem },
    go: send(at, { 'Room name': name, 'Room password': password }, 'Join room'),
  });
  return [
    { name: 'join a private room', at, as: 'cleo', says: 'the person who invited you', go: open(at) },
    ...[
      ['nothing filled in', 422, '', '', 'Enter the room password'],
      ['no name', 422, '', ROOM_PASSWORD, 'Enter the room name'],
      ['the wrong password', 403, 'Night shift', 'three forks', 'Wrong password, or there is no'],
    ].map(refused),
  ];
}

function newRoom() {
  const at = '/rooms/new';
  const refused = ([what, name, kind, password, problem]) => ({
    ...{ name: `create a room, ${what}`, at, as: 'cleo', status: 422, says: problem, problem },
    go: async ({ page }) => {
      await page.goto(at);
      await fillIn(page, { 'Room name': name, 'Room password (private rooms only)': password });
      if (kind) await page.getByRole('radio', { name: kind }).check();
      await page.getByRole('button', { name: 'Create room' }).click();
    },
  });
  return [
    { name: 'create a room', at, as: 'cleo', says: 'You will own the room', go: open(at) },
    ...[
      ['nothing filled in', '', null, '', 'Enter a room name'],
      ['a name too long', 'K'.repeat(65), 'Public', '', 'must be 64 characters or fewer'],
      ['a hidden sign in the name', 'Tea\u200f', 'Public', '', 'that cannot be displayed'],
      ['nothing to see in the name', '\u200d', 'Public', '', 'at least one visible character'],
      ['private without a password', 'Attic', 'Private', '', 'Enter a password for the room'],
      ['a password too short', 'Attic', 'Private', 'spoon', 'must be at least 6 characters long'],
      ['a password too long', 'Attic', 'Private', 'k'.repeat(129), 'must be 128 characters or fewer'],
      ['a name that is taken', 'kettle club', 'Public', '', 'Another room has this name'],
    ].map(refused),
  ];
}

/** The room page as the server sends it. */
function room() {
  const at = '/rooms/{room}';
  const seen = [
    ['empty', 'ada', 'Empty hall', '', 'There are no messages here now'],
    ['a talk', 'ada', 'Kettle club', '', 'Is anybody in the kitchen?'],
    ['private', 'bob', 'Night shift', '', 'Private room.'],
    ['long words and names', 'bob', LONG_NAME, '', 'kettlekettle'],
    ['Arabic and Hebrew', 'ada', 'غرفة الشاي', '', 'الماء يغلي'],
    ['many messages', 'ada', 'Library', '', 'Older messages'],
    ['older messages', 'ada', 'Library', '?before=4', 'Newest messages'],
    ['reloading itself', 'ada', 'Kettle club', '?reload=2', 'Stop reloading this page'],
    ['to join', 'cleo', 'Kettle club', '', 'you are not in it'],
    ['to join, a long name', 'cleo', LONG_NAME, '', 'you are not in it'],
    ['to join, described', 'cleo', 'Greenhouse', '', 'That is a short time'],
    ['read only', 'עדה', 'Greenhouse', '', 'Only the owner and moderators can write here'],
    ['run by its owner', 'ada', 'Cold frame', '', 'Settings of Cold frame'],
    ['moderated', 'bob', 'Greenhouse', '?moderate=1', 'Stop moderating'],
  ];
  return [
    ...seen.map(([what, as, name, query, says]) => ({
      ...{ name: `room, ${what}`, at, as, says: new RegExp(says) },
      go: async ({ page, site }) => page.goto(site.rooms[name] + query),
    })),
    {
      ...{ name: 'room, one message', at, as: 'ada', says: 'Tea?' },
      go: async ({ page, site }) => {
        const room = await site.room('ada');
        await site.say('ada', room, 'Tea?');
        await page.goto(room);
      },
    },
    {
      ...{ name: 'room, new messages', at, as: 'ada', says: 'New messages' },
      go: async ({ page, site }) => {
        const room = await site.room('ada', ['bob']);
        const seen = await site.say('ada', room, 'Tea?\nThe kettle is on.');
        await site.say('bob', room, 'Yes.', 'Some of this: https://example.org/tea, and cake.');
        await page.goto(`${room}?after=${seen}#now`);
      },
    },
    {
      ...{ name: 'room, nothing new', at, as: 'ada', says: 'No new messages.' },
      go: async ({ page, site }) => {
        await page.goto(site.rooms['Kettle club']);
        await page.getByRole('button', { name: 'Check for new messages' }).click();
      },
    },
    {
      ...{ name: 'room, messages of two days', at, as: 'ada', says: 'Appendix 33' },
      go: async ({ page, site }) => {
        await page.route(/\/rooms\/\d+(#now)?$/, sendFirstMessagesADayBefore);
        await page.goto(site.rooms.Library);
        await expect(page.getByRole('region', { name: 'Messages' }).getByRole('list')).toHaveCount(2);
      },
    },
    {
      ...{ name: 'room, just made', at, as: 'ada', says: 'Room created.' },
      go: async ({ page, site }) => page.goto(`${await site.room('ada')}?done=created`),
    },
    {
      ...{ name: 'room, just made, private', at, as: 'ada', says: 'Make an invite link' },
      go: async ({ page, site }) => page.goto(`${await site.privateRoom('ada')}?done=created`),
    },
    {
      ...{ name: 'room, just joined', at, as: 'ada', says: 'You have joined the room.' },
      go: async ({ page, site }) => {
        await page.goto(await site.room('bob'));
        await page.getByRole('button', { name: 'Join' }).click();
      },
    },
    {
      ...{ name: 'room, a message sent', at, as: 'ada', says: 'Sent. 1 new message above.' },
      go: async ({ page, site }) => {
        const room = await site.room('ada', ['bob']);
        await openWithoutScript(page, room);
        await site.say('bob', room, 'Tea?');
        await sendMessage(page, 'Yes.');
      },
    },
    {
      ...{ name: 'room, a message deleted', at, as: 'ada', says: 'Message deleted.' },
      go: async ({ page, site }) => {
        const room = await site.room('ada');
        const message = await site.say('ada', room, 'Tea?');
        await page.goto(`${room}/messages/${message}/delete`);
        await page.getByRole('button', { name: 'Delete message' }).click();
      },
    },
    {
      ...{ name: 'room, a message held while signed out', at, says: 'You were signed out.' },
      go: async ({ page, site }) => {
        const name = await signUp(page, site);
        await openWithoutScript(page, await joinedRoom(page, site));
        await signOut(page);
        await sendMessage(page, 'Did I miss the tea?');
        await fillIn(page, { Name: name, Password: PASSWORD });
        await page.getByRole('button', { name: 'Sign in' }).click();
      },
    },
    {
      ...{ name: 'room, a message refused', at: '/rooms/{room}/messages', as: 'ada', status: 422 },
      ...{ says: 'Your message has 2,099 characters', problem: 'Your message has 2,099 characters' },
      go: async ({ page, site }) => {
        await openWithoutScript(page, site.rooms['Kettle club']);
        await sendMessage(page, 'kettle '.repeat(300));
      },
    },
    {
      ...{ name: 'room, a message of another person', at: '/rooms/{room}/messages', status: 422 },
      ...{ says: 'send it again to send it as', problem: 'You are now signed in as' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        const room = await joinedRoom(page, site);
        await openWithoutScript(page, room);
        await signUp(page, site);
        await submit(page.context().request, `${room}/join`, { join: '1' });
        await sendMessage(page, 'Did I miss the tea?');
      },
    },
    {
      ...{ name: 'room, a message from its private time', at: '/rooms/{room}/messages', as: 'bob' },
      ...{ status: 422, says: 'send it again to publish it', problem: 'This room is public now.' },
      go: async ({ page, site }) => {
        const room = await site.privateRoom('ada', ['bob']);
        await openWithoutScript(page, room);
        await submit(await site.person('ada'), `${room}/settings/public`, { confirm: '1' });
        await sendMessage(page, 'Did I miss the tea?');
      },
    },
    {
      ...{ name: 'room, an empty message', at: '/rooms/{room}/messages', as: 'ada', status: 422 },
      ...{ says: 'Enter a message', problem: 'Enter a message' },
      go: async ({ page, site }) => {
        await openWithoutScript(page, site.rooms['Empty hall']);
        await sendMessage(page, '');
      },
    },
  ];
}

/** States of the room page that only the script produces. */
function liveRoom() {
  const at = '/rooms/{room}';
  return [
    {
      ...{ name: 'live room, a message refused', at, as: 'ada', says: 'Enter a message' },
      go: async ({ page, site }) => {
        await page.goto(site.rooms['Kettle club']);
        await sendMessage(page, '');
      },
    },
    {
      ...{ name: 'live room, updates paused', at, as: 'ada', says: 'Resume updates' },
      go: async ({ page, site }) => {
        await page.goto(site.rooms['Kettle club']);
        await page.getByRole('button', { name: 'Pause updates' }).click();
      },
    },
    {
      ...{ name: 'live room, with notifications', at, as: 'ada', says: 'Notify me' },
      go: async ({ page, site }) => {
        await fakeNotifications(page);
        await page.goto(site.rooms['Kettle club']);
        await page.getByRole('button', { name: 'Notify me' }).click();
      },
    },
    {
      ...{ name: 'live room, signed out', at, says: 'You are signed out. Sign in to continue.' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        await page.goto(await joinedRoom(page, site));
        await signOut(page);
        await sendMessage(page, 'Did I miss the tea?');
      },
    },
  ];
}

function members() {
  const at = '/rooms/{room}/members';
  return [
    ['members', 'bob', 'Kettle club', '3 people are in this room.'],
    ['members, one', 'ada', 'Empty hall', '1 person is in this room.'],
    ['members, long names', 'ada', LONG_NAME, LONG_PERSON],
    ['members, Arabic and Hebrew names', 'ada', 'غرفة الشاي', 'עדה'],
    ['members, some of them gone or banned', 'ada', 'Greenhouse', 'Lift the ban on loud'],
    ['members, for a moderator', 'bob', 'Cold frame', 'Not in the room'],
  ].map(([name, as, room, says]) => ({
    ...{ name, at, as, says },
    go: async ({ page, site }) => page.goto(`${site.rooms[room]}/members`),
  }));
}

/** The pages on which owners and moderators manage people. */
function manage() {
  const at = '/rooms/{room}/members/{person}';
  const of = (room, name, action = '') => async ({ page, site }) =>
    page.goto((await site.member('ada', site.rooms[room], name)) + action);
  const seen = [
    ['manage a member', 'ada', 'Kettle club', 'bob', '', 'Make bob the owner'],
    ['manage a moderator', 'ada', 'Greenhouse', 'bob', '', 'Remove bob as moderator'],
    ['manage somebody gone', 'bob', 'Greenhouse', 'dora', '', 'Not in this room'],
    ['manage a long name', 'ada', LONG_NAME, LONG_PERSON, '', LONG_PERSON],
    ['hand over a room', 'ada', 'Greenhouse', 'bob', '/owner', 'you become a moderator'],
    ['remove a member', 'ada', 'Kettle club', 'bob', '/remove', 'Their messages stay'],
    ['delete all messages of somebody', 'ada', 'Greenhouse', 'dora', '/messages', 'cannot be undone'],
    ['ban somebody', 'ada', 'Greenhouse', 'bob', '/ban', 'when they try to join'],
    ['ban somebody from a private room', 'ada', 'Cold frame', 'bob', '/ban', 'as if the room does not exist'],
  ];
  const states = seen.map(([name, as, room, person, action, says]) => ({
    ...{ name, at: at + action, as, says, go: of(room, person, action) },
  }));
  return [
    ...states,
    {
      ...{ name: 'ban somebody, no reason', at: `${at}/ban`, as: 'ada', status: 422 },
      ...{ says: 'Enter a reason', problem: 'Enter a reason' },
      go: async (there) => {
        await of('Greenhouse', 'bob', '/ban')(there);
        await there.page.getByRole('button', { name: 'Ban bob' }).click();
      },
    },
    {
      ...{ name: 'members, somebody made a moderator', at: '/rooms/{room}/members', as: 'ada' },
      says: 'Moderator added.',
      go: async ({ page, site }) => {
        await page.goto(await site.member('ada', await site.room('ada', ['bob']), 'bob'));
        await page.getByRole('button', { name: 'Make bob a moderator' }).click();
      },
    },
  ];
}

function roomSettings() {
  const at = '/rooms/{room}/settings';
  const seen = [
    ['room settings, at first', 'Kettle club', '', 'Make the room private'],
    ['room settings, all set', 'Greenhouse', '', 'All that grows'],
    ['room settings of a private room', 'Cold frame', '', 'Change the room password'],
    ['room settings, a long name', LONG_NAME, '', LONG_NAME],
    ['make a room private', 'Kettle club', '/password', 'this password'],
    ['change a room password', 'Cold frame', '/password', 'What happens to the other members?'],
    ['make a room public', 'Cold frame', '/public', 'written in private'],
    ['clear a room', 'Kettle club', '/clear', 'cannot be undone'],
    ['delete a room', LONG_NAME, '/delete', 'cannot be undone'],
  ].map(([name, room, action, says]) => ({
    ...{ name, at: at + action, as: 'ada', says },
    go: async ({ page, site }) => page.goto(`${site.rooms[room]}/settings${action}`),
  }));
  const refused = [
    ['room settings, no name', '', { 'Room name': '' }, 'Enter a room name'],
    ['room settings, too long a description', '', { Description: 'tea '.repeat(80) }, '300 characters or fewer'],
    ['change a room password, nothing filled in', '/password', {}, 'Choose what happens'],
  ].map(([name, action, values, problem]) => ({
    ...{ name, at: at + action, as: 'ada', status: 422, says: problem, problem },
    go: async ({ page, site }) => {
      await page.goto(`${site.rooms['Cold frame']}/settings${action}`);
      await fillIn(page, values);
      await page.getByRole('main').getByRole('button', { name: /Save|Change/ }).click();
    },
  }));
  return [
    ...seen,
    ...refused,
    {
      ...{ name: 'room settings, saved', at, as: 'ada', says: 'Settings saved.' },
      go: async ({ page, site }) => {
        await page.goto(`${await site.room('ada')}/settings`);
        await page.getByRole('button', { name: 'Save settings' }).click();
      },
    },
    {
      ...{ name: 'your rooms, one deleted', at: '/rooms/mine', as: 'ada', says: 'Room deleted.' },
      go: async ({ page, site }) => {
        await page.goto(`${await site.room('ada')}/settings/delete`);
        await page.getByRole('button', { name: 'Delete the room' }).click();
      },
    },
  ];
}

function leave() {
  const at = '/rooms/{room}/leave';
  return [
    ['as a member', 'bob', 'Kettle club', 'You can join again at any time.'],
    ['as a member of a private room', 'bob', 'Night shift', 'name and password'],
    ['as its owner', 'ada', 'Kettle club', 'You own this room.'],
    ['as the last one', 'ada', 'Empty hall', 'You are the only member.'],
    ['a long name', 'ada', LONG_NAME, LONG_NAME],
    ['an Arabic name', 'ada', 'غرفة الشاي', 'غرفة الشاي'],
  ].map(([what, as, room, says]) => ({
    ...{ name: `leave a room, ${what}`, at, as, says },
    go: async ({ page, site }) => page.goto(`${site.rooms[room]}/leave`),
  }));
}

function deleteMessage() {
  const at = '/rooms/{room}/messages/{message}/delete';
  const ask = async (page, room) => {
    await page.goto(room);
    await page.getByRole('link', { name: 'Delete your message' }).last().click();
  };
  return [
    ['delete a message', 'Kettle club', 'There are two mugs left.'],
    ['delete a long message', LONG_NAME, 'The kettle is on.'],
    ['delete a message in two directions', 'غرفة الشاي', 'שלום'],
  ].map(([name, room, says]) => ({
    ...{ name, at, as: 'ada', says: new RegExp(`Delete your message\\?.*${says}`, 's') },
    go: ({ page, site }) => ask(page, site.rooms[room]),
  }));
}

/** Reporting messages, and what moderators see of it. */
function reports() {
  const at = '/rooms/{room}/messages/{message}/report';
  const ask = async (page, room, author) => {
    await page.goto(`${room}?report=1`);
    await page.getByRole('link', { name: `Report ${author}’s message` }).first().click();
  };
  const send = async (page, reason) => {
    await page.getByLabel('Reason').fill(reason);
    await page.getByRole('button', { name: 'Report message' }).click();
  };
  const seen = [
    ['report a message', 'bob', 'Kettle club', 'עדה', 'but not who sent the report'],
    ['report a message of the only moderator', 'bob', 'Kettle club', 'ada', 'Nobody would see this report'],
    ['report a message to oneself', 'ada', 'Kettle club', 'bob', 'Nobody but you would see'],
    ['report a long message', 'bob', LONG_NAME, LONG_PERSON, 'kettlekettle'],
  ].map(([name, as, room, author, says]) => ({
    ...{ name, at, as, says },
    go: ({ page, site }) => ask(page, site.rooms[room], author),
  }));
  /** A room of ada's in which cleo has reported bob's messages. */
  const reported = async (site, ...texts) => {
    const room = await site.room('ada', ['bob', 'cleo']);
    for (const text of texts) {
      const message = await site.say('bob', room, text);
      const form = { reason: `Spam, and ${LONGEST_WORD}` };
      await submit(await site.person('cleo'), `${room}/messages/${message}/report`, form);
    }
    return room;
  };
  return [
    ...seen,
    {
      ...{ name: 'report a message, no reason', at, as: 'bob', status: 422 },
      ...{ says: 'Enter a reason', problem: 'Enter a reason' },
      go: async ({ page, site }) => {
        await ask(page, site.rooms['Kettle club'], 'עדה');
        await send(page, ' ');
      },
    },
    {
      ...{ name: 'room, choosing what to report', at: '/rooms/{room}', as: 'bob' },
      says: 'Choose the message to report',
      go: async ({ page, site }) => page.goto(`${site.rooms['Kettle club']}?report=1`),
    },
    {
      ...{ name: 'room, a message reported', at: '/rooms/{room}', as: 'bob', says: 'Report sent.' },
      go: async ({ page, site }) => {
        const room = await site.room('ada', ['bob', 'cleo']);
        await site.say('cleo', room, 'Cheap kettles!');
        await ask(page, room, 'cleo');
        await send(page, 'Spam');
      },
    },
    {
      ...{ name: 'room, with an open report', at: '/rooms/{room}', as: 'ada', says: '1 open report' },
      go: async ({ page, site }) => page.goto(await reported(site, 'Cheap kettles!')),
    },
    {
      ...{ name: 'room, moderated, with reports', at: '/rooms/{room}', as: 'ada' },
      says: 'Close report 2',
      go: async ({ page, site }) => {
        const room = await reported(site, 'Cheap kettles!\nCheap kettles!', LONGEST_WORD);
        await page.goto(`${room}?moderate=1`);
      },
    },
    {
      ...{ name: 'room, moderated, a report closed', at: '/rooms/{room}', as: 'ada' },
      says: 'Report closed.',
      go: async ({ page, site }) => {
        await page.goto(`${await reported(site, 'Cheap kettles!')}?moderate=1`);
        await page.getByRole('button', { name: 'Close report 1' }).click();
      },
    },
  ];
}

/** Ignoring people: from their entry or page, and the list in the account. */
function ignoring() {
  const list = '/account/ignored';
  const of = '/rooms/{room}/members/{person}';
  const ignore = (button) => async ({ page, site }) => {
    await signUp(page, site);
    const room = await joinedRoom(page, site);
    await page.goto(`${room}/members`);
    await page.getByRole('link', { name: 'Ignore bob' }).click();
    if (button) await page.getByRole('button', { name: 'Ignore bob' }).click();
  };
  const ignoreThenOpen = (link) => async ({ page, site }) => {
    await ignore(true)({ page, site });
    await page.getByRole('link', { name: link, exact: true }).click();
  };
  const ignoreThenList = async ({ page, site }) => {
    await ignore(true)({ page, site });
    await page.goto(list);
  };
  return [
    {
      ...{ name: 'a member’s page', at: of, as: 'bob', says: 'Owner of this room.' },
      go: async ({ page, site }) => {
        await page.goto(`${site.rooms['Kettle club']}/members`);
        await page.getByRole('link', { name: 'ada, owner' }).click();
      },
    },
    {
      ...{ name: 'a member’s page, a long name', at: of, as: 'bob', says: 'Member of this room.' },
      go: async ({ page, site }) => {
        await page.goto(`${site.rooms[LONG_NAME]}/members`);
        await page.getByRole('link', { name: LONG_PERSON, exact: true }).click();
      },
    },
    { name: 'a member’s page, ignored', at: of, says: 'You are ignoring', go: ignoreThenOpen('bob, owner, ignored') },
    { name: 'ignore a member', at: `${of}/ignore`, says: 'To undo this', go: ignore(false) },
    {
      ...{ name: 'members, somebody ignored', at: '/rooms/{room}/members', says: 'Person ignored.' },
      go: ignore(true),
    },
    { name: 'account, ignored people, none', at: list, as: 'ada', says: 'not ignoring', go: open(list) },
    { name: 'account, ignored people', at: list, says: 'Stop ignoring bob', go: ignoreThenList },
    {
      ...{ name: 'account, one no longer ignored', at: list, says: 'No longer ignored.' },
      go: async ({ page, site }) => {
        await ignoreThenList({ page, site });
        await page.getByRole('button', { name: 'Stop ignoring bob' }).click();
      },
    },
  ];
}

function messageRefused() {
  const at = '/rooms/{room}/messages';
  const name = (why) => `message not sent, ${why}`;
  const leaveThenSend = (makeRoom) => async ({ page, site }) => {
    const room = await makeRoom(site);
    await openWithoutScript(page, room);
    await submit(page.context().request, `${room}/leave`, { leave: '1' });
    await sendMessage(page, 'Did I miss the tea?\nהתה מוכן');
  };
  return [
    {
      ...{ name: name('not a member'), at, as: 'ada', status: 403, says: 'Join the room, then send' },
      go: leaveThenSend((site) => site.room('bob', ['ada'])),
    },
    {
      ...{ name: name('read only'), at, as: 'bob', status: 403, says: 'Only the owner and mod' },
      go: async ({ page, site }) => {
        const room = await site.room('ada', ['bob'], 'Reading room');
        await openWithoutScript(page, room);
        const settings = { lifespan: 'longest', 'slow-mode': '0', posting: 'moderators' };
        const form = { name: 'Reading room', ...settings };
        await submit(await site.person('ada'), `${room}/settings`, form);
        await sendMessage(page, 'May I?');
      },
    },
    {
      ...{ name: name('no such room'), at, as: 'ada', status: 404, says: 'There is no such room' },
      go: leaveThenSend((site) => site.privateRoom('bob', ['ada'])),
    },
    {
      ...{ name: name('another person'), at, status: 422, says: 'Someone else was signed in when' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        await openWithoutScript(page, await joinedRoom(page, site));
        await signUp(page, site);
        await sendMessage(page, 'Did I miss the tea?');
      },
    },
    {
      ...{ name: name('signed out'), at, status: 401, says: 'You are signed out. Sign in to' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        await openWithoutScript(page, await joinedRoom(page, site));
        await signOut(page);
        // An invalid nonce does not identify a person, so the server cannot keep a draft.
        await page.locator('[name=nonce]').evaluate((nonce) => (nonce.value = 'x'));
        await sendMessage(page, 'Did I miss the tea?');
      },
    },
  ];
}

function invites() {
  const at = '/rooms/{room}/invites';
  const seen = [
    ['none', 'ada', 0, 'There are no active links.'],
    ['one', 'ada', 1, 'Unlimited uses.'],
    ['many', 'ada', 30, 'Active links'],
    ['not allowed', 'bob', 0, 'Only the owner and moderators can do that', 403],
  ];
  const create = async (page, site, life, uses) => {
    await page.goto(`${await site.privateRoom('ada')}/invites`);
    if (life) await page.getByRole('radio', { name: life }).check();
    if (uses) await page.getByRole('radio', { name: uses }).check();
    await page.getByRole('button', { name: 'Create link' }).click();
  };
  const refused = ([what, life, uses, problem]) => ({
    ...{ name: `invites, ${what}`, at, as: 'ada', status: 422, says: problem, problem },
    go: ({ page, site }) => create(page, site, life, uses),
  });
  return [
    ...seen.map(([what, as, count, says, status]) => ({
      ...{ name: `invites, ${what}`, at, as, says, status },
      go: async ({ page, site }) => {
        const room = await site.privateRoom('ada', ['bob']);
        for (let made = 0; made < count; made += 1) await site.invite('ada', room);
        await page.goto(`${room}/invites`);
      },
    })),
    ...[
      ['nothing chosen', null, null, 'Choose how long the link should work'],
      ['no number chosen', '1 day', null, 'Choose how many people can use the link'],
    ].map(refused),
    {
      ...{ name: 'invites, one just made', at, as: 'ada', says: 'it is shown only once' },
      go: async ({ page, site }) => {
        await create(page, site, '1 hour', '10 people');
        await expect(page.getByRole('img', { name: 'QR code of the link' })).toBeVisible();
      },
    },
    {
      ...{ name: 'invites, one revoked', at, as: 'ada', says: 'Link revoked.' },
      go: async ({ page, site }) => {
        const room = await site.privateRoom('ada');
        await site.invite('ada', room);
        await page.goto(`${room}/invites`);
        await page.getByRole('button', { name: 'Revoke link' }).click();
      },
    },
    {
      ...{ name: 'invites, a long name', at, as: 'ada', says: 'Teakettleteakettle' },
      go: async ({ page, site }) => {
        const name = `Teakettle${'teakettle'.repeat(7)}`.slice(0, 64);
        const room = site.rooms[name] ?? (await site.privateRoom('ada', [], name));
        await page.goto(`${room}/invites`);
      },
    },
    {
      ...{ name: 'invites, a public room', at, as: 'ada', says: 'This is a public room.' },
      go: async ({ page, site }) => page.goto(`${site.rooms['Kettle club']}/invites`),
    },
  ];
}

/** The page of an invite link. */
function invite() {
  const at = '/invite/{token}';
  const name = (what) => `invite, ${what}`;
  const follow = async ({ page, site }) => page.goto(await site.invite('ada', site.rooms['Night shift']));
  return [
    { name: name('signed out'), at, says: 'Create an account to join', go: follow },
    { name: name('to join'), at, as: 'cleo', says: 'Join Night shift', go: follow },
    { name: name('joined before'), at, as: 'bob', says: 'Open Night shift', go: follow },
    {
      ...{ name: name('dead link'), at, as: 'cleo', status: 404, says: 'This link does not work' },
      go: open('/invite/no-such-token'),
    },
    {
      ...{ name: name('dead link, signed out'), at, status: 404, says: 'This link does not work' },
      go: open('/invite/no-such-token'),
    },
  ];
}

function account() {
  const at = '/account';
  const save = async (page) => page.getByRole('button', { name: 'Save settings' }).click();
  return [
    { name: 'account', at, as: 'ada', says: 'New message announcements', go: open(at) },
    {
      ...{ name: 'account, saved', at, as: 'ada', says: 'Settings saved.' },
      go: async ({ page }) => {
        await page.goto(at);
        await save(page);
      },
    },
    {
      ...{ name: 'account, nothing chosen', at, as: 'ada', status: 422 },
      ...{ says: 'Choose what to announce', problem: 'Choose what to announce' },
      go: async ({ page }) => {
        await page.goto(at);
        await page.locator(':checked').evaluate((radio) => (radio.checked = false));
        await save(page);
      },
    },
  ];
}

function accountReset() {
  const at = '/account/reset';
  /** Signs up a new person and changes their password with a reset link. */
  const reset = async (page, site) => {
    const name = await signUp(page, site);
    await page.goto(await site.link('user', 'reset-password', name));
    await page.getByLabel('New password', { exact: true }).fill('an owl in a willow');
    await page.getByRole('button', { name: 'Change password' }).click();
  };
  return [
    {
      ...{ name: 'account, a reset link used', at, says: 'A reset link changed your password' },
      go: async ({ page, site }) => {
        await reset(page, site);
        await page.goto(at);
      },
    },
    {
      ...{ name: 'account, with a reset lately', at: '/account', says: 'A reset link changed' },
      go: async ({ page, site }) => {
        await reset(page, site);
        await page.goto('/account');
      },
    },
    {
      ...{ name: 'sign in, the password of a suspended account changed', at: '/login' },
      ...{ says: 'Password changed.', go: open('/login?done=password') },
    },
  ];
}

/** The pages of operators. */
function siteModeration() {
  const site = 'with operators';
  const people = '/site/people';
  const rooms = '/site/rooms';
  const lists = [
    ['site moderation', '/site', '', '2 open'],
    ['people', people, '', 'Suspended.'],
    ['people, a long name found', people, '?search=wilhelmina', LONG_PERSON],
    ['people, none found', people, `?search=${'teapot'.repeat(30)}`, 'Nobody has'],
    ['people, one deleted', people, '?done=deleted', 'Account deleted.'],
    ['operators’ rooms, first page', rooms, '', 'Next page of rooms'],
    ['operators’ rooms, last page', rooms, '?page=2', 'Previous page of rooms'],
    ['operators’ rooms, a long name found', rooms, '?search=samovar', LONG_NAME],
    ['operators’ rooms, none found', rooms, `?search=${'teapot'.repeat(30)}`, 'No public room has'],
    ['operators’ rooms, one deleted', rooms, '?done=deleted', 'Room deleted.'],
    ['operators’ reports', '/site/reports', '', 'Close report 2'],
    ['operators’ reports, one closed', '/site/reports', '?done=closed', 'Report closed.'],
  ].map(([name, at, query, says]) => ({ ...{ name, at, site, as: 'olga', says }, go: open(at + query) }));
  const accounts = [
    ['active', 'ada', '', 'Delete the account of ada'],
    ['suspended', 'loud', '', 'Lift the suspension of loud'],
    ['suspended just now', 'loud', '?done=suspended', 'Account suspended.'],
    ['one’s own', 'olga', '', 'This is you.'],
    ['another operator', 'oleg', '', 'This person is an operator.'],
    ['with a long name', LONG_PERSON, '', 'Suspend Wilhelmina'],
  ].map(([what, name, query, says]) => ({
    ...{ name: `account of a person, ${what}`, at: `${people}/{person}`, site, as: 'olga', says },
    go: async ({ page, site }) => page.goto((await site.account('olga', name)) + query),
  }));
  const suspended = {
    ...{ name: 'sign in, suspended', at: '/login', site, status: 422 },
    ...{ says: 'Spam, and kettle', problem: 'This account is suspended' },
    go: send('/login', { Name: 'loud', Password: PASSWORD }, 'Sign in'),
  };
  const report = {
    ...{ name: 'report a message to operators', at: '/rooms/{room}/messages/{message}/report', site },
    ...{ as: 'bob', says: 'so the operators of this site see the message' },
    go: async ({ page, site }) => {
      const message = await site.say('ada', site.rooms['Kettle club'], 'Tea?');
      await page.goto(`${site.rooms['Kettle club']}/messages/${message}/report`);
    },
  };
  const one = ['Kettle club', LONG_NAME].map((name) => ({
    ...{ name: `operators’ room, ${name}`, at: `${rooms}/{room}`, site, as: 'olga' },
    ...{ says: `Delete the room ${name}` },
    go: async ({ page, site }) => page.goto(`/site${site.rooms[name]}`),
  }));
  return [...lists, ...accounts, ...one, suspended, report];
}

/** What operators do, each with their own password. */
function siteActs() {
  const site = 'with operators';
  const of = (name, act) => async (site) => `${await site.account('olga', name)}/${act}`;
  const room = async (site) => `/site${site.rooms[LONG_NAME]}/delete`;
  const acts = [
    ['suspend', '/site/people/{person}/suspend', of('ada', 'suspend'), 'Suspend ada'],
    ['lift a suspension', '/site/people/{person}/lift', of('loud', 'lift'), 'Lift the suspension of loud'],
    ['delete an account', '/site/people/{person}/delete', of(LONG_PERSON, 'delete'), 'Delete the account of'],
    ['create a reset link', '/site/people/{person}/reset-link', of('ada', 'reset-link'), 'Create a reset link'],
    ['delete a public room', '/site/rooms/{room}/delete', room, 'Delete the room'],
    ['create a sign-up link', '/site/sign-up-link', async () => '/site/sign-up-link', 'Create a sign-up link'],
  ];
  const press = (page, name) => page.getByRole('main').getByRole('button', { name }).click();
  const questions = acts.map(([name, at, path, says]) => ({
    ...{ name: `operator: ${name}`, at, site, as: 'olga', says },
    go: async ({ page, site }) => page.goto(await path(site)),
  }));
  const refused = acts.map(([name, at, path, button]) => ({
    ...{ name: `operator: ${name}, nothing filled in`, at, site, as: 'olga', status: 422 },
    ...{ says: 'Enter your password', problem: 'Enter your password' },
    go: async ({ page, site }) => {
      await page.goto(await path(site));
      await press(page, new RegExp(`^${button}`));
    },
  }));
  const links = acts
    .filter(([name]) => name.endsWith('link'))
    .map(([name, at, path, button]) => ({
      ...{ name: `operator: ${name}, created`, at, site, as: 'olga', says: 'Link created.' },
      go: async ({ page, site }) => {
        await page.goto(await path(site));
        await page.getByLabel('Your password', { exact: true }).fill(PASSWORD);
        await press(page, new RegExp(`^${button}`));
      },
    }));
  const operator = {
    ...{ name: 'operator: suspend an operator', at: '/site/people/{person}/suspend', site, as: 'olga' },
    ...{ status: 403, says: 'This person is an operator' },
    go: async ({ page, site }) => page.goto(await of('oleg', 'suspend')(site)),
  };
  return [...questions, ...refused, ...links, operator];
}

function accountPassword() {
  const at = '/account/password';
  const values = (current, password) => ({ 'Current password': current, 'New password': password });
  const refused = ([what, current, password, problem]) => ({
    ...{ name: `account, new password, ${what}`, at, as: 'ada', status: 422, says: problem, problem },
    go: send(at, values(current, password), 'Change password'),
  });
  return [
    { name: 'account, new password', at, as: 'ada', says: 'signed out everywhere else', go: open(at) },
    ...[
      ['nothing filled in', '', '', 'Enter your current password'],
      ['the wrong current one', 'many small spoons', PASSWORD, 'The current password is wrong.'],
      ['too short', PASSWORD, 'kettle', 'must be at least 8 characters long'],
      ['too long', PASSWORD, 'kettle '.repeat(20), 'must be 128 characters or fewer'],
      ['too common', PASSWORD, 'password1', 'This password is too common'],
    ].map(refused),
    {
      ...{ name: 'account, new password, the name', at, status: 422 },
      ...{ says: 'must not be your name', problem: 'must not be your name' },
      go: async ({ page, site }) => {
        const name = await signUp(page, site);
        await send(at, values(PASSWORD, name), 'Change password')({ page, site });
      },
    },
    {
      ...{ name: 'account, password changed', at: '/account', says: 'Password changed.' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        await send(at, values(PASSWORD, 'many small spoons'), 'Change password')({ page, site });
      },
    },
  ];
}

function accountSessions() {
  const at = '/account/sessions';
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
  const lynx = 'Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.8.9';
  /** Opens the page as a new person who is also signed in with these browsers. */
  const openWith = (...userAgents) => async ({ page, site }) => {
    const name = await signUp(page, site);
    for (const userAgent of userAgents) await site.signIn(name, userAgent);
    await page.goto(at);
  };
  const openThenPress = (button) => async ({ page, site }) => {
    await openWith(firefox, lynx)({ page, site });
    await page.getByRole('button', { name: button }).click();
  };
  return [
    ['sessions, one', 'on this browser only', openWith()],
    ['sessions, some', 'Sign out Lynx', openWith(firefox, lynx)],
    ['sessions, many alike', 'number 12', openWith(...Array(12).fill(firefox))],
    ['sessions, a long user agent', 'Unknown browser', openWith('kettle'.repeat(200))],
    ['sessions, one ended', 'Browser signed out.', openThenPress('Sign out Lynx')],
    ['sessions, others ended', 'Signed out everywhere else.', openThenPress('Sign out everywhere else')],
  ].map(([what, says, go]) => ({ name: `account, ${what}`, at, says, go }));
}

function accountDelete() {
  const at = '/account/delete';
  const refused = ([what, password, problem]) => ({
    ...{ name: `account, delete, ${what}`, at, as: 'ada', status: 422, says: problem, problem },
    go: send(at, { Password: password }, 'Delete account'),
  });
  return [
    { name: 'account, delete', at, as: 'ada', says: 'This cannot be undone.', go: open(at) },
    ...[
      ['nothing filled in', '', 'Enter your password'],
      ['the wrong password', 'many small spoons', 'The password is wrong.'],
    ].map(refused),
    {
      ...{ name: 'account, deleted', at: '/', says: 'Account deleted.' },
      go: async ({ page, site }) => {
        await signUp(page, site);
        await send(at, { Password: PASSWORD }, 'Delete account')({ page, site });
      },
    },
  ];
}

/** Error pages of all kinds, except those that need an unavailable database. */
function errors() {
  return [
    ['no such page, signed out', '/nowhere', undefined, 404, 'Page not found'],
    ['no such page', '/nowhere', 'ada', 404, 'Page not found'],
    ['no such room', '/rooms/999999', 'ada', 404, 'There is no such room'],
    ['no such message', '/rooms/1/messages/999/delete', 'ada', 404, 'You cannot delete this message'],
    ['no message to report', '/rooms/1/messages/999/report', 'ada', 404, 'You cannot report this message'],
    ['the wrong method', '/logout', 'ada', 405, 'This address cannot be used that way'],
    ['not a member', '/rooms/1/members', 'cleo', 403, 'You are not in this room'],
    ['not the owner', '/rooms/1/settings', 'bob', 403, 'Only the owner can do that'],
    ['no such person', '/rooms/1/members/999', 'ada', 404, 'This person is not in the room'],
  ]
    .map(([what, address, as, status, says]) => ({
      ...{ name: `error, ${what}`, at: address.split('?')[0], as, status, says, go: open(address) },
    }))
    .concat(
      {
        ...{ name: 'error, banned', at: '/rooms/{room}/join', as: 'loud', status: 403 },
        says: 'You are banned from this room',
        go: async ({ page, site }) => {
          await page.goto(site.rooms.Greenhouse);
          await page.getByRole('button', { name: 'Join' }).click();
        },
      },
      {
        ...{ name: 'error, too much at once', at: '/rooms/new', as: 'ada', status: 413 },
        says: 'You sent too much at once',
        go: async ({ page }) => {
          await page.goto('/rooms/new');
          await fillIn(page, { 'Room name': 'kettle '.repeat(10_000) });
          await page.getByRole('button', { name: 'Create room' }).click();
        },
      },
      {
        ...{ name: 'error, made for another person', at: '/rooms/new', status: 422 },
        says: /You are now signed in as newcomer.*Room name, ready to copy/s,
        go: async ({ page, site }) => {
          await signUp(page, site);
          await page.goto('/rooms/new');
          await fillIn(page, { 'Room name': LONG_NAME });
          await signUp(page, site);
          await page.getByRole('button', { name: 'Create room' }).click();
        },
      },
      {
        ...{ name: 'error, not a request', at: '/account', as: 'ada', status: 400 },
        says: 'The server could not read this request',
        go: async ({ page }) => {
          await page.goto('/account');
          await page.locator('main form').first().evaluate((form) => {
            form.enctype = 'text/plain';
          });
          await page.getByRole('main').getByRole('button', { name: 'Save' }).first().click();
        },
      },
      {
        ...{ name: 'error, from another site', at: '/rooms/new', as: 'ada', status: 403 },
        says: 'This request came from another site',
        go: async ({ page, site }) => {
          await page.setContent(
            `<form action="${site.url}/rooms/new" method="post"><button>Win!</button></form>`,
          );
          await page.getByRole('button').click();
        },
      },
    );
}

function open(address) {
  return ({ page }) => page.goto(address);
}

/** Opens a form, fills it in and submits it. */
function send(address, values, button) {
  return async ({ page }) => {
    await page.goto(address);
    await fillIn(page, values);
    await page.getByRole('main').getByRole('button', { name: button }).click();
  };
}

async function fillIn(page, values) {
  for (const [label, value] of Object.entries(values)) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
}

async function sendMessage(page, text) {
  await messageBox(page).fill(text);
  await page.getByRole('button', { name: 'Send message' }).click();
}

/** Opens a room without room.js. Scripts of the test still run. */
async function openWithoutScript(page, room) {
  await page.route('**/room.js*', (route) => route.abort());
  await page.goto(room);
}

let newcomers = 0;

/** Signs up a new person, whom the test may sign out; returns the name. */
async function signUp(page, site) {
  const name = `newcomer-${(newcomers += 1)}`;
  await submit(page.context().request, `${site.url}/register`, { name, password: PASSWORD });
  return name;
}

async function joinedRoom(page, site) {
  const room = await site.room('bob');
  await submit(page.context().request, `${room}/join`, { join: '1' });
  return room;
}

async function signOut(page) {
  await submit(page.context().request, '/logout', { 'sign-out': '1' });
}

/** Changes the times in the response, because the server's clock cannot be moved. */
async function sendFirstMessagesADayBefore(route) {
  const answer = await route.fetch();
  let times = 0;
  const body = (await answer.text()).replace(/<time datetime="([^"]+)"/g, (time, sentAt) => {
    if ((times += 1) > 20) return time;
    const dayBefore = new Date(new Date(sentAt) - 24 * 60 * 60 * 1_000);
    return `<time datetime="${dayBefore.toISOString()}"`;
  });
  await route.fulfill({ response: answer, body });
}

/** The patterns of the GET rows of the URL table. */
export function routesOfPages() {
  const read = (file) => readFileSync(new URL(`../../src/web/${file}`, import.meta.url), 'utf8');
  const source = read('routes.rs');
  const constants = new Map();
  for (const [, name, pattern] of source.matchAll(/const (\w+): &str = "(\/[^"]*)";/g)) {
    constants.set(name, pattern);
  }
  const rows = [...source.matchAll(/^ {8}get\((?:"([^"]+)"|(\w+)), /gm)];
  const patterns = rows.map(([, pattern, name]) => pattern ?? constants.get(name));
  // The questions "are you sure?" are one page with a table of its own.
  const questions = [...read('pages/confirm.rs').matchAll(/pattern: "([^"]+)"/g)];
  patterns.push(...questions.map(([, pattern]) => pattern));
  return patterns.filter((pattern) => !NOT_PAGES.includes(pattern));
}

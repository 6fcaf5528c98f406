// The exact accessibility trees of the room page and of each form.
//
// The room's snapshot covers the whole page, those of forms the main part, as the rest is the same. Each
// snapshot begins with `/children: deep-equal`, so the page must not contain anything else. When a page is
// meant to change, edit its snapshot by hand, because Playwright would drop that line.

import { STATES } from './pages.js';
import { expect, test } from './site.js';

for (const [name, snapshot] of [
  ['create an account', 'create-an-account'],
  ['create an account by a link', 'create-an-account-about'],
  ['about this site', 'about'],
  ['create an account, nothing filled in', 'create-an-account-refused'],
  ['sign in', 'sign-in'],
  ['sign in, nothing filled in', 'sign-in-refused'],
  ['choose a new password', 'choose-a-new-password'],
  ['choose a new password, nothing filled in', 'choose-a-new-password-refused'],
  ['join a private room', 'join-a-private-room'],
  ['join a private room, nothing filled in', 'join-a-private-room-refused'],
  ['create a room', 'create-a-room'],
  ['create a room, nothing filled in', 'create-a-room-refused'],
  ['public rooms, a long name found', 'find-rooms'],
  ['account', 'account'],
  ['account, nothing chosen', 'account-refused'],
  ['account, new password', 'change-your-password'],
  ['account, new password, nothing filled in', 'change-your-password-refused'],
  ['account, sessions, some', 'your-sessions'],
  ['account, ignored people', 'ignored-people'],
  ['account, delete', 'delete-your-account'],
  ['account, delete, nothing filled in', 'delete-your-account-refused'],
  ['leave a room, as a member', 'leave-a-room'],
  ['delete a message', 'delete-a-message'],
  ['report a message', 'report-a-message'],
  ['report a message, no reason', 'report-a-message-refused'],
  ['ignore a member', 'ignore-a-member'],
  ['remove a member', 'remove-a-member'],
  ['ban somebody', 'ban-somebody'],
  ['ban somebody, no reason', 'ban-somebody-refused'],
  ['room settings, all set', 'room-settings'],
  ['room settings, no name', 'room-settings-refused'],
  ['make a room private', 'make-a-room-private'],
  ['change a room password', 'change-a-room-password'],
  ['change a room password, nothing filled in', 'change-a-room-password-refused'],
  ['manage a member', 'manage-a-member'],
  ['members, some of them gone or banned', 'members'],
  ['invites, none', 'invites'],
  ['invites, nothing chosen', 'invites-refused'],
  ['invites, one just made', 'invites-made'],
  ['invite, to join', 'invite'],
  ['sign in, suspended', 'sign-in-suspended'],
  ['people, a long name found', 'find-people'],
  ['operator: suspend, nothing filled in', 'suspend-a-person-refused'],
  ['room, new messages', 'room'],
  ['room, an empty message', 'room-message-refused'],
]) {
  test(`${name}: matches its accessibility tree exactly`, async ({ visit }) => {
    const { page } = await visit(STATES.find((state) => state.name === name));

    const isWhole = name.startsWith('room, ');
    if (isWhole) await page.getByText('Menu', { exact: true }).click();

    const part = page.locator(isWhole ? 'body' : 'main');
    await expect(part).toMatchAriaSnapshot({ name: `${snapshot}.aria.yml` });
  });
}

// Operators moderate the site: they suspend a person, help another with a reset link, and deal with a report.

import { expect, register, say, test } from './support.js';

const PASSWORD = 'many small kettles';

const press = (page, name) => page.getByRole('main').getByRole('button', { name }).click();
const follow = (page, name) => page.getByRole('main').getByRole('link', { name }).first().click();

async function signIn(page, name, password = PASSWORD) {
  await page.goto('/login');
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await press(page, 'Sign in');
}

/** Does what the page asks about, with the operator's password. */
async function confirm(operator, name) {
  await operator.getByLabel('Your password', { exact: true }).fill(PASSWORD);
  await press(operator, name);
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with' : 'without';

  test.describe(`${how} script`, () => {
    let operator;

    /** A page in the browser of olga, an operator. */
    test.beforeEach(async ({ browser, baseURL, server }) => {
      const context = await browser.newContext({ baseURL, javaScriptEnabled });
      operator = await context.newPage();
      await register(operator, 'olga');
      await server.command(['user', 'make-operator', 'olga']);
      await context.clearCookies();
      await signIn(operator, 'olga');
    });

    test.afterEach(() => operator.context().close());

    test('an operator finds an account and suspends it, and lifts it again', async ({ bob, room }) => {
      await bob.goto(room);
      await operator.goto('/');
      await operator.getByRole('link', { name: 'Site moderation' }).click();
      await follow(operator, 'People');
      await operator.getByLabel('Find a person by name').fill('BO');
      await press(operator, 'Find people');
      await follow(operator, 'bob');
      await follow(operator, 'Suspend bob');
      await operator.getByLabel('Reason').fill('Sells kettles');
      await confirm(operator, 'Suspend bob');
      await expect(operator.getByText('Account suspended.')).toBeVisible();

      // The open room says so within a second, and the box keeps what is in it.
      await expect(bob.getByText('You are signed out.').first()).toBeVisible();
      await signIn(bob, 'bob');
      await expect(bob.getByRole('link', { name: 'This account is suspended' })).toBeVisible();
      await expect(bob.getByRole('blockquote')).toHaveText('Sells kettles');
      await signIn(bob, 'bob', 'many small spoons');
      await expect(bob.getByRole('link', { name: 'The name or password is wrong' })).toBeVisible();
      await expect(bob.getByRole('blockquote')).toHaveCount(0);

      await follow(operator, 'Lift the suspension of bob');
      await confirm(operator, 'Lift the suspension of bob');
      await expect(operator.getByText('Suspension lifted.')).toBeVisible();
      await signIn(bob, 'bob');
      await expect(bob.getByRole('heading', { name: 'Your rooms' })).toBeVisible();
      await expect(bob.getByRole('main').getByRole('link', { name: 'Kettle club' }).first()).toBeVisible();
    });

    test('a reset link gives a person their account back, and they are told of it', async ({ ada, room }) => {
      await ada.goto(room);
      await operator.goto('/site/people');
      await follow(operator, 'ada');
      await follow(operator, 'Create a reset link for ada');
      await confirm(operator, 'Create a reset link for ada');
      const link = await operator.getByRole('main').getByRole('link', { name: /^http/ }).textContent();

      await ada.goto(link);
      await ada.getByLabel('New password', { exact: true }).fill('an owl in a willow');
      await press(ada, 'Change password');
      await expect(ada.getByText('Password changed.')).toBeVisible();
      await ada.context().clearCookies();
      await signIn(ada, 'ada', 'an owl in a willow');
      await expect(ada.getByRole('heading', { name: 'A reset link changed your password' })).toBeVisible();
      await follow(ada, 'Continue');
      await expect(ada.getByRole('heading', { name: 'Your rooms' })).toBeVisible();
      await ada.goto('/account');
      await expect(ada.getByText('An operator of this site made the link.')).toBeVisible();
    });

    test('a report about the only moderator of a public room comes to the operators', async ({
      ada,
      bob,
      room,
    }) => {
      await ada.goto('/');
      await say(ada, room, 'Go away');
      await bob.goto(`${room}?report=1`);
      await follow(bob, 'Report ada’s message “Go away”');
      await expect(bob.getByText('so the operators of this site see the message')).toBeVisible();
      await bob.getByLabel('Reason').fill('Rude to everyone');
      await press(bob, 'Report message');
      await expect(bob.getByText('Report sent.')).toBeVisible();

      await operator.goto('/site');
      await expect(operator.getByText('1 open')).toBeVisible();
      await follow(operator, 'Reports');
      await expect(operator.getByRole('blockquote')).toHaveText('Go away');
      await expect(operator.getByText('Reason: Rude to everyone')).toBeVisible();
      await press(operator, 'Close report 1');
      await expect(operator.getByText('There are no open reports.')).toBeVisible();
    });
  });
}

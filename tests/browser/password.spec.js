// The button that shows a password, on every form that asks for one.

import { expect, signUp, test } from './support.js';

async function showsAndHides(page) {
  const field = page.locator('input[name=password]');
  await field.fill('a kettle of fish');
  await expect(field).toHaveAttribute('type', 'password');

  await expect(page.getByRole('status')).toHaveText('');
  await page.getByRole('button', { name: 'Show password' }).click();
  await expect(field).toHaveAttribute('type', 'text');
  await expect(field).toHaveValue('a kettle of fish');
  await expect(page.getByRole('status')).toHaveText('Your password is visible');

  await page.getByRole('button', { name: 'Hide password' }).click();
  await expect(field).toHaveAttribute('type', 'password');
  await expect(page.getByRole('status')).toHaveText('Your password is hidden');
}

test('a password can be shown and hidden on every form that asks for one', async ({ ada, server }) => {
  for (const path of ['/register', '/login']) {
    await ada.goto(server.url + path);
    await showsAndHides(ada);
  }
  await signUp(ada, 'ada');
  for (const path of ['/rooms/private', '/rooms/new', '/account/delete']) {
    await ada.goto(server.url + path);
    await showsAndHides(ada);
  }
});

test('each of two passwords on a form has a button that says which one it shows', async ({ ada, server }) => {
  await ada.goto(server.url);
  await signUp(ada, 'ada');
  await ada.goto(`${server.url}/account/password`);

  await ada.getByRole('button', { name: 'Show new password' }).click();

  await expect(ada.getByLabel('New password')).toHaveAttribute('type', 'text');
  await expect(ada.getByRole('status')).toHaveText('Your new password is visible');
  await expect(ada.getByLabel('Current password')).toHaveAttribute('type', 'password');
  await expect(ada.getByRole('main').getByRole('button')).toHaveText([
    'Show current password',
    'Hide new password',
    'Change password',
  ]);
});

test('a shown password is submitted as a password field', async ({ ada, server }) => {
  await ada.goto(`${server.url}/login`);
  await ada.getByLabel('Name').fill('ada');
  await ada.locator('input[name=password]').fill('a kettle of fish');
  await ada.getByRole('button', { name: 'Show password' }).click();
  const types = ada.evaluate(
    () =>
      new Promise((resolve) => {
        document.querySelector('main form').addEventListener('submit', (event) => {
          event.preventDefault();
          resolve(document.querySelector('[name=password]').type);
        });
      }),
  );

  await ada.getByRole('button', { name: 'Sign in' }).click();

  expect(await types).toBe('password');
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('there is no dead button', async ({ ada, server }) => {
    await ada.goto(`${server.url}/login`);

    await expect(ada.getByRole('button')).toHaveText(['Sign in']);
  });
});

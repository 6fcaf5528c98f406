// The first steps of new people: from the start page of an empty server to a room with somebody in it.

import { createPrivateRoom, expect, expectRoom, signUp, test } from './support.js';

for (const [width, height] of [[390, 844], [1280, 800]]) {
  test(`the start page says what the site is and lets one in, in one window of ${width} by ${height}`, async ({
    ada,
  }) => {
    await ada.setViewportSize({ width, height });
    await ada.goto('/');

    const main = ada.getByRole('main');
    await expect(main.getByRole('heading', { level: 1 })).toBeInViewport({ ratio: 1 });
    await expect(main.getByText('is for conversations, not archives')).toBeInViewport({ ratio: 1 });
    await expect(main.getByRole('listitem').last()).toBeInViewport({ ratio: 1 });
    await expect(main.getByRole('link', { name: 'Create an account' })).toBeInViewport({ ratio: 1 });
    await expect(main.getByRole('link', { name: 'Sign in' })).toBeInViewport({ ratio: 1 });
  });
}

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with scripts' : 'without scripts', () => {
    test.use({ javaScriptEnabled });

    test('from an empty server to a private room with a guest', async ({ ada, bob }) => {
      await signUp(ada, 'ada');
      await expect(ada.getByRole('heading', { level: 1 })).toHaveText('Public rooms');
      await ada.getByRole('link', { name: 'Create the first room' }).click();
      await ada.getByRole('textbox', { name: 'Room name' }).fill('Kettle club');
      await ada.getByRole('radio', { name: 'Public' }).check();
      await ada.getByRole('button', { name: 'Create room' }).click();
      await expectRoom(ada, 'Kettle club');
      const shared = await ada.getByRole('main').getByRole('link', { name: /^http/ }).textContent();
      expect(ada.url().startsWith(`${shared}?`)).toBe(true);

      await createPrivateRoom(ada, 'Attic', 'three spoons');
      await ada.getByRole('button', { name: 'Make an invite link' }).click();
      await expect(ada.getByRole('img', { name: 'QR code of the link' })).toBeVisible();
      const link = await ada.getByRole('main').getByRole('link', { name: /^http/ }).textContent();

      await signUp(bob, 'bob');
      await bob.goto(shared);
      await bob.getByRole('button', { name: 'Join Kettle club' }).click();
      await expectRoom(bob, 'Kettle club');
      await bob.goto(link);
      await bob.getByRole('button', { name: 'Join Attic' }).click();
      await expectRoom(bob, 'Attic');
    });
  });
}

// The script is small, has no dependencies, and is optional.

import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

import {
  checkForNewMessages,
  expect,
  messageBox,
  messagesOf,
  say,
  send,
  test,
  visit,
  watchPages,
} from './support.js';

const SCRIPT = new URL('../../assets/room.js', import.meta.url);

// More than the 6 KiB of before, for what a room has learned: drafts, its layout, and soon other rooms and notifications.
test('the script takes at most 8 KB compressed and loads nothing else', async () => {
  const script = await readFile(SCRIPT, 'utf8');

  expect(gzipSync(script, { level: 9 }).length).toBeLessThanOrEqual(8_192);
  expect(script).not.toMatch(/\bimport\b|\brequire\b|https?:/);
});

test('a room works with forms and links when the script throws on its first line', async ({
  room,
  ada,
  bob,
}) => {
  await ada.route('**/assets/room.js*', async (route) => {
    const response = await route.fetch();
    const body = `throw new Error("on its first line");\n${await response.text()}`;
    await route.fulfill({ response, body });
  });
  const { consoleErrors } = watchPages(ada);
  await ada.goto(room);
  expect(consoleErrors).toEqual(['on its first line']);
  await expect(ada.getByRole('button', { name: /updates/ })).toHaveCount(0);
  await expect(ada.getByRole('checkbox')).toHaveCount(0);

  await say(bob, room, 'Tea?');
  await checkForNewMessages(ada);
  await expect(messagesOf(ada)).toHaveText([/^bob: Tea\?/]);
  await send(ada, 'Please');
  await expect(messagesOf(ada)).toHaveText([/^bob: Tea\?/, /^ada \(you\): Please/]);
  await expect(messageBox(ada)).toBeFocused();
});

test('a room works in a browser without storage', async ({ room, ada, bob }) => {
  await ada.addInitScript(() => {
    for (const storage of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, storage, {
        get() {
          throw new DOMException('Storage is switched off', 'SecurityError');
        },
      });
    }
  });
  const { consoleErrors } = watchPages(ada);
  await visit(ada, room);

  await ada.getByRole('checkbox', { name: 'Enter sends' }).check();
  await messageBox(ada).fill('Tea?');
  await messageBox(ada).press('Enter');
  await expect(messagesOf(ada)).toHaveCount(1);
  await ada.getByRole('button', { name: 'Pause updates' }).click();
  await say(bob, room, 'Please');
  await ada.getByRole('button', { name: 'Resume updates, 1 waiting' }).click();

  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): Tea\?/, /^bob: Please/]);
  expect(consoleErrors).toEqual([]);
});

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

test('the script takes at most 8 KB compressed, as it is served, and loads nothing else', async ({ server }) => {
  const answer = await fetch(`${server.url}/assets/room.js`);
  const served = await answer.text();
  const source = await readFile(SCRIPT, 'utf8');

  expect(gzipSync(served, { level: 9 }).length).toBeLessThanOrEqual(7_500);
  expect(source).not.toMatch(/\bimport\b|\brequire\b|https?:/);
  // Only comments and indentation are left out.
  const code = source.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('//'));
  expect(served.trimEnd().split('\n')).toEqual(code);
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

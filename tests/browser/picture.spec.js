// Takes the pictures of a room for the README: room.png, room-narrow.png and room-telephone.png in results. To renew
// them, copy them here.

import { join } from 'node:path';

import {
  createPublicRoom,
  expect,
  joinPublicRoom,
  messagesOf,
  openRoom,
  send,
  signUp,
  test,
} from './support.js';

const WINDOWS = {
  room: { width: 1280, height: 800 },
  'room-narrow': { width: 820, height: 800 },
  'room-telephone': { width: 390, height: 800 },
};

test.use({ colorScheme: 'light', viewport: WINDOWS.room });

test('takes the pictures of a room for the README', async ({ ada, bob }, testInfo) => {
  await signUp(ada, 'ada');
  await signUp(bob, 'bob');
  await createPublicRoom(ada, 'Kettle club');
  await joinPublicRoom(bob, 'Kettle club');

  await send(ada, 'Is anybody in the kitchen?');
  await send(bob, 'Me. The kettle is on, and there are two mugs left.');
  await send(ada, 'Then one of them is mine. Is there any of the smoky tea?');
  await send(bob, 'Half a tin. I hid it behind the oats, where nobody looks.');
  await send(ada, 'Good that this will be gone by tomorrow.');

  await openRoom(bob, 'Kettle club');
  await expect(messagesOf(bob)).toHaveCount(5);
  for (const [name, window] of Object.entries(WINDOWS)) {
    await bob.setViewportSize(window);
    await bob.reload();
    await bob.screenshot({ path: join(testInfo.project.outputDir, `${name}.png`) });
  }
});

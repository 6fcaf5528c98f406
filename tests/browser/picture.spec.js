// Takes the picture of a room for the README, as results/room.png. To renew it, copy it to room.png.

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

test.use({ colorScheme: 'light', viewport: { width: 1000, height: 900 } });

test('takes the picture of a room for the README', async ({ ada, bob }, testInfo) => {
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
  await bob.screenshot({ path: join(testInfo.project.outputDir, 'room.png') });
});

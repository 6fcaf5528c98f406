// A room page outlives the server it came from.

import {
  createPublicRoom,
  expect,
  joinPublicly,
  loadTimeOf,
  messagesOf,
  send,
  signUp,
  test,
} from './support.js';

test('a page left open goes on receiving messages after the server was killed and started again', async ({
  server,
  ada,
  bob,
}) => {
  await signUp(ada, 'ada');
  await signUp(bob, 'bob');
  await createPublicRoom(ada, 'Kettle club');
  await joinPublicly(bob, 'Kettle club');
  await send(ada, 'Before the power cut');
  await expect(messagesOf(bob)).toHaveText([/^ada: Before the power cut/]);
  const load = await loadTimeOf(bob);

  const cutOff = bob.waitForEvent('requestfailed');
  await server.kill();
  await cutOff;
  const refused = await bob.waitForEvent('requestfailed');
  expect(refused.failure().errorText).toBe('net::ERR_CONNECTION_REFUSED');
  await server.start();

  await send(ada, 'After the power cut');
  await expect(messagesOf(bob)).toHaveText([/^ada: After the power cut/]);
  expect(await loadTimeOf(bob)).toBe(load);
});

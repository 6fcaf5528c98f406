// A room page survives a restart of its server.

import {
  createPublicRoom,
  expect,
  joinPublicRoom,
  loadTimeOf,
  messagesOf,
  send,
  signUp,
  statusesOf,
  test,
} from './support.js';

test.describe.configure({ timeout: 120_000 });

test('an open page receives messages again after the server was killed and restarted', async ({
  server,
  ada,
  bob,
}) => {
  await signUp(ada, 'ada');
  await signUp(bob, 'bob');
  await createPublicRoom(ada, 'Kettle club');
  await joinPublicRoom(bob, 'Kettle club');
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
  // The page rests for up to half a minute between polls.
  await expect(messagesOf(bob)).toHaveText([/^ada: After the power cut/], { timeout: 40_000 });
  expect(await loadTimeOf(bob)).toBe(load);
  expect(await statusesOf(bob)).toContain('The server has restarted. Earlier messages are gone.');

  // A page that is opened later says so, too, in the reader's time.
  await bob.reload();
  const lost = bob.locator('#lost');
  await expect(lost).toHaveText(/^The server has restarted\. Messages sent before .+ are gone\.$/);
  await expect(lost).not.toContainText('UTC');
});

// The room page, with its script and without.

import {
  checkForNewMessages,
  expect,
  messageBox,
  messagesOf,
  numbered,
  say,
  send,
  test,
  trySending,
  visit,
  watchPages,
} from './support.js';

const updates = (page) => page.getByRole('button', { name: /updates/ });

test('a conversation consists of headings and lists, each message of author, text and time', async ({
  room,
  ada,
  bob,
}) => {
  await say(ada, room, 'Kettle on?');
  await say(bob, room, 'See https://example.org/tea\nand bring milk');
  await visit(ada, room);

  await expect(ada.getByRole('region', { name: 'Messages' })).toMatchAriaSnapshot(`
    - region "Messages":
      - /children: deep-equal
      - heading "Messages" [level=2]
      - heading /\\d{4}/ [level=3]
      - list:
        - listitem:
          - text: "ada (you): Kettle on?"
          - time: /\\d+:\\d+/
          - link "Delete your message “Kettle on?”":
            - /url: /delete$/
            - text: Delete
      - heading "New messages" [level=3]
      - list:
        - listitem:
          - text: "bob: See"
          - link "https://example.org/tea":
            - /url: https://example.org/tea
          - text: and bring milk
          - time: /\\d+:\\d+/
      - paragraph
      - paragraph:
        - button "Pause updates"
        - button "Check for new messages"
  `);
  await expect(ada.getByRole('region', { name: 'Write a message' })).toMatchAriaSnapshot(`
    - region "Write a message":
      - /children: deep-equal
      - heading "Write a message" [level=2]
      - text: Message to Kettle club
      - paragraph: Up to 2,000 characters.
      - textbox "Message to Kettle club"
      - button "Send message"
      - checkbox "Enter sends" [checked]
      - text: Enter sends
  `);
});

test('links to delete messages with the same words are told apart by the local time and a number', async ({
  room,
  ada,
}) => {
  // Both in one minute of the server's clock.
  await expect.poll(() => new Date().getSeconds(), { timeout: 20_000 }).toBeLessThan(50);
  await say(ada, room, 'Tea', 'Tea');
  await visit(ada, room);
  const time = await messagesOf(ada).last().getByRole('time').textContent();

  expect(time).not.toContain('UTC');
  await expect(messagesOf(ada).first().getByRole('link')).toHaveAccessibleName('Delete your message “Tea”');
  await expect(messagesOf(ada).last().getByRole('link')).toHaveAccessibleName(
    `Delete your message “Tea”, ${time}, number 2`,
  );
});

test('pages of older messages and the self-reloading view do not poll', async ({ room, ada, bob }) => {
  await say(bob, room, ...numbered('Tea', 101));
  const { consoleErrors } = watchPages(ada);
  const polls = [];
  await visit(ada, room);
  await ada.getByRole('link', { name: 'Older messages' }).click();
  ada.on('request', (request) => /poll/.test(request.url()) && polls.push(request.url()));

  await expect(messagesOf(ada)).toHaveText([/^bob: Tea 1 /]);
  await expect(updates(ada)).toHaveCount(0);
  await ada.goto(`${room}?reload=1`);
  await expect(messagesOf(ada)).toHaveCount(100);
  await expect(messagesOf(ada).locator('time').first()).not.toContainText('UTC');
  await expect(updates(ada)).toHaveCount(0);
  await expect(messageBox(ada)).toHaveCount(0);
  expect(polls).toEqual([]);
  expect(consoleErrors).toEqual([]);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('sending returns to the message box with a confirmation', async ({ room, ada, bob }) => {
    await ada.goto(room);
    await say(bob, room, ...numbered('Tea', 2));

    await send(ada, 'Cake');

    await expect(ada).toHaveTitle(/^Sent – Kettle club/);
    await expect(messageBox(ada)).toBeFocused();
    await expect(messageBox(ada)).toHaveAccessibleDescription(/^Sent\. 2 new messages above\./);
  });

  test('the button to check for new messages leads to them, or says that there are none', async ({
    room,
    ada,
    bob,
  }) => {
    await say(bob, room, 'Old');
    await ada.goto(room);
    await say(bob, room, ...numbered('Tea', 3));

    await checkForNewMessages(ada);
    await expect(ada).toHaveTitle(/^3 new – Kettle club/);
    await expect(ada.getByRole('heading', { name: 'New messages', exact: true })).toBeInViewport();
    await expect(ada.locator('#now ~ ol > li')).toHaveCount(3);

    await checkForNewMessages(ada);
    await expect(ada).toHaveTitle(/^No new messages – Kettle club/);
    await expect(ada.getByText('No new messages.')).toBeVisible();
    await expect(ada.getByRole('heading', { name: 'New messages', exact: true })).toHaveCount(0);
  });

  test('a refused message comes back in the box, and the error summary has the focus', async ({
    room,
    ada,
  }) => {
    const tooLong = 'kettle '.repeat(300).trim();
    await ada.goto(room);

    await trySending(ada, tooLong);

    await expect(ada.getByRole('group', { name: 'There is a problem' })).toBeFocused();
    await expect(messageBox(ada)).toHaveValue(tooLong);
  });
});

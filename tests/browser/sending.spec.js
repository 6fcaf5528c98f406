// Writing and sending with the script: no message is sent twice, and no text is lost.

import {
  announcedTo,
  expect,
  expectRoom,
  loadTimeOf,
  messageBox,
  messagesOf,
  numbered,
  say,
  signInAgain,
  signOutElsewhere,
  statusesOf,
  statusOf,
  submit,
  test,
  trySending,
  visit,
} from './support.js';

const SENDS = /\/rooms\/\d+\/messages$/;
const LOST = 'Not sent: connection lost. Your message is still in the box. Send it again.';
const enterSends = (page) => page.getByRole('checkbox', { name: 'Enter sends' });

test('sending empties and focuses the box, says "Sent" each time, and loads no page', async ({
  room,
  ada,
}) => {
  await visit(ada, room);
  const load = await loadTimeOf(ada);

  await trySending(ada, 'By the button');
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): By the button/]);
  await expect(messageBox(ada)).toBeFocused();
  await expect(messageBox(ada)).toHaveValue('');
  await messageBox(ada).fill('By the keys');
  await messageBox(ada).press('Control+Enter');
  await expect(messagesOf(ada)).toHaveCount(2);
  await expect(messageBox(ada)).toBeFocused();

  await expect.poll(() => statusesOf(ada)).toEqual(['Sent', 'Sent\u00a0']);
  expect(await announcedTo(ada)).toEqual([]);
  expect(await loadTimeOf(ada)).toBe(load);
});

test('the box gets the focus from the button only once it is empty', async ({ room, ada }) => {
  await visit(ada, room);
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await ada.route(SENDS, async (route) => {
    await answered;
    await route.continue();
  });
  await messageBox(ada).evaluate((box) => {
    window.read = [];
    box.addEventListener('focus', () => window.read.push([box.value, document.getElementById('status').textContent]));
  });
  const button = ada.getByRole('button', { name: 'Send message' });
  await messageBox(ada).evaluate((box) => (box.value = 'Read once'));

  const sent = ada.waitForRequest(SENDS);
  await button.click();
  await sent;
  await expect(button).toBeFocused();
  answer();

  await expect(messageBox(ada)).toBeFocused();
  expect(await ada.evaluate(() => window.read)).toEqual([['', '']]);
  await expect(statusOf(ada)).toHaveText('Sent');
});

test('a refusal is said once: it describes the box only when the box gets the focus again', async ({
  room,
  ada,
}) => {
  await visit(ada, room);
  await messageBox(ada).focus();
  await ada.keyboard.press('Control+Enter');

  await expect(statusOf(ada)).toHaveText(/^Not sent\. Enter a message/);
  await expect(ada.getByText('Error: Enter a message')).toBeVisible();
  await expect(messageBox(ada)).toBeFocused();
  await expect(messageBox(ada)).not.toHaveAccessibleDescription(/Enter a message/);
  await ada.getByRole('button', { name: 'Send message' }).focus();
  await expect(messageBox(ada)).toHaveAccessibleDescription(/Error: Enter a message/);
});

test('a refused message leaves the focus where it was', async ({ room, ada }) => {
  await visit(ada, room);
  await trySending(ada, ' ');

  await expect(statusOf(ada)).toHaveText(/^Not sent/);
  await expect(ada.getByRole('button', { name: 'Send message' })).toBeFocused();
});

test('with a mouse, Enter sends unless the user chooses that it starts a new line', async ({ room, ada }) => {
  await visit(ada, room);
  await expect(enterSends(ada)).toBeChecked();
  await enterSends(ada).uncheck();
  await messageBox(ada).focus();
  await ada.keyboard.type('One');
  await ada.keyboard.press('Enter');
  await ada.keyboard.type('two');
  await expect(messageBox(ada)).toHaveValue('One\ntwo');

  await enterSends(ada).check();
  await messageBox(ada).focus();
  await ada.keyboard.press('Control+End');
  await ada.keyboard.press('Shift+Enter');
  await ada.keyboard.type('three');
  await ada.keyboard.press('Enter');
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): One\s*two\s*three/]);

  await visit(ada, room);
  await expect(enterSends(ada)).toBeChecked();
  await messageBox(ada).focus();
  await ada.keyboard.type('Four');
  await ada.keyboard.press('Enter');
  await expect(messagesOf(ada)).toHaveCount(2);
  await enterSends(ada).uncheck();
  await ada.reload();
  await expect(enterSends(ada)).not.toBeChecked();
});

test('an Enter that ends an input method composition does not send', async ({ room, ada }) => {
  let sends = 0;
  ada.on('request', (request) => (sends += SENDS.test(request.url()) ? 1 : 0));
  await visit(ada, room);
  await enterSends(ada).check();
  const keyboard = await ada.context().newCDPSession(ada);
  await messageBox(ada).focus();

  await keyboard.send('Input.imeSetComposition', { text: 'お茶', selectionStart: 2, selectionEnd: 2 });
  await messageBox(ada).dispatchEvent('keydown', { key: 'Enter', isComposing: true });
  // Safari ends the composition before it reports the key.
  await messageBox(ada).dispatchEvent('keydown', { key: 'Enter', keyCode: 229 });
  await keyboard.send('Input.insertText', { text: 'お茶' });
  await expect(messageBox(ada)).toHaveValue('お茶');
  expect(sends).toBe(0);

  await messageBox(ada).press('Enter');
  await expect(messagesOf(ada)).toHaveText([/^ada \(you\): お茶/]);
  expect(sends).toBe(1);
});

test('a double click and a key held down each send once', async ({ room, ada }) => {
  await visit(ada, room);
  await enterSends(ada).check();

  await messageBox(ada).fill('Only once');
  await ada.getByRole('button', { name: 'Send message' }).dblclick();
  await expect(messagesOf(ada)).toHaveCount(1);
  await messageBox(ada).fill('Held');
  await ada.keyboard.down('Enter');
  for (let repeat = 0; repeat < 5; repeat += 1) await ada.keyboard.down('Enter');
  await ada.keyboard.up('Enter');
  await expect(messagesOf(ada)).toHaveText([/: Only once/, /: Held/]);

  await trySending(ada, 'The last');
  await expect(messagesOf(ada)).toHaveText([/: Only once/, /: Held/, /: The last/]);
});

test('a message whose response is lost stays in the box, and sending it again does not duplicate it', async ({
  room,
  ada,
}) => {
  await visit(ada, room);
  await ada.route(
    SENDS,
    async (route) => {
      await route.fetch();
      await route.abort('connectionreset');
    },
    { times: 1 },
  );

  await trySending(ada, 'Did it arrive?');
  await expect(statusOf(ada)).toHaveText(LOST);
  await expect(messageBox(ada)).toHaveValue('Did it arrive?');
  await ada.getByRole('button', { name: 'Send message' }).click();

  await expect(statusOf(ada)).toHaveText('Sent');
  await expect(messageBox(ada)).toHaveValue('');
  await trySending(ada, 'The next');
  await expect(messagesOf(ada)).toHaveText([/: Did it arrive\?/, /: The next/]);
});

test('a different text sent after a lost response is not swallowed', async ({ room, ada }) => {
  await visit(ada, room);
  await ada.route(
    SENDS,
    async (route) => {
      await route.fetch();
      await route.abort('connectionreset');
    },
    { times: 1 },
  );
  await trySending(ada, 'First');
  await expect(statusOf(ada)).toHaveText(LOST);

  await trySending(ada, 'Second');
  await expect(statusOf(ada)).toHaveText(/^Not sent\. This form was already used\./);
  await expect(messageBox(ada)).toHaveValue('Second');
  await ada.getByRole('button', { name: 'Send message' }).click();

  await expect(messagesOf(ada)).toHaveText([/: First/, /: Second/]);
});

test('text typed while a message is in flight stays, with the caret, and can be sent', async ({
  room,
  ada,
}) => {
  await visit(ada, room);
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await ada.route(SENDS, async (route) => {
    await answered;
    await route.continue();
  });
  await messageBox(ada).focus();
  await ada.keyboard.type('One');
  await ada.keyboard.press('Control+Enter');
  await ada.keyboard.type('Two three');
  await ada.keyboard.press('ArrowLeft');
  answer();

  await expect(messagesOf(ada)).toHaveText([/: One/]);
  await expect(messageBox(ada)).toHaveValue('Two three');
  expect(await messageBox(ada).evaluate((box) => box.selectionStart)).toBe('Two thre'.length);
  await messageBox(ada).press('Control+Enter');
  await expect(messagesOf(ada)).toHaveText([/: One/, /: Two three/]);
});

test('a message sent while another is in flight follows it', async ({ room, ada }) => {
  await visit(ada, room);
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await ada.route(SENDS, async (route) => {
    await answered;
    await route.continue();
  });
  await messageBox(ada).focus();
  await ada.keyboard.type('One');
  await ada.keyboard.press('Control+Enter');
  await ada.keyboard.type('Two');
  await ada.keyboard.press('Control+Enter');
  answer();

  await expect(messagesOf(ada)).toHaveText([/: One/, /: Two/]);
  await expect(messageBox(ada)).toHaveValue('');
});

test('a refused message stays in the box, with the reason in the status and at the field', async ({
  room,
  ada,
}) => {
  const tooLong = 'kettle '.repeat(300).trim();
  await visit(ada, room);

  await trySending(ada, tooLong);
  await expect(statusOf(ada)).toHaveText('Not sent. Your message has 2,099 characters. The limit is 2,000');
  await expect(messageBox(ada)).toHaveValue(tooLong);
  await expect(messageBox(ada)).toHaveAttribute('aria-invalid', 'true');
  await expect(messageBox(ada)).toHaveAccessibleDescription(/Error: Your message has 2,099 characters/);

  await trySending(ada, ' ');
  await expect(statusOf(ada)).toHaveText(/^Not sent\. Enter a message/);
  await trySending(ada, 'Short');
  await expect(messagesOf(ada)).toHaveText([/: Short/]);
  await expect(messageBox(ada)).not.toHaveAttribute('aria-invalid');
  await expect(messageBox(ada)).not.toHaveAccessibleDescription(/Error/);
});

test.describe('with limits', () => {
  test.use({ settings: { '--limits': 'on' } });

  test('a rate-limited message stays in the box with the reason, and can be sent later', async ({
    room,
    ada,
  }) => {
    await visit(ada, room);
    // The limit allows one message per second, so others must use it up just before, and a slow machine may have to
    // try again.
    await ada.route(SENDS, async (route) => {
      await expect(say(ada, room, ...numbered('Tea', 50))).rejects.toThrow('204');
      await route.continue();
    });
    const lastStatus = async () => {
      await trySending(ada, 'One too many');
      await expect(statusOf(ada)).not.toBeEmpty();
      return statusOf(ada).textContent();
    };
    await expect.poll(lastStatus, { intervals: [0] }).toMatch(/^Not sent\. You are sending too fast/);
    await expect(messageBox(ada)).toHaveValue('One too many');
    await ada.unroute(SENDS);

    const isSent = async () => {
      await ada.getByRole('button', { name: 'Send message' }).click();
      await expect(statusOf(ada)).not.toBeEmpty();
      return messageBox(ada).inputValue();
    };
    await expect.poll(isSent, { intervals: [1_000] }).toBe('');
    await expect(messagesOf(ada).last()).toHaveText(/: One too many/);
  });
});

test('a message to a room that was left stays in the box with the reason', async ({ room, ada, bob }) => {
  await visit(bob, room);
  await messageBox(bob).fill('Wait for me');
  await submit(bob, `${room}/leave`, { leave: '1' });
  await expect(statusOf(bob)).toHaveText(
    'You are no longer in this room. Join it again in another tab. Your draft is still here.',
  );

  await bob.getByRole('button', { name: 'Send message' }).click();

  await expect(statusOf(bob)).toHaveText(/^Not sent\. You are not in Kettle club\./);
  await expect(messageBox(bob)).toHaveValue('Wait for me');
  await visit(ada, room);
  await expect(messagesOf(ada)).toHaveCount(0);
});

test('a server error leaves the message in the box', async ({ room, ada }) => {
  const answers = [
    { status: 503, contentType: 'text/html', body: '<p id="reason">Try again in a few seconds.</p>' },
    { status: 500, body: '' },
  ];
  await visit(ada, room);
  await ada.route(SENDS, (route) => route.fulfill(answers.shift()), { times: 2 });

  await trySending(ada, 'Tea');
  await expect(statusOf(ada)).toHaveText('Not sent. Try again in a few seconds.');
  await ada.getByRole('button', { name: 'Send message' }).click();
  await expect(statusOf(ada)).toHaveText('Not sent. Your message is still in the box. Send it again.');
  await expect(messageBox(ada)).toHaveValue('Tea');
  await ada.getByRole('button', { name: 'Send message' }).click();

  await expect(messagesOf(ada)).toHaveText([/: Tea/]);
});

test('a signed-out page says so, stops polling, and restores the draft after signing in', async ({
  room,
  ada,
}) => {
  await visit(ada, room);
  await messageBox(ada).fill('A draft');
  await signOutElsewhere(ada);

  await expect(statusOf(ada)).toHaveText(
    'You are signed out. Sign in to continue. Your draft is still here.',
  );
  expect(await statusesOf(ada)).toHaveLength(1);
  await expect(messageBox(ada)).toHaveValue('A draft');
  await ada.getByRole('button', { name: 'Sign in' }).click();
  await signInAgain(ada, 'ada');

  await expectRoom(ada, 'Kettle club');
  await expect(messageBox(ada)).toHaveValue('A draft');
  await expect(messagesOf(ada)).toHaveCount(0);
  await ada.getByRole('button', { name: 'Send message' }).click();
  await expect(messagesOf(ada)).toHaveText([/: A draft/]);
});

test('a signed-out page continues after signing in in another tab', async ({
  room,
  ada,
  bob,
}) => {
  await visit(ada, room);
  await signOutElsewhere(ada);
  await expect(statusOf(ada)).toHaveText(/^You are signed out/);
  await trySending(ada, 'Still here');
  await expect(messageBox(ada)).toHaveValue('Still here');
  const elsewhere = await ada.context().newPage();
  await elsewhere.goto('/login');
  await signInAgain(elsewhere, 'ada');

  await ada.getByRole('button', { name: 'Send message' }).click();
  await expect(messagesOf(ada)).toHaveText([/: Still here/]);
  await expect(ada.getByRole('button', { name: 'Sign in' })).toHaveCount(0);
  await say(bob, room, 'Welcome back');
  await expect(messagesOf(ada)).toHaveCount(2);
});

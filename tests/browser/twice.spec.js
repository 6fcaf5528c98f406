// A button that is pressed twice because the answer takes its time.

import { once } from 'node:events';
import { createServer, request } from 'node:http';

import { expect, test as base } from './support.js';

const test = base.extend({
  /** A proxy of the server that keeps the answer to a form back until the form was sent again and answered again. */
  slow: async ({ server }, use) => {
    const proxy = new SlowProxy(server.url);
    await proxy.open();
    await use(proxy);
    await proxy.close();
  },
});

class SlowProxy {
  #target;
  #server = createServer((asked, answer) => this.#forward(asked, answer));
  #held = [];
  #isAnswered = () => {};

  constructor(target) {
    this.#target = target;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  async open() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Resolves when the server has answered a form. */
  answered() {
    return new Promise((resolve) => (this.#isAnswered = resolve));
  }

  #forward(asked, answer) {
    const { method, url, headers } = asked;
    const forwarded = request(this.#target + url, { method, headers, agent: false }, (answered) => {
      const pass = () => {
        answer.writeHead(answered.statusCode, answered.headers);
        answered.pipe(answer);
      };
      if (method === 'GET') return pass();
      this.#held.push(pass);
      if (this.#held.length === 2) this.#held.splice(0).forEach((held) => held());
      this.#isAnswered();
    });
    asked.pipe(forwarded);
  }
}

/** Presses a button, and again while the server's answer is on its way. */
async function pressTwice(page, slow, name) {
  const button = page.getByRole('button', { name });
  await button.hover();
  const { x, y, width, height } = await button.boundingBox();
  const answered = slow.answered();
  // By the mouse: a locator would wait until the page of the first press is there.
  const press = () => page.mouse.click(x + width / 2, y + height / 2);
  await press();
  await answered;
  await press();
}

test('a button that is pressed twice leads to the success of the first press, signed in', async ({ ada, slow }) => {
  await ada.goto(`${slow.url}/register`);
  await ada.getByRole('textbox', { name: 'Name' }).fill('ada');
  await ada.getByLabel('Password').fill('many small kettles');
  await pressTwice(ada, slow, 'Create account');
  await expect(ada).toHaveTitle(/^Account created – /);
  await expect(ada.getByText('Signed in as ada')).toBeVisible();

  await ada.goto(`${slow.url}/rooms/new`);
  await ada.getByRole('textbox', { name: 'Room name' }).fill('Kettle club');
  await ada.getByRole('radio', { name: 'Public' }).check();
  await pressTwice(ada, slow, 'Create room');
  await expect(ada.getByRole('heading', { level: 1 })).toHaveText('Kettle club');

  await ada.goto(`${slow.url}/account/password`);
  await ada.getByLabel('Current password').fill('many small kettles');
  await ada.getByLabel('New password').fill('many large kettles');
  await pressTwice(ada, slow, 'Change password');
  await expect(ada).toHaveTitle(/^Password changed – /);

  await ada.goto(`${slow.url}/account/sessions`);
  await expect(ada.getByRole('main').getByRole('listitem')).toHaveCount(1);
});

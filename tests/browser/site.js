// Servers with people, rooms and messages, shared by the tests of a worker, and visits to their pages.
//
// Tests may add new rooms to a server, but must not change its initial data.

import { test as base, expect, request } from '@playwright/test';

import { Server } from './server.js';
import { numbered } from './support.js';

export { expect };

export const PASSWORD = 'many small kettles';
export const ROOM_PASSWORD = 'three spoons';

export const LONGEST_WORD = 'kettle'.repeat(34).slice(0, 200);
export const LONG_NAME = 'Samovar'.repeat(10).slice(0, 64);
export const LONG_PERSON = 'Wilhelmina'.repeat(4).slice(0, 32);

/** A server, with methods that submit forms directly, without pages. */
class Site {
  rooms = {};
  #server;
  #people = new Map();
  #roomsMade = 0;

  constructor(settings) {
    this.#server = new Server(settings);
  }

  get url() {
    return this.#server.url;
  }

  open() {
    return this.#server.start();
  }

  async close() {
    for (const person of this.#people.values()) await person.dispose();
    await this.#server.discard();
  }

  /** The path of the link that an operator command prints. */
  async link(...words) {
    const link = await this.#server.command([...words, '--public-url', this.url]);
    return new URL(link).pathname;
  }

  /** A signed-in person, as a request context without pages. */
  async person(name) {
    if (!this.#people.has(name)) {
      const person = await request.newContext({ baseURL: this.url });
      this.#people.set(name, person);
      await submit(person, '/register', { name, password: PASSWORD });
    }
    return this.#people.get(name);
  }

  /** Makes a person an operator, which takes a new sign-in. */
  async operator(name) {
    const before = await this.person(name);
    await this.#server.command(['user', 'make-operator', name]);
    await before.dispose();
    const person = await request.newContext({ baseURL: this.url });
    this.#people.set(name, person);
    await submit(person, '/login', { name, password: PASSWORD });
  }

  /** The path of the operators' page about a person. */
  async account(operator, name) {
    const search = `/site/people?search=${encodeURIComponent(name)}`;
    const found = await (await (await this.person(operator)).get(search)).text();
    const [, address] = new RegExp(`href="([^"]+)"><bdi>${name}<`).exec(found);
    return address;
  }

  /** Signs a person in with another browser that sends this user agent. */
  async signIn(name, userAgent) {
    const browser = await request.newContext({ baseURL: this.url, userAgent });
    await submit(browser, '/login', { name, password: PASSWORD });
    await browser.dispose();
  }

  /** Creates a room with an owner and members; returns its path. */
  async room(owner, members = [], name = `Table ${(this.#roomsMade += 1)}`) {
    const room = await submit(await this.person(owner), '/rooms/new', { name, kind: 'public' });
    for (const member of members) {
      await submit(await this.person(member), `${room}/join`, { join: '1' });
    }
    return (this.rooms[name] = room);
  }

  async privateRoom(owner, members = [], name = `Cellar ${(this.#roomsMade += 1)}`) {
    const form = { name, password: ROOM_PASSWORD };
    const room = await submit(await this.person(owner), '/rooms/new', { ...form, kind: 'private' });
    for (const member of members) await submit(await this.person(member), '/rooms/private', form);
    return (this.rooms[name] = room);
  }

  /** The path of the page on which the owner manages a member. */
  async member(owner, room, name) {
    const members = await (await (await this.person(owner)).get(`${room}/members`)).text();
    const [, address] = new RegExp(`href="([^"]+)">Manage <bdi>${name}<`).exec(members);
    return address;
  }

  /** Creates an invite link to a private room; returns its URL. */
  async invite(name, room) {
    const person = await this.person(name);
    const form = { life: 'week', uses: 'no-limit' };
    const page = await (await person.post(`${room}/invites`, { form })).text();
    const [link] = /https?:[^"]+\/invite\/[^"<]+/.exec(page);
    return link;
  }

  /** Sends messages; returns the ID of the last one. */
  async say(name, room, ...texts) {
    const person = await this.person(name);
    // A page without messages is short, and marks no messages as read.
    const page = await (await person.get(`${room}?before=0`)).text();
    const [, nonce] = /name="nonce" value="([^"]+)"/.exec(page);
    // Responses to the script contain the next nonce; the redirect after a form contains the message ID.
    const form = { text: texts.pop(), nonce };
    for (const text of texts) {
      const headers = { 'Mirage-Script': '1' };
      const answer = await person.post(`${room}/messages`, { form: { ...form, text }, headers });
      form.nonce = answer.headers()['mirage-nonce'];
    }
    const answer = await person.post(`${room}/messages`, { form, maxRedirects: 0 });
    const [, message] = /sent=(\d+)/.exec(answer.headers().location);
    return message;
  }
}

/** Submits a form that must redirect; returns the path of the redirect. */
export async function submit(person, address, form) {
  const answer = await person.post(address, { form, maxRedirects: 0 });
  expect(answer.status(), `${address}: ${JSON.stringify(form)}`).toBe(303);
  return new URL(answer.headers().location, answer.url()).pathname;
}

/** Settings and initial data of each site. */
const SITES = {
  busy: [{ '--contact': 'Write to help@mirage.example.' }, populate],
  'with one room': [{}, (site) => site.room('bob', [], 'Kettle club')],
  empty: [{}, () => {}],
  'by link': [
    {
      ...{ '--sign-up': 'link', '--contact': 'Write to help@mirage.example.' },
      ...{ '--site-name': 'Teahouse', '--about': 'tests/browser/about.txt' },
    },
    () => {},
  ],
  closed: [{ '--sign-up': 'closed' }, () => {}],
  'with operators': [{ '--contact': 'Write to help@mirage.example.' }, populateWithOperators],
};

async function populateWithOperators(site) {
  await site.operator('olga');
  await site.operator('oleg');
  await site.room('ada', ['bob'], 'Kettle club');
  await site.room('ada', [LONG_PERSON], LONG_NAME);
  await site.room('מרים', ['bob'], 'غرفة الشاي');
  for (const shelf of numbered('Shelf', 51)) await site.room('bob', [], shelf);
  for (const room of ['Kettle club', LONG_NAME]) {
    const message = await site.say('ada', site.rooms[room], `Go away. ${LONGEST_WORD}`);
    const reporter = room === LONG_NAME ? LONG_PERSON : 'bob';
    const report = `${site.rooms[room]}/messages/${message}/report`;
    await submit(await site.person(reporter), report, { reason: `Rude: ${LONGEST_WORD}` });
  }
  await site.person('loud');
  const form = { reason: `Spam, and ${LONGEST_WORD}`, password: PASSWORD };
  await submit(await site.person('olga'), `${await site.account('olga', 'loud')}/suspend`, form);
}

async function populate(site) {
  const { rooms } = site;
  const arabic = 'مريم';
  const hebrew = 'עדה';

  await site.room('ada', ['bob', hebrew], 'Kettle club');
  await site.say('bob', rooms['Kettle club'], 'Is anybody in the kitchen?');
  await site.say('ada', rooms['Kettle club'], 'Me. The kettle is on.\nThere are two mugs left.');
  await site.say(hebrew, rooms['Kettle club'], 'שומרים לי ספל?');
  await site.say('bob', rooms['Kettle club'], 'Tea: https://example.org/tea?with=milk, and cake.');

  await site.privateRoom('ada', ['bob'], 'Night shift');
  await site.say('bob', rooms['Night shift'], 'Quiet tonight.');

  await site.room('ada', [], 'Empty hall');

  await moderateRoom(site, await site.room('ada', ['bob', 'dora', 'loud', hebrew], 'Greenhouse'));
  await moderateRoom(site, await site.privateRoom('ada', ['bob', 'dora', 'loud', hebrew], 'Cold frame'));

  await site.room('ada', [LONG_PERSON, 'bob'], LONG_NAME);
  for (const author of [LONG_PERSON, 'ada']) {
    const address = `https://example.org/${LONGEST_WORD}`;
    await site.say(author, rooms[LONG_NAME], LONGEST_WORD, address, 'The kettle is on. '.repeat(60));
  }

  await site.room(arabic, ['ada', hebrew], 'غرفة الشاي');
  await site.say(arabic, rooms['غرفة الشاي'], 'الماء يغلي الآن.\nهل تريدون الشاي؟');
  await site.say('ada', rooms['غرفة الشاي'], 'שלום! I will have a cup, شكرا');
  await site.say(hebrew, rooms['غرفة الشاي'], 'גם אני, https://example.org/');

  await site.room('bob', ['ada'], 'Library');
  await site.say('bob', rooms.Library, ...numbered('Chapter', 60));
  await site.say('ada', rooms.Library, ...numbered('Footnote', 10));
  await site.say('bob', rooms.Library, ...numbered('Appendix', 33));

  for (const shelf of numbered('Shelf', 51)) await site.room('bob', [], shelf);
}

/** Gives a room of ada's a moderator, a banned person, a person who has left, and settings. */
async function moderateRoom(site, room) {
  for (const name of ['loud', 'dora', 'bob']) await site.say(name, room, `I am ${name}.`);
  const ada = await site.person('ada');
  const manage = async (name, action, form) =>
    submit(ada, `${await site.member('ada', room, name)}/${action}`, form);
  await manage('bob', 'role', { role: 'moderator' });
  await manage('loud', 'ban', { reason: `Too loud: ${LONGEST_WORD}` });
  await submit(await site.person('dora'), `${room}/leave`, { leave: '1' });
  const name = Object.keys(site.rooms).find((name) => site.rooms[name] === room);
  const description = 'All that grows, and الشاي. '.repeat(11).trim();
  const settings = { lifespan: '43200', 'slow-mode': '30', language: 'de', posting: 'moderators' };
  await submit(ada, `${room}/settings`, { name, description, ...settings });
}

export const test = base.extend({
  /** The site with this name in `SITES`, started on first use. */
  siteOf: [
    async ({}, use) => {
      const sites = new Map();
      const open = async (name) => {
        const [settings, populate] = SITES[name];
        const site = new Site(settings);
        await site.open();
        await populate(site);
        return site;
      };
      await use((name) => {
        if (!sites.has(name)) sites.set(name, open(name));
        return sites.get(name);
      });
      for (const site of sites.values()) await (await site).close();
    },
    { scope: 'worker' },
  ],

  /** Opens a state of a page in a new browser context; returns the page and its HTML as served. */
  visit: async ({ browser, siteOf }, use) => {
    const contexts = [];
    await use(async (state, options) => {
      const site = await siteOf(state.site ?? 'busy');
      const person = state.as && (await site.person(state.as));
      const storageState = await person?.storageState();
      const context = await browser.newContext({ baseURL: site.url, storageState, ...options });
      contexts.push(context);
      const page = await context.newPage();
      const html = await arriveAt(state, page, site);
      return { page, html };
    });
    for (const context of contexts) await context.close();
  },
});

async function arriveAt(state, page, site) {
  let answer;
  page.on('response', (response) => {
    if (response.request().isNavigationRequest()) answer = response;
  });
  await state.go({ page, site });
  await expect(page.locator('body')).toContainText(state.says);
  await page.waitForLoadState();
  expect(answer.status()).toBe(state.status ?? 200);
  expect(new URL(page.url()).pathname).toMatch(patternOf(state.at));
  return answer.text();
}

function patternOf(at) {
  return new RegExp(`^${at.replace(/\{[^}]+\}/g, '[^/]+')}$`);
}

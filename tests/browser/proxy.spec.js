// The site behind nginx with TLS, with the configuration block from the README.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Server } from './server.js';
import {
  createPublicRoom,
  expect,
  joinPublicRoom,
  messagesOf,
  send,
  signUp,
  test as base,
} from './support.js';

const README = new URL('../../README.md', import.meta.url);

const test = base.extend({
  /** The public URL of the site. */
  site: async ({}, use) => {
    const port = await freePort();
    const address = `https://localhost:${port}`;
    const server = new Server({ '--public-url': address, '--trusted-proxies': '127.0.0.1' });
    await server.start();
    const nginx = await startNginx(port, server.url);
    await use(address);
    await nginx.stop();
    await server.discard();
  },

  baseURL: ({ site }, use) => use(site),

  ada: ({ browser, site }, use) => inOwnBrowser(browser, site, use),
  bob: ({ browser, site }, use) => inOwnBrowser(browser, site, use),
});

async function inOwnBrowser(browser, baseURL, use) {
  // The test's certificate is self-signed.
  const context = await browser.newContext({ baseURL, ignoreHTTPSErrors: true });
  await use(await context.newPage());
  await context.close();
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** The README's block, with the paths and ports of this test. */
function configuration(port, target, folder) {
  const [, block] = /```nginx\n(.*?)```/s.exec(readFileSync(README, 'utf8'));
  const replacements = [
    ['listen 443 ', `listen 127.0.0.1:${port} `],
    ['/etc/ssl/chat.example.org.crt', join(folder, 'certificate')],
    ['/etc/ssl/chat.example.org.key', join(folder, 'key')],
    ['http://127.0.0.1:8080', target],
  ];
  const server = replacements.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, block);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder};`)
    .join('\n');
  return `daemon off;
    pid ${folder}/pid;
    error_log stderr;
    events {}
    http {
      access_log off;
      ${temporary}
      ${server}
    }`;
}

async function startNginx(port, target) {
  const folder = mkdtempSync(join(tmpdir(), 'mirage-nginx-'));
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  await promisify(execFile)('openssl', [...request, '-keyout', key, '-out', certificate]);
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(port, target, folder));
  const nginx = spawn('/usr/sbin/nginx', ['-c', file, '-p', folder, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(nginx, 'exit');
  return {
    async stop() {
      nginx.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

test('two people talk live, with cookies that are sent over TLS only', async ({ ada, bob }) => {
  // Waits until nginx listens.
  await expect(async () => ada.goto('/')).toPass();
  await signUp(ada, 'ada');
  await signUp(bob, 'bob');
  const [cookie] = await ada.context().cookies();
  expect(cookie).toMatchObject({
    ...{ name: expect.stringMatching(/^__Host-mirage-[0-9a-f]{8}$/), secure: true, httpOnly: true, sameSite: 'Lax' },
  });
  await createPublicRoom(ada, 'Kettle club');
  await joinPublicRoom(bob, 'Kettle club');

  await send(ada, 'Is the kettle on?');
  await send(bob, 'It is.');

  for (const page of [ada, bob]) {
    await expect(messagesOf(page)).toHaveText([/Is the kettle on\?/, /It is\./]);
  }
});

test('links use the public URL, and cross-site forms are refused', async ({
  ada,
  site,
}) => {
  await expect(async () => ada.goto('/')).toPass();
  await signUp(ada, 'ada');
  const { request } = ada.context();
  const form = { name: 'Den', kind: 'private', password: 'three spoons' };
  const foreign = { Origin: 'https://elsewhere.example' };
  const refused = await request.post('/rooms/new', { form, headers: foreign, maxRedirects: 0 });
  expect(refused.status()).toBe(403);

  const made = await request.post('/rooms/new', { form, headers: { Origin: site }, maxRedirects: 0 });
  expect(made.status()).toBe(303);
  const [room] = made.headers().location.split('?');
  await ada.goto(`${room}/invites`);
  await ada.getByRole('radio', { name: '1 hour' }).check();
  await ada.getByRole('radio', { name: '1 person' }).check();
  await ada.getByRole('button', { name: 'Create link' }).click();

  await expect(ada.getByRole('link', { name: `${site}/invite/` })).toBeVisible();
});

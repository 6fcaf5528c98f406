// A Mirage server for one test, on a free port, with an empty database.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const BINARY = resolve(REPOSITORY, process.env.MIRAGE_BINARY ?? 'target/debug/mirage');
const SERVING = /listening address=127\.0\.0\.1:(\d+)/;

export class Server {
  /** The log of all starts. */
  log = '';
  #folder = mkdtempSync(join(tmpdir(), 'mirage-'));
  #flags;
  #port = 0;
  #process;
  #exit;

  /** @param settings such as `{ '--message-lifespan': '5s' }` */
  constructor(settings) {
    // Tests act faster and do more than the default limits allow.
    const unlimited = { '--limits': 'off', '--rooms-per-person': '1000' };
    this.#flags = Object.entries({ ...unlimited, ...settings }).flat();
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get #database() {
    return `sqlite://${this.#folder}/mirage.db?mode=rwc`;
  }

  /** Starts the server, or restarts it on the same port and data. */
  async start() {
    const flags = [
      ...['--bind', `127.0.0.1:${this.#port}`],
      ...['--database-url', this.#database],
      ...['--secret-file', `${this.#folder}/mirage.key`],
      ...this.#flags,
    ];
    // The environment is empty, so that no MIRAGE_ variable changes the test.
    this.#process = spawn(BINARY, flags, {
      cwd: REPOSITORY,
      env: {},
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#exit = once(this.#process, 'exit');
    const serving = new Promise((isServing) => {
      createInterface({ input: this.#process.stderr }).on('line', (line) => {
        this.log += `${line}\n`;
        const [, port] = SERVING.exec(line) ?? [];
        if (port) isServing(Number(port));
      });
    });
    const ended = this.#exit.then(() => {
      throw new Error(`The server did not start:\n${this.log}`);
    });
    this.#port = await Promise.race([serving, ended]);
  }

  /** Returns the output of an operator command, such as `['signup-link']`. */
  async command(words) {
    const flags = [...words, '--database-url', this.#database];
    const { stdout } = await promisify(execFile)(BINARY, flags, { env: {} });
    return stdout.trimEnd();
  }

  /** Stops the server gracefully and waits until it has ended. */
  async stop() {
    this.#process.kill('SIGTERM');
    const [code, signal] = await this.#exit;
    if (code !== 0) throw new Error(`The server ended with ${code ?? signal}:\n${this.log}`);
  }

  /** Kills the server, as a power failure would. */
  async kill() {
    this.#process.kill('SIGKILL');
    await this.#exit;
  }

  /** Stops the server if it runs, and deletes its data. */
  async discard() {
    try {
      const isRunning = this.#process?.exitCode === null && this.#process.signalCode === null;
      if (isRunning) await this.stop();
    } finally {
      await rm(this.#folder, { recursive: true });
    }
  }
}

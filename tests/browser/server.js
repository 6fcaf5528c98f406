// A Mirage server of a test's own, with a free port and an empty database.

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
  /** What it has written, over all its starts. */
  log = '';
  #folder = mkdtempSync(join(tmpdir(), 'mirage-'));
  #flags;
  #port = 0;
  #process;
  #exit;

  /** @param settings such as `{ '--message-lifespan': '5s' }` */
  constructor(settings) {
    // People in tests are faster than people, and do more.
    const unlimited = { '--limits': 'off', '--rooms-per-person': '1000' };
    this.#flags = Object.entries({ ...unlimited, ...settings }).flat();
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get #database() {
    return `sqlite://${this.#folder}/mirage.db?mode=rwc`;
  }

  /** Starts it; again, if it has ended, on the same port and data. */
  async start() {
    const flags = [
      ...['--bind', `127.0.0.1:${this.#port}`],
      ...['--database-url', this.#database],
      ...['--secret-file', `${this.#folder}/mirage.key`],
      ...this.#flags,
    ];
    // The environment is empty so that nobody's MIRAGE_ variables change what is tested.
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

  /** What a command of the operator prints, such as `['signup-link']`. */
  async command(words) {
    const flags = [...words, '--database-url', this.#database];
    const { stdout } = await promisify(execFile)(BINARY, flags, { env: {} });
    return stdout.trimEnd();
  }

  /** Asks it to end, and waits until it has. */
  async stop() {
    this.#process.kill('SIGTERM');
    const [code, signal] = await this.#exit;
    if (code !== 0) throw new Error(`The server ended with ${code ?? signal}:\n${this.log}`);
  }

  /** Ends it as a power cut would. */
  async kill() {
    this.#process.kill('SIGKILL');
    await this.#exit;
  }

  /** Removes its data, and stops it first if it runs. */
  async discard() {
    try {
      const isRunning = this.#process?.exitCode === null && this.#process.signalCode === null;
      if (isRunning) await this.stop();
    } finally {
      await rm(this.#folder, { recursive: true });
    }
  }
}

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path, { delimiter } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';

const onPath = (name: string) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => path.join(folder, name))
    .find((file) => existsSync(file));
const apt = promisify(execFile);

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A real browser: the one on PATH, else Debian's, installed where that is allowed. @throws with the cure where it is not */
export async function openBrowser(): Promise<Browser> {
  const found = () => NAMES.map(onPath).find((file) => file !== undefined);
  if (!found() && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    await apt('apt-get', ['update']);
    await apt('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { maxBuffer: 1e8 });
  }
  const executablePath = found();
  if (!executablePath) {
    throw new Error(
      'This test needs Chromium, and there is none on PATH: `apt-get install chromium` (as root) brings it.',
    );
  }
  // As root Chromium runs without its sandbox; the pages are our own, on the loopback.
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

// Chromium without a screen, for tests of pages: with a profile of its own, and asking nobody on the network.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts the browser, with more flags and what else playwright takes: a context, and a function that ends it. */
export async function launch(executablePath, { args = [], ...options } = {}) {
  const profile = mkdtempSync(path.join(tmpdir(), 'weaveheap-chromium-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: [...FLAGS, ...args], ...options });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}

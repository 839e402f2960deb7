// What the tests share: a folder of names of their own, errors by code, garbage collection, other processes.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WeaveHeapError } from 'weaveheap';

/** The package's folder. */
export const PACKAGE = fileURLToPath(new URL('..', import.meta.url));

/** A folder that is removed when the file's tests are done. */
export function temporaryFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), 'weaveheap-node-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Gives the file's tests a folder of names of their own. */
export function useOwnFolder() {
  const folder = temporaryFolder();
  process.env.WEAVEHEAP_DIR = folder;
  return folder;
}

/** The error that a function throws, which must be of this code. */
export function refused(code, work) {
  let result;
  try {
    result = work();
  } catch (error) {
    return expectCode(code, error);
  }
  return assert.fail(`expected ${code}, got ${String(result)}`);
}

/** The error that a promise is rejected with, which must be of this code. */
export async function rejected(code, promise) {
  let result;
  try {
    result = await promise;
  } catch (error) {
    return expectCode(code, error);
  }
  return assert.fail(`expected ${code}, got ${String(result)}`);
}

function expectCode(code, error) {
  // The message is not asked for unless it is needed: asking gathers the holders.
  if (!(error instanceof WeaveHeapError) || error.code !== code) {
    assert.fail(`expected ${code}, got ${error?.stack ?? error}`);
  }
  return error;
}

/** Collects garbage until something holds, which finalizers make true; fails after ten seconds. */
export async function collectUntil(holds) {
  const end = Date.now() + 10_000;
  for (;;) {
    globalThis.gc();
    await nextTurn();
    if (holds()) return;
    assert.ok(Date.now() < end, `not collected: ${holds}`);
    await sleep(5);
  }
}

/** Collects garbage as much as would have been enough for what is unused. */
export async function collect() {
  for (let round = 0; round < 8; round += 1) {
    globalThis.gc();
    await nextTurn();
    await sleep(1);
  }
}

/** Waits until something holds; fails after ten seconds. */
export async function until(holds) {
  const end = Date.now() + 10_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `never came true: ${holds}`);
    await sleep(5);
  }
}

/**
 * Another process that takes lines of JSON (`{ "do": ..., ... }`) and answers each with one: `{ "ok": ... }` or
 * `{ "error": code, ... }`.
 */
export class Peer {
  constructor(program, args, env = {}) {
    this.process = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = readline.createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  /** Sends a command and does not wait for the answer. */
  send(command) {
    this.process.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** The next answer. */
  async answer() {
    const { value, done } = await this.lines.next();
    assert.ok(!done, 'the other process has ended');
    return JSON.parse(value);
  }

  /** Sends a command and returns what it answers, which must be no error. */
  async ask(command) {
    this.send(command);
    const answer = await this.answer();
    assert.ok('ok' in answer, `${command.do}: ${JSON.stringify(answer)}`);
    return answer.ok;
  }

  /** Sends a command that must be refused with this code, and returns the answer. */
  async refused(code, command) {
    this.send(command);
    const answer = await this.answer();
    assert.equal(answer.error, code, `${command.do}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Lets the process end by itself. */
  async end() {
    this.process.stdin.end();
    const [status] = this.process.exitCode === null ? await once(this.process, 'exit') : [this.process.exitCode];
    assert.equal(status, 0, 'the other process failed');
  }

  /** Kills the process. */
  async kill() {
    this.process.kill('SIGKILL');
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
  }
}

/** A Node process that serves `peer.mjs`. */
export function nodePeer() {
  return new Peer(process.execPath, [path.join(PACKAGE, 'test', 'peer.mjs')]);
}

/** A Python process that serves `peer.py`. */
export function pythonPeer() {
  const python = process.env.WEAVEHEAP_PYTHON ?? path.join(PACKAGE, '../../target/venv/3.11/bin/python');
  return new Peer(python, [path.join(PACKAGE, 'test', 'peer.py')]);
}

/** Runs the program `weaveheap`, which `cargo xtask test node` builds, and returns what it prints. */
export function commandLine(...args) {
  const program = process.env.WEAVEHEAP_CLI ?? path.join(PACKAGE, '../../target/release/weaveheap');
  const child = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(child.status, 0, `${child.error ?? ''}${child.stderr}`);
  return child.stdout;
}

/** Runs a script in a process of its own, and returns what it printed; it must succeed. */
export async function runScript(script, { env = {}, args = [] } = {}) {
  const child = spawn(process.execPath, [...args, '--input-type=module', '--eval', script], {
    cwd: PACKAGE,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.equal(child.exitCode, 0, `${output}\n${errors}`);
  return { output, errors };
}

async function text(stream) {
  let result = '';
  for await (const chunk of stream.setEncoding('utf8')) result += chunk;
  return result;
}

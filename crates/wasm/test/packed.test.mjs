// The package as it is installed: from its packed form, in plain Node and in a build by Vite. So this also tests what the
// package holds.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DOCS, writePage } from './page.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'weaveheap-packed-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(program, args, cwd) {
  const child = spawnSync(program, args, { cwd, encoding: 'utf8' });
  assert.equal(child.status, 0, `${child.error ?? ''}${child.stdout}${child.stderr}`);
  return child.stdout;
}

const runModule = (script, type) => run(process.execPath, [`--input-type=${type}`, '--eval', script], folder).trim();

before(() => {
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], PACKAGE);
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${tarball}`], folder);
});

test('the packed package holds what it needs and nothing more', () => {
  const files = readdirSync(path.join(folder, 'node_modules/weaveheap-wasm'), { recursive: true }).map((name) => name.replaceAll(path.sep, '/'));
  for (const needed of ['README.md', 'index.mjs', 'node.mjs', 'node.cjs', 'index.d.ts', 'index.d.mts', 'types/weaveheap.d.ts', 'lib/module.mjs', 'weaveheap.wasm']) {
    assert.ok(files.includes(needed), needed);
  }
  assert.deepEqual(files.filter((name) => /^(src|test|Cargo|node_modules|target)/.test(name)), []);
});

test('ES modules and CommonJS both load it in Node', () => {
  assert.equal(runModule("import { Heap } from 'weaveheap-wasm'; console.log(Heap.private().region().string('esm').toString())", 'module'), 'esm');
  assert.equal(runModule("console.log(require('weaveheap-wasm').Heap.private().region().string('cjs').toString())", 'commonjs'), 'cjs');
});

test('the first lines of the README run', () => {
  const [, script] = readFileSync(path.join(PACKAGE, 'README.md'), 'utf8').match(/```js\n([\s\S]*?)```/);
  assert.ok(script.split('\n').length <= 16, 'they are about ten');
  assert.equal(runModule(script, 'module'), '6');
});

const programs = [...DOCS.matchAll(/```js\n((?:(?!```)[\s\S])*)```\n\n```text\n([\s\S]*?)```/g)];

test('the programs for Node in docs/wasm.md print what it says', () => {
  assert.equal(programs.length, 2);
  for (const [, script, output] of programs) assert.equal(`${runModule(script, 'module')}\n`, output);
});

test('Vite builds the page of docs/wasm.md, with the module beside it', () => {
  const site = path.join(folder, 'site');
  writePage(site);
  run(process.execPath, [path.join(PACKAGE, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn', '--target', 'es2022'], site);
  const assets = readdirSync(path.join(site, 'dist/assets'));
  const module = assets.find((name) => name.endsWith('.wasm'));
  assert.ok(module, `no module among ${assets}`);
  assert.deepEqual(readFileSync(path.join(site, 'dist/assets', module)), readFileSync(path.join(PACKAGE, 'weaveheap.wasm')));
  const script = readFileSync(path.join(site, 'dist/assets', assets.find((name) => name.endsWith('.js'))), 'utf8');
  assert.ok(script.includes(module), 'the page does not name the module');
  assert.doesNotMatch(script, /node:fs/);
});

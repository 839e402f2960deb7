// The samples, as a newcomer runs them: in a folder where the package is installed from its packed form. So this also
// tests what the package holds.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { PACKAGE, temporaryFolder } from './support.mjs';

const folder = temporaryFolder();
const samples = path.join(PACKAGE, '../../samples/node');

function run(program, args, cwd) {
  const child = spawnSync(program, args, { cwd, encoding: 'utf8' });
  assert.equal(child.status, 0, `${child.error ?? ''}${child.stdout}${child.stderr}`);
  return child.stdout;
}

function runModule(script, type) {
  return run(process.execPath, [`--input-type=${type}`, '--eval', script], folder).trim();
}

before(() => {
  run('npm', ['pack', '--silent', '--pack-destination', folder], PACKAGE);
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${tarball}`], folder);
});

test('the packed package holds what it needs and nothing more', () => {
  const files = readdirSync(path.join(folder, 'node_modules/weaveheap'), { recursive: true }).sort();
  const addon = `weaveheap.${process.platform}-${process.arch}.node`;
  for (const needed of ['README.md', 'index.js', 'index.mjs', 'index.d.ts', 'index.d.mts', path.join('lib', 'heap.js'), addon]) {
    assert.ok(files.includes(needed), needed);
  }
  assert.deepEqual(files.filter((name) => /^(src|test|Cargo|build|node_modules|target)/.test(name)), []);
  assert.deepEqual(readdirSync(path.join(folder, 'node_modules')).filter((name) => !name.startsWith('.')), ['weaveheap']);
});

test('ES modules and CommonJS both load it', () => {
  assert.equal(runModule("import { Heap } from 'weaveheap'; console.log(Heap.private().region().string('esm').toString())", 'module'), 'esm');
  assert.equal(runModule("console.log(require('weaveheap').Heap.private().region().string('cjs').toString())", 'commonjs'), 'cjs');
});

/** Loaded before a sample: its heap is checked when it detaches. */
const CHECKED = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from 'node:module';
  const { Heap } = createRequire(process.cwd() + '/')('weaveheap');
  const { detach } = Heap.prototype;
  Heap.prototype.detach = function () {
    if (this.check().borrows === 0) console.log('checked');
    detach.call(this);
  };
`)}`;

for (const [name, expected] of [
  [
    'buffer.mjs',
    ['sum of 4 numbers: 12', 'Borrowed: held by node (shared)', 'kept array after release: 0 bytes', 'StaleHandle after close'],
  ],
  ['string.mjs', ['15 bytes', 'Grüße, 世界', 'the same text, 1 copy of 15 bytes', 'found: true, by a handle of kind b']],
]) {
  test(`samples/node/${name} runs and prints what it says`, () => {
    copyFileSync(path.join(samples, name), path.join(folder, name));
    assert.deepEqual(run(process.execPath, [name], folder).trim().split('\n'), expected);
    const checked = run(process.execPath, ['--import', CHECKED, name], folder).trim().split('\n');
    assert.deepEqual(checked, [...expected, 'checked']);
  });
}

test('every sample is tested', () => {
  assert.deepEqual(readdirSync(samples).sort(), ['buffer.mjs', 'string.mjs']);
});

test('the first lines of the README run', () => {
  const readme = readFileSync(path.join(PACKAGE, 'README.md'), 'utf8');
  const [, script] = readme.match(/```js\n([\s\S]*?)```/);
  assert.ok(script.split('\n').length <= 16, 'they are about ten');
  assert.equal(runModule(script, 'module'), '6');
});

// The package for ES modules in Node: the same objects as for CommonJS.

export * from './node.cjs';
export { init as default } from './node.cjs';

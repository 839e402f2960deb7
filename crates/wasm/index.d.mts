// The types of the package for ES modules: the same as for CommonJS, with `init` as the default.

export * from './index.js';
export { init as default } from './index.js';

// The types of the package for ES modules: the same as for CommonJS.

export * from './index.js';

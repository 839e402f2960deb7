'use strict';
// The package for CommonJS.

const { errors } = require('./lib/native.js');
const { WeaveHeapError } = require('./lib/weaveheap_error.js');
const { Heap } = require('./lib/heap.js');
const { Region } = require('./lib/region.js');
const { HeapBuffer } = require('./lib/buffer.js');
const { View } = require('./lib/view.js');
const { handleToString, handleFromString } = require('./lib/handle.js');

const { CLASSES, ...classes } = errors;

module.exports = { Heap, Region, HeapBuffer, View, handleToString, handleFromString, WeaveHeapError, ...classes };

'use strict';
// Handles as text (K5).

const { native } = require('./native.js');

/** `b17:2043` for a buffer's handle, `r3:77` for a region's, `null` for 0n. */
function handleToString(handle) {
  return native.handleToText(handle);
}

/** The handle that a text names; `InvalidArgument` if it names none. */
function handleFromString(text) {
  return native.handleFromText(text);
}

module.exports = { handleToString, handleFromString };

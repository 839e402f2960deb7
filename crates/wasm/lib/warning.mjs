// Warnings, as the runtime gives them.

export function warn(message, code) {
  const { process } = globalThis;
  if (typeof process?.emitWarning === 'function') process.emitWarning(message, { type: 'WeaveHeapWarning', code });
  else console.warn(`WeaveHeapWarning: ${message} (${code})`);
}

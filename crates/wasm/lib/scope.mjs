// Written from `crates/node/lib/scope.js` by `cargo xtask gen`. Do not edit.
// Scopes: something is used by a function, and ended when the function has returned or its promise has settled. An
// exception of the user's own is never masked by one of the ending.

function useIn(resource, use, end) {
  let result;
  try {
    result = use(resource);
  } catch (error) {
    endQuietly(resource, end);
    throw error;
  }
  if (typeof result?.then !== 'function') {
    end(resource);
    return result;
  }
  return Promise.resolve(result).then(
    (value) => {
      end(resource);
      return value;
    },
    (error) => {
      endQuietly(resource, end);
      throw error;
    },
  );
}

function endQuietly(resource, end) {
  try {
    end(resource);
  } catch {
    // The exception that is under way says more.
  }
}

const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');

export { useIn, dispose };

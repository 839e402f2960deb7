// From the network into a buffer of the heap: one copy, and nothing of the file's size beside it.
//
// A page cannot have the browser write into memory of WebAssembly: `read(bytes)` takes the array it is given away from the
// page, and that memory cannot be taken away. So a small block goes to the browser and back, and its bytes are copied
// to their place.

/** Bytes of the block. */
const BLOCK = 65536;

/**
 * Loads a file into a new buffer of a region. `copied` is told of each copy: the buffer, and how many bytes.
 * Gives the buffer, and `how`: `block` if one block was used again and again, `pieces` if the browser made arrays of its own.
 */
export async function load(region, url, copied) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  const buffer = region.alloc(lengthOf(response), { zeroed: false });
  try {
    const how = await buffer.withUnique((view) => fill(view, response.body, (bytes) => copied(buffer, bytes)));
    return { buffer, how };
  } catch (error) {
    buffer.free();
    throw error;
  }
}

function lengthOf(response) {
  const length = response.headers.get('content-length');
  if (length === null || response.headers.has('content-encoding')) {
    throw new Error(`${response.url}: the server does not say how long the file is, or packs it: a buffer has one length`);
  }
  return Number(length);
}

/** Fills all bytes of a view. */
async function fill(view, body, copied) {
  const [reader, how] = readerOf(body);
  let block = how === 'block' ? new Uint8Array(BLOCK) : undefined;
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read(block);
    if (done) break;
    if (at + value.length > view.length) {
      await reader.cancel();
      throw new Error(`the file is longer than the ${view.length} bytes that the server said`);
    }
    // Asked for each time: memory may have grown since the last piece.
    view.bytes.set(value, at);
    copied(value.length);
    at += value.length;
    if (block !== undefined) block = new Uint8Array(value.buffer);
  }
  if (at < view.length) throw new Error(`the file ended after ${at} of ${view.length} bytes`);
  return how;
}

function readerOf(body) {
  try {
    return [body.getReader({ mode: 'byob' }), 'block'];
  } catch {
    // Not every browser reads into an array that it is given.
    return [body.getReader(), 'pieces'];
  }
}

// Serves the built page on this machine: `node serve.mjs FOLDER [PORT]`. `cargo xtask web` builds the folder first.
//
// The two headers make the page isolated: browsers give memory that workers share to such pages alone.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.arrow': 'application/vnd.apache.arrow.file',
};

/** Serves the files of a folder, with headers for each; port 0 is any that is free. Gives the server, once it listens. */
export function serve(folder, port = 0, headers = ISOLATED) {
  const server = createServer(async ({ url }, response) => {
    try {
      const place = decodeURIComponent(new URL(url, 'http://localhost').pathname);
      const file = path.join(folder, path.normalize(place.endsWith('/') ? `${place}index.html` : place));
      const { size } = await stat(file);
      const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
      response.writeHead(200, { ...headers, 'content-type': type, 'content-length': size, 'cache-control': 'no-store' });
      createReadStream(file).on('error', () => response.destroy()).pipe(response);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await serve(process.argv[2], Number(process.argv[3] ?? 8080));
  console.log(`The page is at http://localhost:${server.address().port}/ until Ctrl-C.`);
}

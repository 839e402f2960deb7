// The declarations for CommonJS, checked by `tsc --noEmit` and never run.

import weaveheap = require('weaveheap-wasm');

export async function commonJs(): Promise<number> {
  const instance: weaveheap.Instance = await weaveheap.createInstance();
  // @ts-expect-error the package has no such function
  weaveheap.attach();
  return instance.Heap.private().region().string('text').length;
}

// The declarations for CommonJS, checked by `tsc --noEmit` and never run.

import weaveheap = require('weaveheap');

export function commonJs(): number {
  const heap: weaveheap.Heap = weaveheap.Heap.private();
  const region: weaveheap.Region = heap.region();
  // @ts-expect-error the package has no such function
  weaveheap.attach();
  return region.string('text').length;
}

// What the declarations promise, checked by `tsc --noEmit` and never run. The uses of the package `weaveheap`
// (`crates/node/test/types.mts`) are compiled with these declarations too.

import start, { Heap, StaleViewError, createInstance, init, initSync, type Instance, type Region, type Source } from 'weaveheap-wasm';

export async function everything(bytes: ArrayBuffer, module: WebAssembly.Module): Promise<void> {
  await start();
  await init(new URL('https://example.org/weaveheap.wasm'));
  await init(fetch('weaveheap.wasm'));
  initSync(module);
  initSync(bytes);
  const source: Source = new Uint8Array(8);
  const instance: Instance = await createInstance({ module: source, maximum: 1 << 24 });
  using heap: Heap = instance.Heap.private({ limit: 1n << 20n });
  const region: Region = heap.region();
  const total: number = instance.memoryBytes + region.alloc(8).withShared((view) => view.bytes.length);
  const text: string = instance.handleToString(instance.handleFromString('b1:1'));
  const other: Heap = Heap.private();
  void [total, text, other, instance.stopped];
  // @ts-expect-error an instance is made by createInstance
  new instance();
  // @ts-expect-error a maximum is a number or a bigint
  void createInstance({ maximum: '1' });
  // @ts-expect-error what an instance says cannot be changed
  instance.stopped = true;
}

export function code(error: StaleViewError): 3 {
  return error.number;
}

// What the declarations promise, checked by `tsc --noEmit` and never run: right uses compile, wrong ones do not.

import {
  BorrowConflictError,
  Heap,
  StaleHandleError,
  WeaveHeapError,
  handleFromString,
  handleToString,
  type ErrorCode,
  type Handle,
  type HeapBuffer,
  type Holder,
  type Region,
  type View,
} from 'weaveheap';

export async function everything(): Promise<void> {
  using heap: Heap = Heap.private({ limit: 1 << 20, verify: true, inspect: false, label: 'types' });
  const shared: Heap = Heap.create('types', { limit: 1n << 30n });
  Heap.create({ path: 'heap', verify: true });
  Heap.open('types', { label: 'reader' });
  Heap.open({ path: 'heap' });
  Heap.remove({ path: 'heap' });
  const names: string[] = Heap.list().map((entry) => entry.name);
  const other: Heap = Heap.byId(shared.id);

  using region: Region = heap.region({ name: names[0] ?? 'region', limit: 4096 });
  const buffer: HeapBuffer = region.alloc(64, { align: 8, zeroed: false });
  region.string('text');
  region.allocFrom(new Float64Array(3), { align: 8 });
  region.allocFrom(new SharedArrayBuffer(8));
  const handle: Handle = buffer.handle;
  const text: string = handleToString(handleFromString(handleToString(handle)));

  {
    using view: View = buffer.borrowUnique();
    view.bytes[0] = 1;
    view.float64(8, 2).set([1, 2]);
    view.dataView(1, 4).setInt32(0, 7);
    const kind: 'shared' | 'unique' = view.kind;
    void kind;
  }
  const sum: number = buffer.withShared((view) => view.int32().reduce((a, b) => a + b, 0));
  const later: number = await buffer.withUnique(async (view) => view.length);

  const found: bigint = other.lookup('name');
  const waited: bigint = await other.lookup('name', { timeout: 10 });
  const idle: Promise<void> = region.waitIdle({ timeout: null });
  const holders: Holder[] = heap.holders(handle);
  const oldest: number | undefined = holders[0]?.age_ms;
  const copied: number = heap.stats().counters.copies.no_external_buffers.bytes;
  void [sum, later, found, waited, idle, oldest, copied, text];

  try {
    region.close();
  } catch (error) {
    if (error instanceof WeaveHeapError) {
      const code: ErrorCode = error.code;
      void [code, error.number, error.holders];
    }
    if (error instanceof BorrowConflictError) {
      const code: 'BorrowConflict' = error.code;
      const number: 4 = error.number;
      void [code, number];
    }
  }
}

export function refused(heap: Heap, region: Region, error: StaleHandleError): void {
  // @ts-expect-error heaps are made by static functions
  new Heap();
  // @ts-expect-error a handle is a bigint
  heap.buffer(17);
  // @ts-expect-error a limit is a number or a bigint
  region.alloc('64');
  // @ts-expect-error a name or a path, not both
  Heap.open('name', { path: 'path' });
  // @ts-expect-error lookup without options is no promise
  heap.lookup('name').then(() => undefined);
  // @ts-expect-error handles cannot be changed
  region.handle = 0n;
  // @ts-expect-error the code of this class is known
  const code: 'Borrowed' = error.code;
  void code;
}

// A table of Arrow's in a buffer of the heap, read where it lies. `Arrow` is a script of its own, which `index.html` loads.

/** A table under a view. */
export class HeapTable {
  #view;
  #bytes;
  #table;

  constructor(view) {
    this.#view = view;
  }

  /** Arrow's table. Its arrays are over the memory as it is now: when that has grown, they are made anew, without a copy. */
  get arrow() {
    const { bytes } = this.#view;
    if (this.#bytes !== bytes) {
      this.#table = globalThis.Arrow.tableFromIPC(bytes);
      this.#bytes = bytes;
    }
    return this.#table;
  }

  get rows() {
    return this.arrow.numRows;
  }

  /** The numbers of a column: `values`, and `at`, the byte of the buffer at which they begin. */
  column(name) {
    const data = this.arrow.getChild(name)?.data;
    if (data?.length !== 1) throw new Error(`the table has no column ${name} in one piece`);
    const { values } = data[0];
    return { values, at: values.byteOffset - this.#bytes.byteOffset };
  }

  /** True if a column's numbers are the bytes of the heap themselves. */
  inPlace(name) {
    const { values, at } = this.column(name);
    return values.buffer === this.#bytes.buffer && at >= 0 && at + values.byteLength <= this.#bytes.length;
  }
}

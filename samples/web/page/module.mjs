// The page's module in place of the package's own (the import map in `index.html` says so): it has the functions of the
// package, and those of the sample's Rust (`src/table.rs`), which the page calls through `rust`.

import { bind as bindAll } from './weaveheap_sample_web.js';

/** The functions of the sample's Rust, once `init` has loaded the module. */
export let rust;

export function bind() {
  const all = bindAll();
  const { count_ingest: countIngest, column_sum: columnSum, column_scale: columnScale } = all;
  rust = { countIngest, columnSum, columnScale };
  return all;
}

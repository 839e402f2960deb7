// Written by `cargo xtask gen`. Do not edit.

/** The version of the package. */
export const VERSION = '0.1.0';

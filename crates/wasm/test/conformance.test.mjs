// Every conformance case through this package, with the runner of the package `weaveheap`, whose API this is.

process.env.WEAVEHEAP_PACKAGE = new URL('../node.mjs', import.meta.url).href;
const { testCases } = await import('../../node/test/conformance_suite.mjs');

testCases(['shared', 'two_attachments', 'tokens', 'address', 'raw_text', 'validate_text']);

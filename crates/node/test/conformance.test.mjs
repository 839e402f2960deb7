// Every conformance case through this package.

import { testCases } from './conformance_suite.mjs';
import { useOwnFolder } from './support.mjs';

useOwnFolder();
testCases(['tokens', 'address', 'raw_text', 'validate_text']);

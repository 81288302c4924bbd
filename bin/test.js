/**
 * `npm test`: from a fresh checkout to the result of every suite. Arguments name compiled test files; without any, all run.
 *
 * The last line reads `N passed, N failed`, with `, N skipped` if a suite could not run here; each skipped test says why.
 */

import { requireBuild, requireDependencies, requireNode, ROOT } from './prepare.js';
import { provideSystemPackages } from './system-packages.js';

requireNode();
requireDependencies();
requireBuild();

const named = process.argv.slice(2);
// Named files say themselves what they miss.
if (named.length === 0) provideSystemPackages();
const { runTests } = await import('../dist/test/runner/main.js');
process.exitCode = await runTests(ROOT, named);

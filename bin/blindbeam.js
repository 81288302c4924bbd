#!/usr/bin/env node
/** The launcher of `npx blindbeam …`: checks the ground, then hands over to the compiled command line. */

import { requireBuild, requireDependencies, requireNode } from './prepare.js';

requireNode();
requireDependencies();
// Who asks a running node needs no newer build than there is: before a reload the sources are always newer.
const { OPERATOR_GROUPS = {} } = await import('../dist/bin/operator/groups.js').catch(() => ({}));
if (!Object.hasOwn(OPERATOR_GROUPS, process.argv[2] ?? '')) requireBuild();

const { main } = await import('../dist/bin/cli.js');
process.exitCode = await main(process.argv.slice(2));

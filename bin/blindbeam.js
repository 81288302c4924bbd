#!/usr/bin/env node
/** The launcher of `npx blindbeam …`: checks the ground, then hands over to the compiled command line. */

import { requireBuild, requireDependencies, requireNode } from './prepare.js';

requireNode();
requireDependencies();
requireBuild();

const { main } = await import('../dist/bin/cli.js');
process.exitCode = await main(process.argv.slice(2));

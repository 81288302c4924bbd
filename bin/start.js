/** `npm start`: from a fresh checkout to a running node. Arguments after `--` go to `blindbeam start`. */

import { requireBuild, requireDependencies, requireNode } from './prepare.js';

requireNode();
requireDependencies();
requireBuild();

const { main } = await import('../dist/bin/cli.js');
process.exitCode = await main(['start', ...process.argv.slice(2)]);

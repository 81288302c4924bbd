/**
 * Entry point of the proxy's process. Started by `control.ts` and by nothing else; its arguments are the server's URL, one in
 * how many, and for how many milliseconds. It ends with its parent.
 */

import { SlowProxy } from './slow-proxy.ts';

if (process.send === undefined) throw new Error('the slow proxy is started by the benchmark, not by hand');

const [url, every, delayMs] = process.argv.slice(2);
const target = new URL(url!);
const proxy = new SlowProxy(target, { every: Number(every), delayMs: Number(delayMs) });

process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);
process.send({ url: await proxy.listen(target.pathname) });

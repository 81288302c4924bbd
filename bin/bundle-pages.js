/**
 * The pages that a browser loads, made by esbuild from what tsc compiled: dist/web/. Part of the build; see `prepare.js`.
 */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OUT = join(ROOT, 'dist', 'web');

mkdirSync(OUT, { recursive: true });
await build({
  absWorkingDir: ROOT,
  entryPoints: { chat: 'dist/client/web/chat/main.js', console: 'dist/actors/console/page/main.js' },
  outdir: OUT,
  bundle: true,
  minify: true,
  // Redacted objects print the name of their class.
  keepNames: true,
  sourcemap: false,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'warning',
});
copyFileSync(join(ROOT, 'client/web/chat/page.html'), join(OUT, 'index.html'));
copyFileSync(join(ROOT, 'client/web/chat/page.css'), join(OUT, 'chat.css'));

const charts = createRequire(import.meta.url).resolve('uplot/dist/uPlot.min.css');
const page = join(ROOT, 'actors/console/page');
copyFileSync(join(page, 'page.html'), join(OUT, 'console.html'));
writeFileSync(
  join(OUT, 'console.css'),
  [charts, join(page, 'page.css')].map((path) => readFileSync(path, 'utf8')).join('\n'),
);

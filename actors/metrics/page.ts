/** The page docs/metrics.md, made from the catalogue. */

import { METRIC_NAMES, metricOf } from './catalogue.ts';

/** Label values beyond which a page says where they are from. */
const SHOWN_MAX = 8;

export function metricsPage(): string {
  const rows = METRIC_NAMES.map((name) => {
    const { kind, help, labels = {}, perWorker } = metricOf(name);
    const all = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${shown(values)}`);
    if (perWorker === true) all.push('`worker`');
    return `| \`${name}\` | ${kind} | ${help} | ${all.join('<br>')} |`;
  });
  return `# Metrics

<!-- Made by "npx blindbeam config metrics"; a test compares. -->

What \`/metrics\` tells, of all workers in one scrape ([operating.md](operating.md#health-and-metrics)). Figures of workers are summed up unless they have the label \`worker\`.

| metric | kind | meaning | labels |
|---|---|---|---|
${rows.join('\n')}
`;
}

function shown(values: readonly string[]): string {
  return values.length <= SHOWN_MAX ? values.join(', ') : `${values.slice(0, SHOWN_MAX).join(', ')} …`;
}

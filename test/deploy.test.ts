/**
 * What is in deploy/ speaks of metrics, settings and files by name: all of them are ours.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { METRIC_NAMES, metricOf, type MetricName } from '../actors/metrics/catalogue.ts';
import { environmentName, SETTING_NAMES } from '../actors/config/settings.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}

/** Everything in an expression that is not as the catalogue has it. */
function mistakesIn(expression: string): string[] {
  const mistakes: string[] = [];
  for (const [, name, selectors] of expression.matchAll(/\b((?:blindbeam|process)_[a-z_]+)(?:\{([^}]*)\})?/g)) {
    const family = name!.replace(/_bucket$/, '') as MetricName;
    if (!METRIC_NAMES.includes(family)) mistakes.push(`no metric ${name}`);
    else if ((metricOf(family).kind === 'histogram') !== name!.endsWith('_bucket'))
      mistakes.push(`${name} is no bucket`);
    else mistakes.push(...mistakenLabels(family, selectors ?? ''));
  }
  return mistakes;
}

function mistakenLabels(name: MetricName, selectors: string): string[] {
  const { labels = {} } = metricOf(name);
  return [...selectors.matchAll(/([a-z_]+)(=~|!=|=)"([^"]*)"/g)].flatMap(([, label, operator, value]) => {
    if (label === 'job' || label === 'instance') return [];
    if (labels[label!] === undefined) return [`${name} has no label ${label}`];
    return operator === '=~' || labels[label!]!.includes(value!) ? [] : [`${name} has no ${label} ${value}`];
  });
}

t.test('alerts speak of metrics that there are, and say what to do', async (t) => {
  const { groups } = parse(read('deploy/alerts.yaml')) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  t.ok(rules.length > 10);
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    t.strictSame(mistakesIn(expr), [], alert);
    t.match(labels.severity, /^(page|ticket)$/, alert);
    t.ok(annotations.summary.length > 10 && annotations.action.length > 10, alert);
  }
});

t.test('the dashboard shows every metric, and none that is not there', async (t) => {
  interface Panel {
    readonly id: number;
    readonly targets?: readonly { readonly expr: string }[];
  }
  const dashboard = JSON.parse(read('deploy/grafana-dashboard.json')) as { readonly panels: readonly Panel[] };
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  for (const expression of expressions) t.strictSame(mistakesIn(expression), [], expression);
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  const all = `${read('deploy/grafana-dashboard.json')}${read('deploy/alerts.yaml')}`;
  for (const name of METRIC_NAMES) t.ok(all.includes(name), `${name} is shown or alerted on`);
});

t.test('a mistake that is planted is found', async (t) => {
  t.match(mistakesIn('rate(blindbeam_mesages_total[5m])'), [/no metric/]);
  t.match(mistakesIn('blindbeam_connections{state="gone"}'), [/has no state gone/]);
  t.match(mistakesIn('blindbeam_connections{user="a"}'), [/has no label user/]);
  t.match(mistakesIn('blindbeam_gc_pause_seconds'), [/is no bucket/]);
});

t.test('the image and the unit name settings and files that there are', async (t) => {
  const dockerfile = read('deploy/Dockerfile');
  const names = ['config', ...SETTING_NAMES].map(environmentName);
  for (const [name] of dockerfile.matchAll(/BLINDBEAM_[A-Z_]+/g)) t.ok(names.includes(name), name);
  t.match(dockerfile, /^USER node$/m);
  t.match(dockerfile, /^HEALTHCHECK /m);
  t.match(dockerfile, /^RUN npm run build /m, 'tsc alone makes neither the web chat nor the console');
  t.match(dockerfile, /^STOPSIGNAL SIGTERM$/m);
  const unit = read('deploy/blindbeam.service');
  for (const line of ['Type=notify', 'NotifyAccess=all', 'WatchdogSec=30', 'Restart=always', 'NoNewPrivileges=yes']) {
    t.ok(unit.split('\n').includes(line), line);
  }
  for (const [, path] of unit.matchAll(/\/opt\/blindbeam\/(\S+)/g)) t.ok(existsSync(join(ROOT, path!)), path);
});

/**
 * Reads the text format strictly and tells what is wrong with a scrape: the rules of `promtool check metrics` that matter, and ours.
 *
 * For tests, and for `blindbeam doctor`. Pure.
 *
 * Source: prometheus.io, "Exposition formats", text format 0.0.4; "Metric and label naming".
 */

interface Family {
  readonly name: string;
  help: string | undefined;
  type: string | undefined;
  readonly samples: ScrapedSample[];
}

/** One line of a scrape. */
export interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const UNITS = /_(milliseconds|ms|minutes|hours|days|kilobytes|megabytes|percent)(_|$)/;
/** What would tell one person from another, or grow with their number. */
const PERSONAL = /^(user|account|device|phone|number|address|ip|peer|session|group|message)(_id)?$/;
const SERIES_MAX = 200;

/** Everything that is wrong with `text`, a sentence each. */
export function lintMetrics(text: string): string[] {
  const problems: string[] = [];
  const families = readFamilies(text, problems);
  for (const family of families.values()) lintFamily(family, problems);
  return problems;
}

/** The samples of a scrape, for those who read figures; lines that do not parse are left out. */
export function readSamples(text: string): ScrapedSample[] {
  return [...readFamilies(text, []).values()].flatMap(({ samples }) => samples);
}

function readFamilies(text: string, problems: string[]): Map<string, Family> {
  const families = new Map<string, Family>();
  const family = (name: string): Family => {
    const known = families.get(name) ?? { name, help: undefined, type: undefined, samples: [] };
    families.set(name, known);
    return known;
  };
  if (!text.endsWith('\n')) problems.push('the text does not end with a line break');
  for (const line of text.split('\n')) readLine(line, family, families, problems);
  return families;
}

function readLine(
  line: string,
  family: (name: string) => Family,
  families: ReadonlyMap<string, Family>,
  problems: string[],
): void {
  if (line === '') return;
  const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
  if (keyword === 'HELP') {
    if (family(name!).help !== undefined) problems.push(`${name} has two lines of help`);
    family(name!).help = rest!;
  } else if (keyword === 'TYPE') {
    if (family(name!).samples.length > 0) problems.push(`the type of ${name} comes after its samples`);
    family(name!).type = rest!;
  } else if (!line.startsWith('#')) {
    const sample = readSample(line, problems);
    if (sample !== undefined) family(familyOf(sample.name, families)).samples.push(sample);
  }
}

function familyOf(name: string, families: ReadonlyMap<string, Family>): string {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return families.get(base)?.type === 'histogram' ? base : name;
}

function readSample(line: string, problems: string[]): ScrapedSample | undefined {
  const match = SAMPLE.exec(line);
  const labels = match === null ? undefined : readLabels(match[2] ?? '');
  if (match === null || labels === undefined) {
    problems.push(`not a sample: ${line}`);
    return undefined;
  }
  return { name: match[1]!, labels, value: Number(match[3]!.replace('Inf', 'Infinity')) };
}

function readLabels(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== '') {
    const match = LABEL.exec(rest);
    if (match === null || match[1]! in labels) return undefined;
    labels[match[1]!] = match[2]!;
    rest = rest.slice(match[0].length);
  }
  return labels;
}

function lintFamily({ name, help, type, samples }: Family, problems: string[]): void {
  const say = (problem: string): void => void problems.push(`${name}: ${problem}`);
  if (type === undefined || !/^(counter|gauge|histogram)$/.test(type)) say(`type is ${type ?? 'missing'}`);
  if (help === undefined || help.length < 10) say('help is missing');
  if (!/^(blindbeam|process)_[a-z0-9_]*[a-z0-9]$/.test(name)) say('name is not of the form blindbeam_x_y');
  if ((type === 'counter') !== name.endsWith('_total')) say('counters, and nothing else, end in _total');
  if (/_(count|sum|bucket)$/.test(name)) say('ends as a part of a histogram does');
  if (UNITS.test(name)) say('is not in a base unit');
  if (samples.length === 0) say('has no samples');
  const seen = new Set<string>();
  for (const sample of samples) {
    const key = `${sample.name}${JSON.stringify(sample.labels)}`;
    if (seen.has(key)) say(`a series stands twice: ${key}`);
    seen.add(key);
    for (const label of Object.keys(sample.labels)) if (PERSONAL.test(label)) say(`label ${label} is about one person`);
    if (type !== 'gauge' && !(sample.value >= 0)) say(`${key} is ${sample.value}`);
  }
  if (seen.size > SERIES_MAX) say(`${seen.size} series`);
  if (type === 'histogram') lintHistogram(samples, say);
}

/** Running counts do not fall, end at infinity, and agree with the count. */
function lintHistogram(samples: readonly ScrapedSample[], say: (problem: string) => void): void {
  const groups = new Map<string, ScrapedSample[]>();
  for (const sample of samples) {
    const key = JSON.stringify(Object.entries(sample.labels).filter(([label]) => label !== 'le'));
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const [key, group] of groups) {
    const buckets = group.filter((each) => each.name.endsWith('_bucket'));
    const count = group.find((each) => each.name.endsWith('_count'));
    if (!group.some((each) => each.name.endsWith('_sum')) || count === undefined) say(`${key} lacks its sum or count`);
    if (buckets.at(-1)?.labels['le'] !== '+Inf') say(`${key} does not end at +Inf`);
    if (buckets.at(-1)?.value !== count?.value) say(`${key}: the last bucket is not the count`);
    const bounds = buckets.map(({ labels }) => Number(labels['le']!.replace('Inf', 'Infinity')));
    if (bounds.some((bound, index) => index > 0 && !(bound > bounds[index - 1]!))) say(`${key}: bounds do not rise`);
    if (buckets.some(({ value }, index) => index > 0 && value < buckets[index - 1]!.value)) say(`${key}: counts fall`);
  }
}

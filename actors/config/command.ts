/**
 * The verb `blindbeam config`: shows and checks settings without starting anything.
 */

import { configOf } from '../config.ts';
import { checkLines, defaultFile, environmentLines, settingsPage, shownValue } from './report.ts';
import { SETTING_NAMES } from './settings.ts';
import { readSettings, type Environment, type Settings } from './sources.ts';
import { isStartupError } from '../errors.ts';
import { metricsPage } from '../metrics/page.ts';

const HELP = `Usage: blindbeam config check|env|default|doc|metrics|reload [--json] [options of blindbeam start]

  check    tells every setting with its value and where that is from; status 2 if one is wrong
  env      prints the settings as lines for the environment
  default  prints a configuration file with every setting at its default
  doc      prints docs/settings.md
  metrics  prints docs/metrics.md
  reload   has a running node read its settings again (blindbeam config reload --help)
`;

/** Runs `blindbeam config`. Resolves to the exit code. */
export async function runConfig(argv: readonly string[], environment: Environment = process.env): Promise<number> {
  const [action, ...rest] = argv;
  if (action === '--help' || action === '-h') return say(HELP);
  switch (action) {
    case 'default':
      return say(defaultFile());
    case 'doc':
      return say(settingsPage());
    case 'metrics':
      return say(metricsPage());
    case 'check':
    case 'env':
      return show(action, rest, environment);
    default:
      process.stderr.write(`${action === undefined ? '' : `blindbeam: there is no "config ${action}".\n\n`}${HELP}`);
      return 2;
  }
}

function show(action: 'check' | 'env', argv: readonly string[], environment: Environment): number {
  const isJson = argv.includes('--json');
  try {
    const settings = readSettings(
      argv.filter((argument) => argument !== '--json'),
      environment,
    );
    configOf(settings, environment);
    for (const warning of settings.warnings) process.stderr.write(`warning: ${warning}\n`);
    if (isJson) return say(`${JSON.stringify(reportOf(settings), null, 2)}\n`);
    return say(`${action === 'env' ? environmentLines(settings) : checkLines(settings)}\n`);
  } catch (error) {
    if (!isStartupError(error)) throw error;
    if (isJson)
      say(`${JSON.stringify({ ok: false, code: error.code, problems: error.message.split('\n') }, null, 2)}\n`);
    else process.stderr.write(`${error.code}: ${error.message}\n`);
    return 2;
  }
}

function reportOf(settings: Settings): object {
  const rows = SETTING_NAMES.map((name) => [
    name,
    { value: shownValue(name, settings), from: settings.provenance[name] },
  ]);
  return { ok: true, file: settings.file, warnings: settings.warnings, settings: Object.fromEntries(rows) };
}

function say(text: string): 0 {
  process.stdout.write(text);
  return 0;
}

/**
 * Settings in words: the lines of `--help`, a file to begin with, the page docs/settings.md, what holds and why. Pure; made from the
 * table, so that none of it can fall behind.
 */

import { COMPUTED_DEFAULTS, environmentName, SETTING_NAMES, settingOf, type SettingName } from './settings.ts';
import type { Settings } from './sources.ts';

/** The settings for `--help`, a line each. */
export function describeConfig(): string {
  const lines = SETTING_NAMES.map((name) => {
    const bounds = boundsOf(name);
    const rest = bounds === '' ? '' : `, ${bounds}`;
    return `  --${name.padEnd(22)} ${settingOf(name).help} (default ${shownDefault(name)}${rest})`;
  });
  return `  --${'config'.padEnd(22)} file with settings, YAML (npx blindbeam config default prints one)
${lines.join('\n')}

Each may stand in the environment instead, as ${environmentName('port')} and so on, or in a file that ${environmentName('port')}_FILE names;
npx blindbeam config check shows which holds. SIGHUP reads the file again.`;
}

/** A configuration file with every setting at its default, as comments. */
export function defaultFile(): string {
  const blocks = SETTING_NAMES.map((name) => {
    const { help, live } = settingOf(name);
    const bounds = boundsOf(name);
    return `# ${help}${bounds === '' ? '' : ` (${bounds})`}${live === true ? '; taken by a running node' : ''}\n#${name}: ${yamlValue(name)}\n`;
  });
  return `# Settings of a Blindbeam node. Take the "#" away from what you change; blindbeam config check --config FILE tells whether it is right.\n\n${blocks.join('\n')}`;
}

/** The page docs/settings.md. */
export function settingsPage(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { help, live } = settingOf(name);
    const bounds = boundsOf(name);
    const meaning = `${help}${bounds === '' ? '' : `; ${bounds}`}`.replaceAll('|', '\\|');
    return `| \`${name}\` | ${pageDefault(name)} | ${meaning} | ${live === true ? 'yes' : ''} |`;
  });
  return `# Settings

<!-- Made by "npx blindbeam config doc"; a test compares. -->

A setting is taken from the first place that has it:

1. the command line: \`--store-bytes 1000000\`;
2. the environment: \`BLINDBEAM_STORE_BYTES=1000000\`, or \`BLINDBEAM_STORE_BYTES_FILE=/run/secrets/x\`, a file with the value;
3. the file that \`--config\` or \`BLINDBEAM_CONFIG\` names, YAML: \`store-bytes: 1000000\`;
4. the default.

\`npx blindbeam config check --config FILE\` tells what holds and from where. A name that does not exist is an error. Those marked *live* are taken by a
running node when it gets SIGHUP; of the others it says in its log that they wait for a restart.

| setting | default | meaning | live |
|---|---|---|---|
${rows.join('\n')}

Credentials of an object store stand in \`AWS_ACCESS_KEY_ID\` and \`AWS_SECRET_ACCESS_KEY\`, or in files that \`AWS_ACCESS_KEY_ID_FILE\` and
\`AWS_SECRET_ACCESS_KEY_FILE\` name.
`;
}

/** The names in the environment, with the values that hold now. */
export function environmentLines(settings: Settings): string {
  return SETTING_NAMES.map((name) => `${environmentName(name)}=${shownValue(name, settings)}`).join('\n');
}

/** What holds, and where it is from: a line for each setting. */
export function checkLines(settings: Settings): string {
  const width = Math.max(...SETTING_NAMES.map((name) => name.length));
  const valueWidth = Math.min(40, Math.max(...SETTING_NAMES.map((name) => shownValue(name, settings).length)));
  return SETTING_NAMES.map(
    (name) => `${name.padEnd(width)}  ${shownValue(name, settings).padEnd(valueWidth)}  ${settings.provenance[name]}`,
  ).join('\n');
}

/** The value as it may be shown. */
export function shownValue(name: SettingName, { values }: Settings): string {
  return settingOf(name).secret === true && values[name] !== '' ? '(secret)' : String(values[name]);
}

function boundsOf(name: SettingName): string {
  const setting = settingOf(name);
  if (setting.kind === 'integer') return `${setting.min} to ${setting.max}`;
  return setting.kind === 'choice' ? `one of ${setting.choices.join(', ')}` : '';
}

function shownDefault(name: SettingName): string {
  const value = String(settingOf(name).default);
  return value === '' ? 'none' : value;
}

function pageDefault(name: SettingName): string {
  return COMPUTED_DEFAULTS[name] ?? (settingOf(name).default === '' ? 'none' : `\`${settingOf(name).default}\``);
}

function yamlValue(name: SettingName): string {
  const { default: value, kind } = settingOf(name);
  return kind === 'integer' ? String(value) : JSON.stringify(value);
}

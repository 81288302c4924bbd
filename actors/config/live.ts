/**
 * Taking new settings while the node runs: what has changed, what of it is taken, and what waits for a restart. Pure; `../node-control.ts`
 * reads the sources again and has the changes taken.
 */

import { shownValue } from './report.ts';
import { SETTING_NAMES, settingOf, type SettingName } from './settings.ts';
import type { Settings } from './sources.ts';

/** One setting that is another than before. */
export interface SettingChange {
  readonly name: SettingName;
  readonly before: string;
  readonly now: string;
  /** Whether the running node takes it; otherwise it needs a restart. */
  readonly live: boolean;
}

export function compareSettings(before: Settings, now: Settings): SettingChange[] {
  return SETTING_NAMES.filter((name) => before.values[name] !== now.values[name]).map((name) => ({
    name,
    before: shownValue(name, before),
    now: shownValue(name, now),
    live: settingOf(name).live === true && !changesWhetherTls(name, before, now),
  }));
}

/** Another certificate is taken; to begin with one, or to end it, would change what every client dials. */
function changesWhetherTls(name: SettingName, before: Settings, now: Settings): boolean {
  return name.startsWith('tls-') && (before.values[name] === '') !== (now.values[name] === '');
}

/** The settings to run under: of `now` what is taken, of `before` the rest. */
export function takenSettings(before: Settings, now: Settings): Settings {
  const values = { ...before.values };
  const provenance = { ...before.provenance };
  for (const { name, live } of compareSettings(before, now)) {
    if (!live) continue;
    values[name] = now.values[name];
    provenance[name] = now.provenance[name];
  }
  return { values, provenance, file: now.file, warnings: now.warnings };
}

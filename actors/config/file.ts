/**
 * The configuration file: YAML 1.2, one flat mapping from names of settings to values. The only importer of yaml.
 *
 * It knows no settings; it says where each name stands, so that a mistake can be found.
 */

import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';

/** One line of the file. */
export interface FileEntry {
  readonly name: string;
  readonly value: unknown;
  /** From 1. */
  readonly line: number;
}

/** Reads the text of a configuration file. Never throws on input; a name that stands twice is a problem. */
export function readConfigFile(
  text: string,
): { readonly entries: readonly FileEntry[] } | { readonly problem: string } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) return { problem: error.message.split('\n')[0]!.replace(/[:.]$/, '') };
  if (document.contents === null) return { entries: [] };
  return entriesOf(document, lines);
}

function entriesOf(
  { contents }: Document,
  lines: LineCounter,
): { readonly entries: readonly FileEntry[] } | { readonly problem: string } {
  if (!isMap(contents)) return { problem: 'expected lines such as "port: 7400"' };
  const entries: FileEntry[] = [];
  for (const { key, value } of contents.items) {
    if (!isScalar(key) || key.range == null) return { problem: 'expected names of settings' };
    const { line } = lines.linePos(key.range[0]);
    // A name without a value is a setting that somebody meant to fill in.
    const given: unknown = isScalar(value) ? value.value : value === null ? null : {};
    entries.push({ name: String(key.value), value: given, line });
  }
  return { entries };
}

/**
 * What a test file said, read from its TAP: which tests passed, failed and were skipped, how often each asserted, and whether it came to
 * its end. Knows nothing of processes; run-files.ts starts them.
 */

/** Tests of a file, at every depth; assertions are no tests. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** Names and reasons, as TAP writes them. */
  readonly skipped: readonly string[];
}

/** Counts the points of `text` that are tests: those carry a time, or say that they were left out. */
export function summarize(text: string): Summary {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const line of text.split('\n')) {
    const point = /^ *(not )?ok \d+ (?:- )?(.*# (time=|SKIP).*)$/i.exec(line);
    if (point === null) continue;
    if (point[3]!.toLowerCase() !== 'time=') skipped.push(unescape(point[2]!));
    else if (point[1] === undefined) passed++;
    else failed++;
  }
  return { passed, failed, skipped };
}

/** Whether the text has its plan, which stands at the end, and no failure. */
export function isWhole(text: string): boolean {
  return /^1\.\.[1-9]/m.test(text) && !hasFailure(text);
}

/** Whether the file as a whole was left out, with a reason. */
export function isSkipped(text: string): boolean {
  return /^1\.\.0 # ./m.test(text) && !hasFailure(text);
}

function hasFailure(text: string): boolean {
  return /^ *not ok/m.test(text);
}

/**
 * The points that failed, each with all that tap says of it, and what the tests said in comments: somebody may have no more than this to
 * find out why.
 */
export function failuresIn(text: string): string {
  const kept: string[] = [];
  let last: string | undefined;
  let indent: string | undefined;
  for (const line of text.split('\n')) {
    // Within what is said of a failure, where a difference may look like a point of its own.
    if (last !== undefined) {
      kept.push(line);
      if (line === last) last = undefined;
    } else if (indent !== undefined && line === `${indent}  ---`) {
      kept.push(line);
      last = `${indent}  ...`;
    } else if (/^ *(not ok |# (?!Subtest|time=|\{))/.test(line)) {
      kept.push(line);
    }
    indent = /^( *)not ok /.exec(line)?.[1];
  }
  return kept.join('\n');
}

/** Assertions by the name of the top-level test; `''` for those outside of any. */
export type Counts = ReadonlyMap<string, number>;

/** Counts the points that are assertions: those of whole tests carry a time, and skipped ones say so. */
export function countAssertions(text: string): Counts {
  const counts = new Map<string, number>();
  let name = '';
  for (const line of text.split('\n')) {
    const subtest = /^# Subtest: (.*)$/.exec(line);
    if (subtest !== null) name = unescape(subtest[1]!);
    else if (/^(not )?ok \d+ .*# time=/.test(line)) name = '';
    else if (/^ *(not )?ok \d+(?!.*# (time=|SKIP))/.test(line)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function unescape(name: string): string {
  return name.replace(/\\([#\\])/g, '$1');
}

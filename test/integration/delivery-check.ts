/**
 * What must hold of a conversation after any number of crashes, as a pure check over what was sent and received.
 */

export interface Transcript {
  /** Texts in the order of sending; no two alike. */
  readonly sent: readonly string[];
  /** Those whose sender saw the first check mark. */
  readonly acknowledged: ReadonlySet<string>;
  /** Texts in the order in which the application got them. */
  readonly received: readonly string[];
}

/** The faults of a transcript, in sentences; none means: every acknowledged message once, all in order. */
export function findFaults({ sent, acknowledged, received }: Transcript): string[] {
  const faults: string[] = [];
  const place = new Map(sent.map((text, index) => [text, index]));
  const counts = new Map<string, number>();
  let last = -1;
  for (const text of received) {
    const at = place.get(text);
    counts.set(text, (counts.get(text) ?? 0) + 1);
    if (at === undefined) faults.push(`"${text}" was never sent`);
    else if (at < last) faults.push(`"${text}" came after "${sent[last]}"`);
    else last = at;
  }
  for (const text of acknowledged) if (!counts.has(text)) faults.push(`"${text}" was acknowledged and is lost`);
  for (const [text, count] of counts) if (count > 1) faults.push(`"${text}" came ${count} times`);
  return faults;
}

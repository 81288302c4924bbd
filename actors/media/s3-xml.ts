/**
 * What is read of an object store's XML: texts of elements by name. Pure.
 *
 * The answers of S3 are flat and without attributes that matter, and come from the endpoint that the operator has set; so a look for
 * the elements' names is enough, and a document that is anything else gives `undefined`.
 */

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** The text of the first element of that name. */
export function textOf(xml: string, name: string): string | undefined {
  const [element] = elementsOf(xml, name);
  return element?.replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, named) => {
    if (named !== undefined) return ENTITIES[named as string] ?? (whole as string);
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal));
  });
}

/** What stands inside of each element of that name, in order. */
export function elementsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map((match) => match[1]!);
}

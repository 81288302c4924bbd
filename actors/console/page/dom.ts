/** Elements without templates and without HTML in texts: what a node tells is always text here. */

export type Child = Node | string | undefined;

/** Finds what `page.html` has. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (found === null) throw new TypeError(`the page has no #${id}`);
  return found as E;
}

/** Makes an element; `attributes` that are undefined are left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

export function button(label: string, onClick: () => void, className: string = 'small'): HTMLButtonElement {
  const made = element('button', { type: 'button', class: className }, label);
  made.addEventListener('click', onClick);
  return made;
}

/** A cell: text, or text to the right for figures, or an element. */
export type Cell = string | { readonly right: string } | Node;

export function fillTable(
  table: HTMLElement,
  caption: string,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
): void {
  const isRight = head.map((_, column) => rows.some((row) => isRightCell(row[column])));
  const headRow = element(
    'tr',
    {},
    ...head.map((title, column) =>
      element('th', { scope: 'col', class: isRight[column] ? 'right' : undefined }, title),
    ),
  );
  const body = rows.map((row) => element('tr', {}, ...row.map(cell)));
  const isSame = table.querySelector('caption')?.textContent === caption;
  // The caption stays in place, so that a reader of the screen is not sent back to it with each frame.
  if (!isSame) table.replaceChildren(element('caption', {}, caption), element('thead', {}, headRow), element('tbody'));
  else table.querySelector('thead')!.replaceChildren(headRow);
  table.querySelector('tbody')!.replaceChildren(...body);
}

function isRightCell(value: Cell | undefined): boolean {
  return typeof value === 'object' && !(value instanceof Node);
}

function cell(value: Cell): HTMLElement {
  if (typeof value === 'string') return element('td', {}, value);
  if (value instanceof Node) return element('td', {}, value);
  return element('td', { class: 'right' }, value.right);
}

// --- figures ----------------------------------------------------------------------------------------------------

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  const amount = value / 1024 ** unit;
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

export function percent(share: number): string {
  const value = share * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (part: number): string => String(part).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
}

export function time(ms: number): string {
  return new Date(ms).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}

/**
 * Elements without markup: text goes in as text, so nothing that a peer wrote is ever read as HTML.
 */

type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[Tag], 'style' | 'dataset' | 'children'>
> & {
  readonly data?: Readonly<Record<string, string>>;
  readonly aria?: Readonly<Record<string, string>>;
};

type Child = Node | string | undefined | false;

/** Makes an element. Children that are `undefined` or `false` are left out. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { data = {}, aria = {}, ...properties }: Properties<Tag> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child): child is Node | string => child !== undefined && child !== false));
  return element;
}

/** A button that says what it does. */
export function button(label: string, onclick: () => unknown, className = ''): HTMLButtonElement {
  return make('button', { type: 'button', className, onclick: () => void onclick() }, label);
}

/** A button of one sign, with its name for who does not see it. */
export function signButton(sign: string, label: string, onclick: () => unknown): HTMLButtonElement {
  return make(
    'button',
    { type: 'button', className: 'sign', title: label, aria: { label }, onclick: () => void onclick() },
    sign,
  );
}

/**
 * Makes the children of `parent` those of `wanted`, in that order, and touches only what differs: so that the focus, a
 * selection and the place of scrolling stay.
 */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  wanted.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  while (parent.children.length > wanted.length) parent.lastElementChild!.remove();
}

/**
 * Nodes that belong to data, by a name: `show` gives the node of an item again for as long as what it shows is the same.
 */
export class Nodes<Item> {
  readonly #draw: (item: Item) => HTMLElement;
  #held = new Map<string, { readonly shown: string; readonly node: HTMLElement }>();

  constructor(draw: (item: Item) => HTMLElement) {
    this.#draw = draw;
  }

  /** @param items - By name, and with everything that their look depends on as a text. */
  show(items: readonly { readonly name: string; readonly shown: string; readonly item: Item }[]): HTMLElement[] {
    const next = new Map<string, { readonly shown: string; readonly node: HTMLElement }>();
    for (const { name, shown, item } of items) {
      const held = this.#held.get(name);
      next.set(name, held?.shown === shown ? held : { shown, node: this.#draw(item) });
    }
    this.#held = next;
    return [...next.values()].map(({ node }) => node);
  }
}

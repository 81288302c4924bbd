/**
 * The way in: a phone number and its code, or the code that an own device approves.
 */

import { codeOf, describeCode } from '../index.ts';
import type { Client } from '../index.ts';
import { button, make } from './dom.ts';
import { qrNode } from './qr-view.ts';
import { phoneIn } from './words.ts';

/** Shows the way in. Resolves when the client has an account. */
export function enter(root: HTMLElement, client: Client): Promise<void> {
  return new Promise((resolve) => new Entrance(root, client, resolve).askPhone());
}

class Entrance {
  readonly #root: HTMLElement;
  readonly #client: Client;
  readonly #entered: () => void;

  constructor(root: HTMLElement, client: Client, entered: () => void) {
    this.#root = root;
    this.#client = client;
    this.#entered = entered;
  }

  askPhone(): void {
    const phone = make('input', {
      type: 'tel',
      name: 'phone',
      required: true,
      autocomplete: 'tel',
      placeholder: '+49 151 00000001',
    });
    this.#show(
      make('p', {}, 'End-to-end encrypted: the keys are made in this browser and stay in it.'),
      this.#form(
        'Send me a code',
        async () => {
          const number = phoneIn(phone.value);
          this.#askCode(number, await this.#client.requestCode(number));
        },
        make('label', {}, 'Your phone number', phone),
      ),
      make(
        'p',
        {},
        'You use Blindbeam on another device already? ',
        button('Link this browser', () => this.#link()),
      ),
    );
    phone.focus();
  }

  #askCode(phone: string, seconds: number): void {
    const code = make('input', {
      name: 'code',
      inputMode: 'numeric',
      required: true,
      autocomplete: 'one-time-code',
      pattern: '[0-9]{6}',
    });
    this.#show(
      make(
        'p',
        {},
        `A code of six digits is on its way to ${phone}. It is good for ${Math.ceil(seconds / 60)} minutes.`,
      ),
      this.#form(
        'Register',
        async () => {
          await this.#client.confirmCode(phone, code.value);
          this.#entered();
        },
        make('label', {}, 'Code', code),
      ),
      button('Another number', () => this.askPhone()),
    );
    code.focus();
  }

  async #link(): Promise<void> {
    const problem = make('p', { className: 'problem', role: 'alert' });
    const shown = make('div', { className: 'code' }, 'Asking the server …');
    this.#show(
      make('p', {}, 'On your first device choose “Link a device” (in the terminal: /approve) and give it this code:'),
      shown,
      problem,
      button('Back', () => (cancel(), this.askPhone())),
    );
    let cancel: () => void = () => undefined;
    try {
      const linking = await this.#client.beginLinking(browserName());
      cancel = () => linking.cancel();
      shown.replaceChildren(qrNode(linking.code, 'The code as a picture'), linking.code);
      await linking.linked;
      this.#entered();
    } catch (error) {
      problem.textContent = describeCode(codeOf(error));
    }
  }

  #form(label: string, submit: () => Promise<void>, ...fields: readonly HTMLElement[]): HTMLFormElement {
    const problem = make('p', { className: 'problem', role: 'alert' });
    const send = make('button', { className: 'primary' }, label);
    const onsubmit = async (event: Event): Promise<void> => {
      event.preventDefault();
      send.disabled = true;
      problem.textContent = '';
      try {
        await submit();
      } catch (error) {
        problem.textContent = describeCode(codeOf(error));
        send.disabled = false;
      }
    };
    return make('form', { onsubmit: (event: Event) => void onsubmit(event) }, ...fields, send, problem);
  }

  #show(...content: readonly HTMLElement[]): void {
    this.#root.replaceChildren(make('section', { className: 'entrance' }, make('h1', {}, 'Blindbeam'), ...content));
  }
}

/** What the approving device is shown. */
function browserName(): string {
  const [name = 'Browser'] = /Firefox|Edg|Chrome|Safari/.exec(navigator.userAgent) ?? [];
  return name === 'Edg' ? 'Edge' : name;
}

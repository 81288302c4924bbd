/**
 * `/privacy`, `/receipts`, `/approve`, `/devices` and `/unlink`: what holds for the account, whoever it is that one writes with. They know the model only
 * through what they are given.
 */

import { ClientError, decodeLinkCode } from '../../index.ts';
import type { Audience, Client } from '../../index.ts';
import type { Notice } from './model.ts';

/** Carries the commands out. What the SDK refuses is thrown. */
export class AccountCommands {
  readonly #client: Client;
  readonly #notice: Notice;

  constructor(client: Client, notice: Notice) {
    this.#client = client;
    this.#notice = notice;
  }

  /** Shows or chooses who may see that somebody is here and types. */
  async choosePrivacy(audience: string): Promise<void> {
    if (audience === '') {
      const { audience: present } = await this.#client.privacy();
      return this.#notice(`You are seen online and typing by ${present}.`);
    }
    if (!isAudience(audience)) return this.#notice('/privacy expected everyone, contacts or nobody', 'warning');
    const { shown, hidden } = await this.#client.privacy();
    await this.#client.setPrivacy({ audience, shown, hidden });
    this.#notice(`You are seen online and typing by ${audience}. Contacts are those to whom you have written.`);
  }

  /** Shows or chooses with whom read receipts are exchanged. */
  async chooseReceipts(audience: string): Promise<void> {
    if (audience === '') return this.#notice(`Read receipts are exchanged with ${this.#client.readReceipts}.`);
    if (!isAudience(audience)) return this.#notice('/receipts expected everyone, contacts or nobody', 'warning');
    await this.#client.setReadReceipts(audience);
    this.#notice(`Read receipts are exchanged with ${audience}: whom you do not tell, does not tell you.`);
  }

  /** Links the device that shows `code`. */
  async approve(code: string): Promise<void> {
    const scanned = decodeLinkCode(code);
    if (scanned === undefined) throw new ClientError('CLI_LINK_CODE_INVALID');
    const device = await this.#client.approveLink(code);
    this.#notice(`Linked ${scanned.name === '' ? 'a device' : `"${scanned.name}"`} as device ${device}.`);
  }

  /** Names the devices of the account. */
  async showDevices(): Promise<void> {
    for (const { id, isPrimary, isThis } of await this.#client.devices()) {
      this.#notice(`Device ${id}${isPrimary ? ', the primary one' : ''}${isThis ? ', this one' : ''}.`);
    }
  }

  /** @param number - Of the device that is to go. */
  async unlink(number: string): Promise<void> {
    if (!/^[0-9]{1,3}$/.test(number))
      return this.#notice('/unlink expected the number of a device, see /devices', 'warning');
    await this.#client.unlinkDevice(Number(number));
    this.#notice(`Device ${number} is unlinked. It keeps what it has, and gets nothing further.`);
  }
}

function isAudience(text: string): text is Audience {
  return text === 'everyone' || text === 'contacts' || text === 'nobody';
}

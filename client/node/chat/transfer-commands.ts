/**
 * `/transfer`: the history to a new device, as the chat asks for it, grants it and tells of it.
 */

import { describeCode } from '../../index.ts';
import type { Client, TransferInfo } from '../../index.ts';
import type { Notice } from './model.ts';

const TRANSFER_HELP =
  '/transfer on a new device asks the primary one for the history. There: /transfer allow NUMBER, /transfer refuse NUMBER. /transfer stop ends it.';

/** Commands and news about transfers. */
export class TransferCommands {
  readonly #client: Client;
  readonly #notice: Notice;
  /** The quarter that was told last, by device and direction. */
  readonly #told = new Map<string, number>();

  constructor(client: Client, notice: Notice) {
    this.#client = client;
    this.#notice = notice;
  }

  /** @param words - What stands behind `/transfer`. @throws {ClientError} As the client's methods. */
  async run(words: string): Promise<void> {
    const [verb = '', number = ''] = words.split(/\s+/);
    if (verb === '') return this.#ask();
    if (verb === 'stop') return this.#client.cancelHistory();
    const isForDevice = (verb === 'allow' || verb === 'refuse') && /^[0-9]{1,3}$/.test(number);
    if (!isForDevice) return this.#notice(TRANSFER_HELP, 'warning');
    const device = Number(number);
    return verb === 'allow' ? this.#client.approveHistory(device) : this.#client.declineHistory(device);
  }

  async #ask(): Promise<void> {
    await this.#client.requestHistory();
    this.#notice('The primary device is asked for the history. It has to be at hand: /transfer allow there.');
  }

  /** A line about news; undefined where there is nothing new to say. */
  describe({ device, direction, state, transferred, total, code }: TransferInfo): string | undefined {
    const name = `${direction} ${device}`;
    const verb = direction === 'in' ? 'Receiving' : 'Sending';
    switch (state) {
      case 'asked':
        return `Device ${device} asks for the history: /transfer allow ${device} or /transfer refuse ${device}.`;
      case 'running': {
        const quarter = total === 0 ? 0 : Math.floor((4 * transferred) / total);
        if (quarter <= (this.#told.get(name) ?? 0)) return undefined;
        this.#told.set(name, quarter);
        return `${verb} the history: ${quarter * 25} %`;
      }
      case 'done':
        this.#told.delete(name);
        return direction === 'in'
          ? `The history is here: ${transferred} messages.`
          : `Device ${device} has the history.`;
      case 'failed':
        this.#told.delete(name);
        return `The history did not come through: ${describeCode(code!)}`;
    }
  }
}

/** A device in a process of its own, as `device.fixture.ts` runs it. */

import type { Test } from 'tap';
import type { Operations } from './device.fixture.ts';
import { RemoteProcess } from './remote-process.ts';

/** One device, in its process. */
export class RemoteDevice extends RemoteProcess<Operations> {
  readonly owner: string;

  /** @param directory - Of its store; what an earlier process of it has left there is taken up. */
  constructor(t: Test, owner: string, kind: string, url: string, directory: string) {
    super(t, `${owner}'s ${kind}`, new URL('./device.fixture.js', import.meta.url), [url, directory]);
    this.owner = owner;
  }
}

/**
 * A small world for tests: one virtual clock, one fake server, and people with clients on disks that can crash.
 */

import { createClient } from '../client.ts';
import type { Client } from '../client.ts';
import type { ClientEvent } from '../events.ts';
import type { ReceivedMessage } from '../messages.ts';
import type { IdentityPolicy } from '../identities.ts';
import type { StrangersPolicy } from '../protection.ts';
import type { Fetch } from '../media-http.ts';
import type { Transport, TransportListener, TransportSocket } from '../transport.ts';
import { CrashDisk } from './crashing-store.ts';
import { FakeMedia } from './fake-media.ts';
import { CODE, FakeServer } from './fake-server.ts';
import { SeededRandom } from './seeded-random.ts';
import { settle, VirtualClock } from './virtual-clock.ts';

/** Numbers that tests use. */
export const ALICE = '+4915100000001';
export const BOB = '+4915100000002';

/** Somebody with a phone. The disk stays when the client goes. */
export class Person {
  readonly phone: string;
  readonly disk: CrashDisk = new CrashDisk();
  readonly events: ClientEvent[] = [];
  readonly #world: World;
  #client: Client | undefined;
  #cable: Cable | undefined;

  constructor(world: World, phone: string) {
    this.#world = world;
    this.phone = phone;
  }

  get client(): Client {
    return this.#client!;
  }

  /** Ends the process of the client, as a crash does: nothing of it reaches disk or server any more. */
  kill(): void {
    this.#cable?.cut();
  }

  /** Makes a client on this person's disk, as a start of the program does. An earlier client is killed, not closed. */
  async start(trustIdentity?: IdentityPolicy, strangers?: StrangersPolicy): Promise<Client> {
    const { server, clock, random } = this.#world;
    this.kill();
    this.#cable = new Cable(server.transport);
    const cable = this.#cable;
    const fetch = cable.carry(this.#world.media.fetch);
    const options = { url: 'ws://test', transport: cable, clock, random, fetch };
    const store = await this.disk.open();
    this.#client = await createClient({
      ...options,
      store,
      ...(trustIdentity && { trustIdentity }),
      ...(strangers && { strangers }),
    });
    this.#client.onEvent((event) => this.events.push(event));
    return this.#client;
  }

  /** A second client of the same device, on a copy of the disk, as after copying a store directory. */
  async twin(): Promise<Client> {
    const { server, clock, random } = this.#world;
    const store = await this.disk.copy().open();
    return createClient({ url: 'ws://test', transport: server.transport, clock, random, store });
  }

  /** Starts, registers and connects. @param strangers - What the account lets them do; as the client has it if not given. */
  async join(strangers?: StrangersPolicy): Promise<this> {
    await this.start(undefined, strangers);
    await this.client.requestCode(this.phone);
    await this.client.confirmCode(this.phone, CODE);
    await this.client.connect();
    return this;
  }

  get user(): string {
    return this.client.account!.user;
  }

  /** Events of one type so far. */
  eventsOf<Type extends ClientEvent['type']>(type: Type): Extract<ClientEvent, { readonly type: Type }>[] {
    return this.events.filter((event) => event.type === type) as Extract<ClientEvent, { readonly type: Type }>[];
  }

  /** Takes `count` messages off the loop, consuming them. */
  async take(count: number): Promise<ReceivedMessage[]> {
    const taken: ReceivedMessage[] = [];
    for await (const message of this.client.messages()) {
      taken.push(message);
      if (taken.length === count) break;
    }
    return taken;
  }

  /** Texts received according to the store, oldest first; a placeholder shows its code. */
  async texts(from: string): Promise<string[]> {
    const items = await this.client.history(from, { limit: 256 });
    return items
      .filter((item) => item.direction === 'in')
      .map((item) => (item.kind === 'undecryptable' ? item.code : item.text));
  }
}

/** A transport that can be cut off behind the client's back, for good. */
class Cable implements Transport {
  readonly #base: Transport;
  readonly #sockets: TransportSocket[] = [];
  #isCut = false;

  constructor(base: Transport) {
    this.#base = base;
  }

  dial(url: string, listener: TransportListener): TransportSocket {
    if (this.#isCut) return { send: () => {}, close: () => {} };
    const socket = this.#base.dial(url, {
      onMessage: (bytes) => !this.#isCut && listener.onMessage(bytes),
      onClose: (close) => !this.#isCut && listener.onClose(close),
    });
    this.#sockets.push(socket);
    return { send: (bytes) => !this.#isCut && socket.send(bytes), close: () => socket.close() };
  }

  /** The same for files. */
  carry(fetch: Fetch): Fetch {
    // A request of a process that is gone has no end.
    return (url, init) => (this.#isCut ? new Promise(() => {}) : fetch(url, init));
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.close();
  }
}

/** Clock, server and randomness of one test. */
export class World {
  readonly clock: VirtualClock = new VirtualClock();
  readonly random: SeededRandom;
  readonly server: FakeServer;
  readonly media: FakeMedia = new FakeMedia();

  constructor(seed: number = 1) {
    this.random = new SeededRandom(seed);
    this.server = new FakeServer(this.clock, this.random);
  }

  person(phone: string): Person {
    return new Person(this, phone);
  }

  /** Alice and Bob, registered and live. */
  async pair(): Promise<[Person, Person]> {
    const alice = await this.person(ALICE).join();
    const bob = await this.person(BOB).join();
    return [alice, bob];
  }

  /** One more device of somebody, linked and live. */
  async link(primary: Person): Promise<Person> {
    const second = this.person(primary.phone);
    const client = await second.start();
    const { code, linked } = await client.beginLinking('laptop');
    await primary.client.approveLink(code);
    await linked;
    await client.connect();
    await this.quiet();
    return second;
  }

  /** Lets everything happen that is under way. */
  async quiet(): Promise<void> {
    for (let round = 0; round < 20; round += 1) await this.pass(1);
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  settle(): Promise<void> {
    return settle();
  }
}

/**
 * A generator: opens its connections, then runs the phases that it is told to. Everything that a generator process does,
 * without the process; `main.ts` adds that.
 */

import { FEATURES } from '../../protocol/wire/index.ts';
import { BenchError, isBenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { connectionsOfProcess } from '../harness/descriptors.ts';
import { LIMITS } from '../limits.ts';
import { makeAccountKeys, opaqueBytes } from './account-keys.ts';
import { BacklogLoad } from './backlog-load.ts';
import type { Connection, Speaker } from './connection.ts';
import { SUBPROTOCOL, type GeneratorCommand, type GeneratorEvent, type PairPhones } from './control.ts';
import { EchoLoad } from './echo-load.ts';
import { loadOf, type Load, type RunPlan } from './measured-run.ts';
import { descriptorsToHandOver, NativePairs } from './native-pairs.ts';
import { buildNative } from './native-program.ts';
import { GroupLoad } from './group-load.ts';
import { PairLoad } from './pair-load.ts';
import { mapWithBound, Registrar, type OpenedAccount, type Registration } from './registrar.ts';
import { StormLoad } from './storm-load.ts';
import { XmppLine, XmppOutbox } from './xmpp-line.ts';
import { XmppLoad } from './xmpp-load.ts';

/** User ids of the bare relay, which knows no accounts: 15 digits. */
const RELAY_USER_FIRST = 100_000_000_000_000;

/** Both ends of a conversation, and what its sender says. */
interface OpenedPair {
  readonly sender: OpenedAccount;
  readonly recipient: OpenedAccount;
  readonly ciphertext: Uint8Array;
}

/** The load of `offline`, and where its devices come back to. */
interface Backlogs {
  readonly url: URL;
  readonly load: BacklogLoad;
}

type OpenBacklogs = Extract<GeneratorCommand, { kind: 'open-backlogs' }>;

/** The store is new, so any id is free. */
const BENCH_GROUP = '700000000000007';

export class Generator {
  readonly #clock: Clock;
  readonly #tell: (event: GeneratorEvent) => void;
  readonly #registrar: Registrar;
  readonly #xmppLines: XmppLine[] = [];
  #load: Load | undefined = undefined;
  #storm: StormLoad | undefined = undefined;
  #backlogs: Backlogs | undefined = undefined;

  /** @param tell - Takes what the parent is to know. */
  constructor(clock: Clock, tell: (event: GeneratorEvent) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.#registrar = new Registrar(clock);
  }

  /** Carries out a command. What goes wrong is told as `failed`, never thrown. */
  take(command: GeneratorCommand): void {
    if (command.kind === 'code') return this.#registrar.takeCode(command.phone, command.code);
    this.#carryOut(command).catch((error: unknown) => this.#tell(failure(error)));
  }

  /** Closes all connections. */
  close(): void {
    this.#storm?.close();
    void this.#load?.close?.();
    this.#registrar.close();
    for (const line of this.#xmppLines) line.close();
  }

  async #carryOut(command: Exclude<GeneratorCommand, { kind: 'code' }>): Promise<void> {
    switch (command.kind) {
      case 'open-pairs':
        return this.#beginPairs(await this.#openPairs(command), command.native);
      case 'open-echo':
        this.#load = loadOf(await this.#openEcho(command), this.#clock);
        return this.#tell({ kind: 'opened' });
      case 'open-relay':
        return this.#beginPairs(await this.#openRelay(command), command.native);
      case 'open-xmpp':
        this.#load = loadOf(await this.#openXmpp(command), this.#clock);
        return this.#tell({ kind: 'opened' });
      case 'open-xmpp-clients':
        await this.#openXmppClients(command);
        return this.#tell({ kind: 'opened' });
      case 'run':
        return this.#run(command.plan);
      case 'open-group':
        this.#load = loadOf(await this.#openGroup(command), this.#clock);
        return this.#tell({ kind: 'opened' });
      case 'open-clients':
        this.#storm = await this.#openClients(command);
        return this.#tell({ kind: 'opened' });
      case 'open-bare-clients':
        this.#storm = await this.#openBareClients(command);
        return this.#tell({ kind: 'opened' });
      case 'storm':
        return this.#tell({ kind: 'storm-over', result: await this.#requireClients().run(command.plan) });
      case 'depart':
        this.#requireClients().depart();
        return this.#tell({ kind: 'departed' });
      case 'come-back':
        return this.#tell({ kind: 'storm-over', result: await this.#requireClients().comeBack(command.plan) });
      case 'open-backlogs':
        this.#backlogs = await this.#openBacklogs(command);
        return this.#tell({ kind: 'opened' });
      case 'fill':
        return this.#fill(this.#requireBacklogs());
      case 'drain':
        return this.#drain(this.#requireBacklogs());
    }
  }

  async #run(plan: RunPlan): Promise<void> {
    if (this.#load === undefined) throw new TypeError('a run needs open connections');
    const result = await this.#load.run(plan, {
      announce: (kind) => this.#tell({ kind }),
      look: (second) => this.#tell({ kind: 'second', second }),
    });
    this.#tell({ kind: 'result', result });
  }

  /** The load of pairs: in C where that is asked for, a compiler is installed and the descriptors suffice. */
  #beginPairs(pairs: readonly OpenedPair[], native: boolean): void {
    const isPossible = native && pairs.length > 0 && descriptorsToHandOver(pairs.length) <= connectionsOfProcess();
    const program = isPossible ? buildNative('pairs') : undefined;
    if (program === undefined) {
      this.#load = loadOf(new PairLoad(pairs, this.#clock), this.#clock);
      return this.#tell({ kind: 'opened' });
    }
    const load = new NativePairs(program, pairs, this.#clock);
    this.#load = load;
    this.#tell({ kind: 'opened', nativePid: load.pid });
  }

  async #openBacklogs({ url: text, phones, shape }: OpenBacklogs): Promise<Backlogs> {
    const url = new URL(text);
    const senders = await mapWithBound(phones.senders, LIMITS.openingParallelMax, (phone) =>
      this.#register(url, phone),
    );
    const devices = await mapWithBound(phones.devices, LIMITS.openingParallelMax, async (phone) => {
      const keys = makeAccountKeys();
      const { account, line } = await this.#register(url, phone, { keys });
      line.close();
      return { account, keys };
    });
    const { ciphertextBytes, ...rest } = shape;
    const ciphertext = opaqueBytes(ciphertextBytes);
    return { url, load: new BacklogLoad(senders, devices, { ...rest, ciphertext }, this.#clock) };
  }

  #requireClients(): StormLoad {
    if (this.#storm === undefined) throw new TypeError('there are no clients');
    return this.#storm;
  }

  #requireBacklogs(): Backlogs {
    if (this.#backlogs === undefined) throw new TypeError('there are no backlogs');
    return this.#backlogs;
  }

  async #fill({ load }: Backlogs): Promise<void> {
    const beganMs = this.#clock.nowMs();
    await load.fill();
    this.#tell({ kind: 'filled', messages: load.messages, fillMs: this.#clock.nowMs() - beganMs });
  }

  async #drain({ url, load }: Backlogs): Promise<void> {
    const result = await load.drain((speaker) => this.#connect(url, speaker));
    this.#tell({ kind: 'drained', result });
  }

  async #openPairs(command: Extract<GeneratorCommand, { kind: 'open-pairs' }>): Promise<OpenedPair[]> {
    const { url, parallelMax = LIMITS.openingParallelMax } = command;
    const openPair = async ({
      sender,
      recipient,
      senderUrl = url,
      recipientUrl = url,
    }: PairPhones): Promise<OpenedPair> => {
      const opened = await Promise.all([
        this.#register(new URL(senderUrl), sender),
        this.#register(new URL(recipientUrl), recipient),
      ]);
      return { sender: opened[0], recipient: opened[1], ciphertext: opaqueBytes(command.ciphertextBytes) };
    };
    return mapWithBound(command.pairs, parallelMax, openPair);
  }

  async #openClients({
    url: text,
    phones,
    sources,
  }: Extract<GeneratorCommand, { kind: 'open-clients' }>): Promise<StormLoad> {
    const url = new URL(text);
    const open = (phone: string, index: number): Promise<OpenedAccount> =>
      this.#register(url, phone, { features: FEATURES.resumeTickets, source: sources[index % sources.length] });
    const accounts = await mapWithBound(phones, LIMITS.stormOpeningParallelMax, open);
    const { outbox, readBuffer } = this.#registrar;
    const line = { url, subprotocol: SUBPROTOCOL, outbox, readBuffer };
    return new StormLoad(accounts, sources, line, this.#clock);
  }

  async #openGroup(command: Extract<GeneratorCommand, { kind: 'open-group' }>): Promise<GroupLoad> {
    const url = new URL(command.url);
    const open = (phone: string): Promise<OpenedAccount> => this.#register(url, phone, { features: FEATURES.groups });
    const members = await mapWithBound(command.phones, LIMITS.stormOpeningParallelMax, open);
    const { writers: writerCount, ciphertextBytes } = command;
    const load = new GroupLoad({ members, writerCount, group: BENCH_GROUP, ciphertextBytes }, this.#clock);
    await Promise.race([load.created, load.failed]);
    return load;
  }

  #register(url: URL, phone: string, registration?: Registration): Promise<OpenedAccount> {
    return this.#registrar.register(url, phone, registration);
  }

  #connect(url: URL, speaker: Speaker, source?: string): Connection {
    return this.#registrar.connect(url, speaker, source);
  }

  async #openEcho(command: Extract<GeneratorCommand, { kind: 'open-echo' }>): Promise<EchoLoad> {
    const open = (): Promise<Connection> => this.#upgrade(new URL(command.url));
    const lines = await mapWithBound(new Array(command.connections).fill(0), LIMITS.openingParallelMax, open);
    return new EchoLoad(lines, opaqueBytes(command.messageBytes));
  }

  async #openRelay(command: Extract<GeneratorCommand, { kind: 'open-relay' }>): Promise<OpenedPair[]> {
    const open = async (user: string, peer: string): Promise<OpenedAccount> => {
      const line = await this.#upgrade(new URL(`?user=${user}&peer=${peer}`, command.url));
      return { account: { phone: '', user, device: 1 }, line };
    };
    const openPair = async (number: number): Promise<OpenedPair> => {
      const [sender, recipient] = [RELAY_USER_FIRST + 2 * number, RELAY_USER_FIRST + 2 * number + 1].map(String);
      return {
        sender: await open(sender!, recipient!),
        recipient: await open(recipient!, sender!),
        ciphertext: opaqueBytes(command.ciphertextBytes),
      };
    };
    return mapWithBound(command.pairs, LIMITS.openingParallelMax, openPair);
  }

  async #openXmpp(command: Extract<GeneratorCommand, { kind: 'open-xmpp' }>): Promise<XmppLoad> {
    const open = this.#xmppOpener(command, []);
    const ends = await mapWithBound(command.pairs, LIMITS.openingParallelMax, async (pair) => {
      const [sender, recipient] = await Promise.all([open(2 * pair), open(2 * pair + 1)]);
      return { sender, recipient, recipientAccount: 2 * pair + 1 };
    });
    return new XmppLoad(ends, command.bodyBytes, this.#clock);
  }

  async #openXmppClients(command: Extract<GeneratorCommand, { kind: 'open-xmpp-clients' }>): Promise<void> {
    const { first, count, parallelMax, sources } = command;
    const accounts = Array.from({ length: count }, (_, index) => first + index);
    await mapWithBound(accounts, parallelMax, this.#xmppOpener(command, sources));
  }

  #xmppOpener(
    { host, port }: { readonly host: string; readonly port: number },
    sources: readonly string[],
  ): (account: number) => Promise<XmppLine> {
    const outbox = new XmppOutbox(this.#clock);
    return (account) => {
      const source = sources.length === 0 ? undefined : sources[account % sources.length];
      const line = new XmppLine({ host, port, account, outbox, source });
      this.#xmppLines.push(line);
      return line.opened;
    };
  }

  async #openBareClients(command: Extract<GeneratorCommand, { kind: 'open-bare-clients' }>): Promise<StormLoad> {
    const { sources } = command;
    const url = new URL(command.url);
    const places = new Array<undefined>(command.count).fill(undefined);
    const clients = await mapWithBound(places, LIMITS.stormOpeningParallelMax, async (_place, index) => {
      return { account: undefined, line: await this.#upgrade(url, sources[index % sources.length]) };
    });
    const { outbox, readBuffer } = this.#registrar;
    const line = { url, subprotocol: SUBPROTOCOL, outbox, readBuffer };
    return new StormLoad(clients, sources, line, this.#clock);
  }

  /** A connection that is open as far as WebSocket is concerned. */
  #upgrade(url: URL, source?: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection = this.#connect(url, new UpgradeSpeaker(() => resolve(connection), reject), source);
    });
  }
}

/** Waits for the upgrade: a connection asks its speaker for the first time when it is done. */
class UpgradeSpeaker implements Speaker {
  readonly #opened: () => void;
  readonly ended: (error: Error) => void;

  constructor(opened: () => void, ended: (error: Error) => void) {
    this.#opened = opened;
    this.ended = ended;
  }

  speak(): boolean {
    this.#opened();
    return false;
  }

  hear(): void {
    throw new BenchError('BENCH_UNEXPECTED', 'a server without a login speaks first');
  }
}

function failure(error: unknown): GeneratorEvent {
  if (isBenchError(error)) return { kind: 'failed', code: error.code, detail: error.detail };
  return {
    kind: 'failed',
    code: 'BENCH_CHILD',
    detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

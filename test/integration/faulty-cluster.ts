/**
 * A real cluster that things happen to: three nodes and three nats-server processes, a relay between each node and each server, and one address for
 * all clients, which leads to a node that runs.
 */

import { randomBytes, randomInt } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type NatsServer, type NatsServers, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { pause, until } from './people.ts';
import { Relay, targetOf, type RelayTarget } from './relay.ts';
import { type LogLine, ServerProcess, temporaryDirectory } from './server-process.ts';

/** For what a disk had to be on another again: another copy is begun ten seconds after the loss of one. */
const COPIED_ANEW_MS = 20_000;

class FaultyNode {
  readonly name: string;
  /** To each of the servers. */
  readonly relays: readonly Relay[];
  process: ServerProcess;
  /** Whether clients are led to it. */
  isOut: boolean = false;

  constructor(name: string, relays: readonly Relay[], process: ServerProcess) {
    this.name = name;
    this.relays = relays;
    this.process = process;
  }
}

export interface FaultyClusterOptions {
  readonly nodes: readonly string[];
  readonly servers: number;
  readonly flags?: readonly string[];
  /** What starts each node, by its name. Default: this checkout. */
  readonly launcherOf?: (name: string) => string | undefined;
}

export class FaultyCluster {
  readonly nats: NatsServers;
  readonly nodes: Map<string, FaultyNode> = new Map();
  readonly #t: Test;
  readonly #directory: string;
  readonly #flags: readonly string[];
  readonly #founders: readonly string[];
  readonly #launcherOf: (name: string) => string | undefined;
  readonly #processes: ServerProcess[] = [];
  #door: Relay | undefined;
  /** Places of the servers that faults choose from. */
  leading: () => readonly number[] = () => [...this.nats.servers.keys()];
  #next = 0;
  #diskLostMs = -Infinity;

  private constructor(t: Test, nats: NatsServers, { nodes, flags = [], launcherOf }: FaultyClusterOptions) {
    this.#t = t;
    this.nats = nats;
    this.#directory = temporaryDirectory(t);
    this.#flags = flags;
    this.#founders = nodes;
    this.#launcherOf = launcherOf ?? (() => undefined);
    const secret = randomBytes(32).toString('hex');
    writeFileSync(join(this.#directory, 'node.yaml'), `cluster-secret: "${secret}"\n`, { mode: 0o600 });
  }

  static async start(t: Test, options: FaultyClusterOptions): Promise<FaultyCluster> {
    const nats = await startNatsServers(options.servers);
    t.teardown(() => nats.stop());
    const cluster = new FaultyCluster(t, nats, options);
    await Promise.all(options.nodes.map((name) => cluster.join(name)));
    cluster.#door = await Relay.start(() => cluster.#pick());
    t.teardown(() => cluster.#door!.stop());
    return cluster;
  }

  /** The address for clients. */
  get url(): string {
    return `ws://127.0.0.1:${this.#door!.port}/ws`;
  }

  #pick(): RelayTarget | undefined {
    const nodes = [...this.nodes.values()].filter(({ isOut }) => !isOut);
    const node = nodes[this.#next++ % Math.max(1, nodes.length)];
    return node === undefined ? undefined : targetOf(node.process.url);
  }

  /** Starts a node that was never there. */
  async join(name: string): Promise<void> {
    const relays = await Promise.all(this.nats.servers.map(({ url }) => Relay.start(() => targetOf(url))));
    for (const relay of relays) this.#t.teardown(() => relay.stop());
    const process = await this.#launch(name, relays);
    this.nodes.set(name, new FaultyNode(name, relays, process));
  }

  async #launch(name: string, relays: readonly Relay[]): Promise<ServerProcess> {
    const servers = relays.map(({ port }) => `nats://127.0.0.1:${port}`);
    const process = await ServerProcess.start(
      this.#t,
      this.directoryOf(name),
      this.#flagsOf(name, servers),
      this.#launcherOf(name),
    );
    this.#processes.push(process);
    return process;
  }

  #flagsOf(name: string, servers: readonly string[], file: string = 'node.yaml'): string[] {
    const config = ['--config', join(this.#directory, file), '--cluster-nodes', this.#founders.join(',')];
    const own = ['--nats', servers.join(','), '--node', name, '--workers', '1', '--metrics-port', '0'];
    return [...config, ...own, ...this.#flags];
  }

  /** Starts one more node that is no part of this, and waits for nothing. @param secret - Default: that of the cluster. */
  launch(name: string, { flags = [], secret }: { flags?: readonly string[]; secret?: string }): ServerProcess {
    const file = secret === undefined ? undefined : `${name}.yaml`;
    if (file !== undefined)
      writeFileSync(join(this.#directory, file), `cluster-secret: "${secret}"\n`, { mode: 0o600 });
    const common = this.#flagsOf(name, this.nats.urls, file);
    return ServerProcess.launch(this.#t, ['--data', this.directoryOf(name), '--port', '0', ...common, ...flags]);
  }

  /** Every process that was ever started: for the log of a run that goes wrong. */
  all(): readonly ServerProcess[] {
    return this.#processes;
  }

  /** What all of them logged, in the order of time, each line with the number of its process. */
  log(): string {
    const lines = this.#processes.flatMap(({ lines }, number) => lines.map((line) => Object.assign({ number }, line)));
    const timeOf = (line: object): string => String((line as { readonly time?: unknown }).time);
    return lines
      .sort((left, right) => (timeOf(left) < timeOf(right) ? -1 : 1))
      .map((line) => `${JSON.stringify(line)}\n`)
      .join('');
  }

  node(name: string): FaultyNode {
    return this.nodes.get(name)!;
  }

  /** The store directory of a node, with its admin socket. */
  directoryOf(name: string): string {
    return join(this.#directory, name);
  }

  /** A verification code is printed by the node that owns the number. */
  code(phone: string): Promise<string> {
    return Promise.any([...this.nodes.values()].map(({ process }) => process.code(phone)));
  }

  async kill(name: string): Promise<void> {
    this.node(name).isOut = true;
    await this.node(name).process.kill();
  }

  /** SIGTERM, and waits until it has handed everything over and ended. */
  async retire(name: string): Promise<void> {
    // What stands before the nodes has seen that it is not ready any more.
    this.node(name).isOut = true;
    await this.node(name).process.stop();
  }

  async restart(name: string, disk: 'kept' | 'lost' = 'kept'): Promise<void> {
    if (disk === 'lost') rmSync(join(this.#directory, name), { recursive: true, force: true });
    const node = this.node(name);
    node.process = await this.#launch(name, node.relays);
    node.isOut = false;
    if (disk === 'lost') this.#diskLostMs = performance.now();
  }

  /** Waits until what a lost disk had is copied anew: two copies do not survive the loss of both. */
  async untilDiskMayGo(): Promise<void> {
    await pause(Math.max(0, this.#diskLostMs + COPIED_ANEW_MS - performance.now()));
  }

  /** A server whose death is felt. */
  pickServer(): NatsServer {
    const places = this.leading();
    return this.nats.servers[places[randomInt(places.length)]!]!;
  }

  /** As a machine that stands still. */
  freeze(name: string): void {
    this.node(name).isOut = true;
    process.kill(this.node(name).process.pid, 'SIGSTOP');
  }

  thaw(name: string): void {
    process.kill(this.node(name).process.pid, 'SIGCONT');
    this.node(name).isOut = false;
  }

  /** Nothing passes between a node and the servers. Clients reach it as before. */
  cut(name: string): void {
    for (const relay of this.node(name).relays) relay.cut();
  }

  heal(name: string): void {
    for (const relay of this.node(name).relays) relay.heal();
  }

  /** A node that serves shards now, as the nodes log it. */
  serving(): string {
    const count = ({ process }: FaultyNode, of: string): number =>
      process.lines.filter(({ event }) => event === of).length;
    const nodes = [...this.nodes.values()];
    return nodes.find((node) => count(node, 'shard_served') > count(node, 'shard_released'))!.name;
  }

  /** A moment of the nodes' logs. */
  now(): string {
    return new Date().toISOString();
  }

  /** Whether a node was missed since, or its connection, on a machine without enough time for all; `but` one that was ended on purpose. */
  wasDown(since: string, but?: string): boolean {
    const isMissed = ({ event, time, node, reason }: LogLine): boolean =>
      event === 'node_down' && String(time) >= since && node !== but && (reason === 'silence' || reason === 'deserted');
    return this.#processes.some(({ lines }) => lines.some(isMissed));
  }

  /** Shards that were served by another than their first owner, by what all processes logged, also those that were killed. */
  countMoved(): number {
    const served = this.#processes.flatMap(({ lines }) => lines.filter(({ event }) => event === 'shard_served'));
    return served.filter(({ epoch }) => Number(epoch) > 1).length;
  }

  /** Waits until every shard has a whole copy beside its owner, as the nodes log it. */
  async untilCopied(shards: number, ms: number): Promise<void> {
    const copied = (): number =>
      this.#processes.flatMap(({ lines }) => lines.filter(({ event }) => event === 'shard_copied')).length;
    await until('every shard to have a copy', ms, () => copied() >= shards);
  }
}

export type FaultName =
  | 'a node is killed'
  | 'a server is killed'
  | 'a node and a server are killed'
  | 'a node stands still for 20 s'
  | 'a node is cut off for 20 s'
  | 'a node is killed and its disk is gone';

/** What can happen to a cluster. Each is over when its promise resolves: everything runs again. */
export const FAULTS: Readonly<Record<FaultName, (cluster: FaultyCluster, name: string) => Promise<void>>> = {
  'a node is killed': async (cluster, name) => {
    await cluster.kill(name);
    await pause(randomInt(500, 4_000));
    await cluster.restart(name);
  },
  'a server is killed': async (cluster) => {
    const server = cluster.pickServer();
    server.signal('SIGKILL');
    await pause(randomInt(500, 4_000));
    await server.restart();
  },
  'a node and a server are killed': async (cluster, name) => {
    const server = cluster.pickServer();
    server.signal('SIGKILL');
    await cluster.kill(name);
    await pause(randomInt(500, 4_000));
    await Promise.all([server.restart(), cluster.restart(name)]);
  },
  'a node stands still for 20 s': async (cluster, name) => {
    cluster.freeze(name);
    await pause(20_000);
    cluster.thaw(name);
  },
  'a node is cut off for 20 s': async (cluster, name) => {
    cluster.cut(name);
    await pause(20_000);
    cluster.heal(name);
  },
  'a node is killed and its disk is gone': async (cluster, name) => {
    await cluster.untilDiskMayGo();
    await cluster.kill(name);
    await pause(randomInt(500, 4_000));
    await cluster.restart(name, 'lost');
  },
};

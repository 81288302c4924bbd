/**
 * A cluster on this machine for a benchmark: NATS servers and nodes, each a process, started as their users start them.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsServers, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { ServerProcess, type ServerOptions } from '../harness/server-process.ts';

export interface ClusterShape {
  readonly nodes: number;
  /** nats-server processes: 1 or 3. */
  readonly servers: number;
  readonly shards: number;
}

export type ClusterSurroundings = Pick<ServerOptions, 'signal' | 'keepData' | 'onCode'>;

export class ClusterProcesses {
  readonly nats: NatsServers;
  /** The founders, and after them who was added. */
  readonly nodes: ServerProcess[] = [];
  readonly #shape: ClusterShape;
  readonly #surroundings: ClusterSurroundings;
  readonly #directory: string;
  readonly #codes: Map<string, string> = new Map();
  #stopped: Promise<unknown> | undefined = undefined;

  private constructor(shape: ClusterShape, surroundings: ClusterSurroundings, nats: NatsServers, directory: string) {
    this.#shape = shape;
    this.#surroundings = surroundings;
    this.nats = nats;
    this.#directory = directory;
    const secret = randomBytes(32).toString('hex');
    writeFileSync(join(directory, 'cluster.yaml'), `cluster-secret: "${secret}"\n`, { mode: 0o600 });
    for (let number = 1; number <= shape.nodes; number++) this.add(`node-${number}`);
  }

  /** Starts the servers, and the nodes behind them; wait for these with `started`. Stop it, whatever happens. */
  static async start(shape: ClusterShape, surroundings: ClusterSurroundings): Promise<ClusterProcesses> {
    const directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-cluster-'));
    const nats = await startNatsServers(shape.servers, directory);
    return new ClusterProcesses(shape, surroundings, nats, directory);
  }

  /** Starts one more node, with one worker thread. */
  add(name: string): ServerProcess {
    const { nodes, shards } = this.#shape;
    const { signal, keepData, onCode } = this.#surroundings;
    const founders = Array.from({ length: nodes }, (_, index) => `node-${index + 1}`).join(',');
    const cluster = ['--nats', this.#serversFor(this.nodes.length), '--node', name, '--cluster-nodes', founders];
    const own = ['--config', join(this.#directory, 'cluster.yaml'), '--workers', '1', '--metrics-port', '0'];
    const flags = [...own, ...cluster, '--cluster-shards', String(shards)];
    const takeCode = (phone: string, code: string): void => {
      this.#codes.set(phone, code);
      onCode(phone, code);
    };
    const node = new ServerProcess({ flags, keepData: keepData === true, signal, onCode: takeCode });
    this.nodes.push(node);
    return node;
  }

  /** Each node begins with another server, so that they share the work. */
  #serversFor(index: number): string {
    const { urls } = this.nats;
    return urls.map((_, at) => urls[(at + index) % urls.length]!).join(',');
  }

  /** Waits until the founders serve and know each other. Returns the URLs that clients connect to. */
  async started(): Promise<string[]> {
    const urls = await Promise.all(this.nodes.map((node) => node.started()));
    await Promise.all(this.nodes.map((node) => node.logged('node_up', this.nodes.length - 1)));
    return urls;
  }

  /** The code that was last sent to a number. */
  codeOf(phone: string): string | undefined {
    return this.#codes.get(phone);
  }

  /** Ends the nodes, and leaves the NATS servers to something else. */
  async stopNodes(): Promise<void> {
    this.#stopped ??= Promise.all(this.nodes.map((node) => node.stop()));
    await this.#stopped;
  }

  /** Ends all of them, and removes what they stored. @returns The last error that each of them logged, of those that did. */
  async stop(): Promise<string[]> {
    await this.stopNodes();
    await this.nats.stop();
    rmSync(this.#directory, { recursive: true, force: true });
    return this.nodes.flatMap(({ loggedErrors }) => loggedErrors.slice(-1));
  }
}

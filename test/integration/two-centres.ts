/**
 * A cluster in two data centres, for tests: each with nats-server processes and nodes of its own, a line between their servers that can be cut. Numbers that begin with
 * +1 live in the west, all others in the east.
 */

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePorts } from '../../runtime/testing/free-ports.ts';
import { type NatsServers, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { LineProbe } from './line-probe.ts';
import { PATIENCE_MS, until } from './people.ts';
import { Relay, type RelayTarget, targetOf } from './relay.ts';
import { type LogLine, ServerProcess, temporaryDirectory } from './server-process.ts';

export type CentreName = 'east' | 'west';

const CENTRES = 'east,west:+1';

export interface CentreNode {
  readonly name: string;
  process: ServerProcess;
  /** Whether people are led elsewhere. */
  isOut: boolean;
}

export class Centre {
  readonly name: CentreName;
  readonly nats: NatsServers;
  readonly nodes: CentreNode[] = [];
  #door: Relay | undefined;
  #next = 0;

  constructor(name: CentreName, nats: NatsServers) {
    this.name = name;
    this.nats = nats;
  }

  async open(t: Test): Promise<void> {
    const door = await Relay.start(() => this.#pick());
    t.teardown(() => door.stop());
    this.#door = door;
  }

  #pick(): RelayTarget | undefined {
    const nodes = this.nodes.filter(({ isOut }) => !isOut);
    return nodes.length === 0 ? undefined : targetOf(nodes[this.#next++ % nodes.length]!.process.url);
  }

  /** For people: leads to each of its nodes in turn that is there. */
  get door(): Pick<ServerProcess, 'url' | 'code'> {
    const { nodes } = this;
    return {
      url: `ws://127.0.0.1:${this.#door!.port}/ws`,
      // Printed by the node that owns the number.
      code: (phone) => Promise.any(nodes.map(({ process }) => process.code(phone))),
    };
  }

  count(fits: (line: LogLine) => boolean): number {
    return this.nodes.reduce((sum, { process }) => sum + process.lines.filter(fits).length, 0);
  }
}

export interface TwoCentresOptions {
  /** In each of them: how many nodes, and how many nats-server processes, 1 or 3. */
  readonly nodes: number;
  readonly servers: number;
  readonly flags?: readonly string[];
}

export class TwoCentres {
  readonly east: Centre;
  readonly west: Centre;
  readonly probe: LineProbe;
  readonly #line: Relay;
  readonly #t: Test;
  readonly #directory: string;
  readonly #options: TwoCentresOptions;

  private constructor(t: Test, east: Centre, west: Centre, line: Relay, probe: LineProbe, options: TwoCentresOptions) {
    this.#t = t;
    this.east = east;
    this.west = west;
    this.#line = line;
    this.probe = probe;
    this.#options = options;
    this.#directory = temporaryDirectory(t);
    const secret = randomBytes(32).toString('hex');
    writeFileSync(join(this.#directory, 'node.yaml'), `cluster-secret: "${secret}"\n`, { mode: 0o600 });
  }

  /** Both centres, when all nodes know each other. */
  static async start(t: Test, options: TwoCentresOptions): Promise<TwoCentres> {
    const [port] = await freePorts(1);
    const line = await Relay.start(() => ({ host: '127.0.0.1', port: port! }));
    t.teardown(() => line.stop());
    const leaf = { listen: port!, advertise: line.port };
    const east = await startNatsServers(options.servers, undefined, { domain: 'east', leaf });
    t.teardown(() => east.stop());
    const west = await startNatsServers(options.servers, undefined, { domain: 'west', leaf: { remote: line.port } });
    t.teardown(() => west.stop());
    const probe = await LineProbe.start(t, [east, west]);
    await until('something to pass the line', PATIENCE_MS, () => probe.heard > 0);
    const centres = new TwoCentres(t, new Centre('east', east), new Centre('west', west), line, probe, options);
    await Promise.all([centres.east, centres.west].map((centre) => centres.#startNodes(centre)));
    return centres;
  }

  async #startNodes(centre: Centre): Promise<void> {
    const names = Array.from({ length: this.#options.nodes }, (_, index) => `${centre.name}-${index + 1}`);
    const processes = await Promise.all(names.map((name) => this.#launch(name, centre, names)));
    await centre.open(this.#t);
    processes.forEach((process, index) => centre.nodes.push({ name: names[index]!, process, isOut: false }));
  }

  #launch(name: string, { name: own, nats }: Centre, names: readonly string[]): Promise<ServerProcess> {
    const flags = [
      ...['--config', join(this.#directory, 'node.yaml'), '--nats', nats.urls.join(',')],
      ...['--cluster-nodes', names.join(','), '--node', name, '--workers', '1', '--metrics-port', '0'],
      ...['--cluster-centres', CENTRES, '--cluster-centre', own, ...(this.#options.flags ?? [])],
    ];
    return ServerProcess.start(this.#t, join(this.#directory, name), flags);
  }

  async kill({ nodes }: Centre, index: number): Promise<void> {
    nodes[index]!.isOut = true;
    await nodes[index]!.process.kill();
  }

  /** Starts a node again that was ended. */
  async restart(centre: Centre, index: number): Promise<void> {
    const names = centre.nodes.map(({ name }) => name);
    const node = centre.nodes[index]!;
    node.process = await this.#launch(names[index]!, centre, names);
    node.isOut = false;
  }

  /**
   * Nothing passes between the centres. Resolves when the nodes of each have noticed, and its servers have given the line up and look for
   * another way: what passes from then on passes a cut that lasts.
   */
  async cut(ms: number): Promise<void> {
    const before = this.#countGone();
    const comings = this.#line.comings + this.west.nats.servers.length;
    this.#line.cut();
    this.probe.cut();
    await until('both centres to miss each other', ms, () =>
      this.#countGone().every((count, at) => count > before[at]!),
    );
    await until(
      'the servers to look for another way',
      ms,
      () => this.#line.comings >= comings || this.probe.leaked > 0,
    );
  }

  heal(): void {
    this.probe.heal();
    this.#line.heal();
  }

  /** Nodes of the other centre that each one has given up. */
  #countGone(): number[] {
    const isGone = (of: Centre) => (line: LogLine) =>
      line.event === 'node_down' && String(line['node']).startsWith(of.name);
    return [this.east.count(isGone(this.west)), this.west.count(isGone(this.east))];
  }
}

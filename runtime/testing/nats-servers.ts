/**
 * Real nats-server processes for tests, for benchmarks and for trying things out: one, or three in a cluster, on the loopback, each with a store
 * directory of its own. An adapter: it starts processes and waits for them. None outlives the process that started it (`guard.ts`).
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from './free-ports.ts';
import { guard } from './guard.ts';

/** One server. It may be killed and started again on its store. */
export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number | undefined;
  /** Sends a signal: SIGKILL as a crash, SIGSTOP and SIGCONT as a machine that stands still. */
  signal(signal: NodeJS.Signals): void;
  /** Starts it again after its end. */
  restart(): Promise<void>;
}

export interface NatsServers {
  readonly servers: readonly NatsServer[];
  readonly urls: readonly string[];
  /** Ends them and removes what they stored. */
  stop(): Promise<void>;
}

/** What makes some servers those of one data centre: a JetStream of their own, and a line to another one. */
export interface CentreOptions {
  /** Of their JetStream. */
  readonly domain: string;
  /**
   * Where the first of them listens for the leaf connections of other centres, and what port of the loopback it tells these to come to; or where all of
   * them connect to. A server always tells its own address, whatever `no_advertise` says (nats-server issue 8367), and who has lost its line goes there: where
   * a relay is in between, around it.
   */
  readonly leaf: { readonly listen: number; readonly advertise: number } | { readonly remote: number };
}

const START_MS_MAX = 60_000;

/**
 * Timers of a server may be 5 ms late (`timerslack_ns`, proc(5); kept across exec). Go's scheduler has a thread that otherwise wakes up to 4,000 times a second while
 * there is something to do, and takes the processor from whoever has it (docs/internals/cluster.md). Where there is no such file it starts without.
 */
const WITH_SLACK = 'echo 5000000 >/proc/self/timerslack_ns; exec nats-server "$@"';

/** Whether this machine has the server at all. */
export function hasNatsServer(): boolean {
  return spawnSync('nats-server', ['--version']).status === 0;
}

/**
 * @param count - 1, or an odd number that form a cluster.
 * @param directory - Where their stores and configurations go; default: a new one, removed by `stop`.
 * @param centre - Default: all in one place.
 */
export async function startNatsServers(
  count: number,
  directory?: string,
  centre?: CentreOptions,
): Promise<NatsServers> {
  const root = directory ?? mkdtempSync(join(tmpdir(), 'blindbeam-nats-'));
  const ports = await freePorts(count * 2);
  const clients = ports.slice(0, count);
  const routes = ports.slice(count);
  const servers = clients.map((port, index) => {
    const lines = centre === undefined ? '' : configureCentre(centre, index);
    return new Server(root, index + 1, port, routes[index]!, routes, lines, centre?.domain, shareOfProcessors(count));
  });
  try {
    await Promise.all(servers.map((server) => server.start()));
  } catch (error) {
    for (const server of servers) server.signal('SIGKILL');
    if (directory === undefined) rmSync(root, { recursive: true, force: true });
    throw error;
  }
  return {
    servers,
    urls: servers.map(({ url }) => url),
    async stop() {
      await Promise.all(servers.map((server) => server.stop()));
      if (directory === undefined) rmSync(root, { recursive: true, force: true });
    },
  };
}

/**
 * Each server would take all processors for its own, and with every message wake threads of which most find nothing to do. Three servers on two processors that
 * have one each used a third less of them for a record of a log with three replicas (docs/internals/cluster.md).
 */
function shareOfProcessors(count: number): number {
  return Math.max(1, Math.floor(availableParallelism() / count));
}

class Server implements NatsServer {
  readonly port: number;
  readonly #configuration: string;
  readonly #processors: number;
  #child: ChildProcess | undefined;
  #isStopped = false;

  /** @param lines - More of its configuration. @param domain - Of its JetStream, if it has one. @param processors - That it may use at a time. */
  constructor(
    root: string,
    index: number,
    port: number,
    route: number,
    routes: readonly number[],
    lines: string,
    domain: string | undefined,
    processors: number,
  ) {
    this.port = port;
    this.#processors = processors;
    const directory = join(root, `nats-${index}`);
    mkdirSync(directory, { recursive: true });
    this.#configuration = join(directory, 'nats.conf');
    writeFileSync(this.#configuration, configure(index, port, route, routes, directory, domain) + lines);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    // In a process group of its own: Ctrl-C is for whoever started it, who still has nodes to stop before.
    const env = Object.assign({}, process.env, { GOMAXPROCS: String(this.#processors) });
    const child = spawn('sh', ['-c', WITH_SLACK, 'nats-server', '-c', this.#configuration], {
      stdio: 'ignore',
      detached: true,
      env,
    });
    this.#child = child;
    guard(child);
    let ended = false;
    child.once('exit', () => (ended = true));
    child.once('error', () => (ended = true));
    for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += 25) {
      if (await answers(this.port)) return;
      if (ended) break;
      await delay(25);
    }
    throw new Error(`nats-server on port ${this.port} did not start; is it installed? (Debian: nats-server)`);
  }

  async restart(): Promise<void> {
    await this.#ended();
    // Nobody would end what a test starts while it ends.
    if (!this.#isStopped) await this.start();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    // One that stands still would not hear of its end.
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), 3_000);
    await this.#ended();
    clearTimeout(timer);
  }

  async #ended(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => child.once('exit', resolve));
  }
}

/** As in deploy/nats/centre-east.conf and centre-west.conf, without TLS and accounts, and with a line that is given up sooner. */
function configureCentre({ leaf }: CentreOptions, index: number): string {
  const pings = 'ping_interval: "2s"\nping_max: 2\n';
  if ('listen' in leaf) {
    const addresses = `listen: "127.0.0.1:${leaf.listen}", advertise: "127.0.0.1:${leaf.advertise}"`;
    return index > 0 ? pings : `${pings}leafnodes { ${addresses}, no_advertise: true }\n`;
  }
  const stays = '["bb.*.log.>", "bb.*.page.>", "$KV.>", "_INBOX.>"]';
  const remote = `{ url: "nats-leaf://127.0.0.1:${leaf.remote}", deny_exports: ${stays}, deny_imports: ${stays} }`;
  return `${pings}leafnodes { remotes: [${remote}] }\n`;
}

function configure(
  index: number,
  port: number,
  route: number,
  routes: readonly number[],
  directory: string,
  domain: string | undefined,
): string {
  const others = routes.filter((each) => each !== route).map((each) => `"nats://127.0.0.1:${each}"`);
  const cluster =
    others.length === 0
      ? ''
      : `cluster { name: ${domain ?? 'test'}, no_advertise: true, listen: "127.0.0.1:${route}", routes: [${others.join(', ')}] }\n`;
  const jetstream = `store_dir: ${JSON.stringify(join(directory, 'store'))}${domain === undefined ? '' : `, domain: ${domain}`}`;
  return `server_name: ${domain ?? 'n'}${index}
listen: "127.0.0.1:${port}"
jetstream { ${jetstream} }
${cluster}`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    // The server greets; that the port is open alone would be too early.
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

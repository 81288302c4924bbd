/**
 * Real nats-server processes for tests, for benchmarks and for trying things out: one, or three in a cluster, on the loopback, each with a store
 * directory of its own. An adapter: it starts processes and waits for them.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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

const START_MS_MAX = 10_000;

/** Whether this machine has the server at all. */
export function hasNatsServer(): boolean {
  return spawnSync('nats-server', ['--version']).status === 0;
}

/**
 * @param count - 1, or an odd number that form a cluster.
 * @param directory - Where their stores and configurations go; default: a new one, removed by `stop`.
 */
export async function startNatsServers(count: number, directory?: string): Promise<NatsServers> {
  const root = directory ?? mkdtempSync(join(tmpdir(), 'blindbeam-nats-'));
  const ports = await freePorts(count * 2);
  const clients = ports.slice(0, count);
  const routes = ports.slice(count);
  const servers = clients.map((port, index) => new Server(root, index + 1, port, routes[index]!, routes));
  try {
    await Promise.all(servers.map((server) => server.start()));
  } catch (error) {
    for (const server of servers) server.signal('SIGKILL');
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

class Server implements NatsServer {
  readonly port: number;
  readonly #configuration: string;
  #child: ChildProcess | undefined;

  constructor(root: string, index: number, port: number, route: number, routes: readonly number[]) {
    this.port = port;
    const directory = join(root, `nats-${index}`);
    mkdirSync(directory, { recursive: true });
    this.#configuration = join(directory, 'nats.conf');
    writeFileSync(this.#configuration, configure(index, port, route, routes, directory));
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    // In a process group of its own: Ctrl-C is for whoever started it, who still has nodes to stop before.
    const child = spawn('nats-server', ['-c', this.#configuration], { stdio: 'ignore', detached: true });
    this.#child = child;
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
    await this.start();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
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

function configure(index: number, port: number, route: number, routes: readonly number[], directory: string): string {
  const others = routes.filter((each) => each !== route).map((each) => `"nats://127.0.0.1:${each}"`);
  const cluster =
    others.length === 0 ? '' : `cluster { name: test, no_advertise: true, listen: "127.0.0.1:${route}", routes: [${others.join(', ')}] }\n`;
  return `server_name: n${index}
listen: "127.0.0.1:${port}"
jetstream { store_dir: ${JSON.stringify(join(directory, 'store'))} }
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

/** Ports that nobody listens on, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<import('node:net').Server>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * The port of metrics and health checks: HTTP on the main thread, for the operator's own network and by default for this machine
 * alone. It serves nothing of users and takes nothing from who asks.
 *
 * A scrape asks no worker for anything; those that come while one is rendered get the same.
 */

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StartupError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { CONTENT_TYPE } from './exposition.ts';
import { judgeLife, judgeReadiness, judgeStart, type NodeView, type Verdict } from './health.ts';

export interface MetricsOptions {
  readonly host: string;
  readonly port: number;
  /** Whether somebody chose the port: then it must be free. Otherwise a free one is taken where it is not. */
  readonly isPortGiven: boolean;
  readonly render: () => Promise<string>;
  readonly view: () => NodeView;
}

/** @throws {StartupError} (as rejection) APP_PORT_BUSY; APP_CONFIG for an address that is not one of this machine's. */
export async function openMetrics(options: MetricsOptions): Promise<MetricsServer> {
  const server = new MetricsServer(options);
  const { host, port, isPortGiven } = options;
  const error = await server.listen(port);
  if (error === undefined) return server;
  const isTaken = error.code === 'EADDRINUSE';
  if (isTaken && !isPortGiven && (await server.listen(0)) === undefined) return server;
  if (isTaken) throw new StartupError('APP_PORT_BUSY', `${host}:${port} is taken; choose another with --metrics-port`);
  throw new StartupError('APP_CONFIG', `cannot listen on ${host}:${port}: ${error.message}. See --metrics-host.`);
}

export class MetricsServer {
  readonly #options: MetricsOptions;
  readonly #server: Server;
  #rendering: Promise<string> | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    const times = { requestTimeout: LIMITS.metricsRequestMs, headersTimeout: LIMITS.metricsRequestMs };
    this.#server = createServer(times, (request, response) => {
      request.resume();
      if (request.method === 'GET' || request.method === 'HEAD') this.#answer(request.url ?? '/', response);
      else response.writeHead(405, { allow: 'GET, HEAD' }).end();
    });
    this.#server.maxConnections = LIMITS.metricsConnectionsMax;
    this.#server.unref();
  }

  /** Resolves to what went wrong, if something did. */
  listen(port: number): Promise<NodeJS.ErrnoException | undefined> {
    return new Promise((resolve) => {
      this.#server.once('error', resolve);
      this.#server.listen({ host: this.#options.host, port, exclusive: true }, () => {
        this.#server.removeAllListeners('error');
        resolve(undefined);
      });
    });
  }

  /** Where it serves: `http://127.0.0.1:9464`. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #answer(url: string, response: ServerResponse): void {
    const { view } = this.#options;
    switch (url.split('?')[0]) {
      case '/metrics':
        return this.#scrape(response);
      case '/livez':
        return tell(judgeLife(view()), response);
      case '/readyz':
        return tell(judgeReadiness(view()), response);
      case '/startupz':
        return tell(judgeStart(view()), response);
      default:
        response.writeHead(404, PLAIN).end('Here are /metrics, /livez, /readyz and /startupz.\n');
    }
  }

  #scrape(response: ServerResponse): void {
    this.#rendering ??= this.#options.render().finally(() => (this.#rendering = undefined));
    this.#rendering.then(
      (text) => response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(text),
      (error: Error) => response.writeHead(500, PLAIN).end(`${error.message}\n`),
    );
  }
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };

function tell({ ok, reasons }: Verdict, response: ServerResponse): void {
  response.writeHead(ok ? 200 : 503, PLAIN).end(ok ? 'ok\n' : `${reasons.join('\n')}\n`);
}

/**
 * A real cluster for tests: nodes as child processes, started the way users start them, joined by real nats-server processes.
 */

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type NatsServers, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

export interface ClusterNode {
  readonly name: string;
  readonly process: ServerProcess;
  readonly url: string;
  /** A verification code is printed by the node that owns the number. */
  code(phone: string): Promise<string>;
}

export interface TestCluster {
  readonly nodes: readonly ClusterNode[];
  readonly nats: NatsServers;
}

export interface TestClusterOptions {
  readonly nodes: readonly string[];
  /** nats-server processes: 1 or 3. */
  readonly servers: number;
  /** More flags for each node. */
  readonly flags?: readonly string[];
}

export async function startTestCluster(t: Test, options: TestClusterOptions): Promise<TestCluster> {
  const nats = await startNatsServers(options.servers);
  t.teardown(() => nats.stop());
  const directory = temporaryDirectory(t);
  const config = join(directory, 'node.yaml');
  const secret = randomBytes(32).toString('hex');
  writeFileSync(config, `cluster-secret: "${secret}"\n`, { mode: 0o600 });
  const common = ['--config', config, '--nats', nats.urls.join(','), '--cluster-nodes', options.nodes.join(',')];
  const processes = await Promise.all(
    options.nodes.map((name) => {
      const flags = [...common, '--node', name, '--workers', '1', '--metrics-port', '0', ...(options.flags ?? [])];
      return ServerProcess.start(t, join(directory, name), flags);
    }),
  );
  const code = (phone: string): Promise<string> => Promise.any(processes.map((process) => process.code(phone)));
  const nodes = options.nodes.map((name, index) => {
    const process = processes[index]!;
    return { name, process, url: process.url, code };
  });
  await Promise.all(nodes.map((node) => heardOfAll(node, options.nodes.length - 1)));
  return { nodes, nats };
}

async function heardOfAll({ process }: ClusterNode, others: number): Promise<void> {
  const heard = new Set<unknown>();
  await process.line(({ event, node }) => {
    if (event === 'node_up') heard.add(node);
    return heard.size === others;
  });
}

/**
 * A node whose one worker runs on the thread of the test: the real tree over a real store, listening on a real socket, with its actors
 * within reach, so that a test can end one of them.
 */

import type { Test } from 'tap';
import { readConfig } from '../../actors/config.ts';
import { claimPort } from '../../actors/host/port.ts';
import { openStoreDirectory } from '../../actors/store-directory.ts';
import { startServing } from '../../actors/worker.ts';
import { createNode, systemClock, systemLoop, systemRandom, type RuntimeNode } from '../../runtime/index.ts';
import { createMemoryLog, type LogEntry } from '../../runtime/testing/test-node.ts';
import { until, PATIENCE_MS } from './people.ts';
import { temporaryDirectory } from './server-process.ts';

export interface NearNode {
  readonly url: string;
  readonly node: RuntimeNode;
  readonly logged: LogEntry[];
  /** The first verification code that was made for `phone`. */
  code(phone: string): Promise<string>;
}

export async function startNearNode(t: Test): Promise<NearNode> {
  const config = readConfig(['--data', temporaryDirectory(t), '--port', '0', '--workers', '1'], {});
  const { release, directory, shards, secret } = await openStoreDirectory(config.data, config.workers);
  const port = await claimPort(config.host, config.port);
  const logged: LogEntry[] = [];
  const log = createMemoryLog(logged);
  const node = createNode({ name: 'near', worker: 1, clock: systemClock, loop: systemLoop, random: systemRandom, log });
  const store = { directory, shards, secret };
  const serving = await startServing(
    node,
    { config, store, port, life: 1, release: '0.0.0' },
    (error) => void t.fail('the disk failed', { error }),
  );
  await serving.listen();
  t.teardown(async () => {
    await serving.stop();
    await release();
  });
  const codeOf = (phone: string): unknown =>
    logged.find(({ event, fields }) => event === 'verification_code' && fields['phone'] === phone)?.fields['code'];
  return {
    url: `ws://${config.host}:${port}/ws`,
    node,
    logged,
    async code(phone) {
      await until(`a code for ${phone}`, PATIENCE_MS, () => codeOf(phone) !== undefined);
      return String(codeOf(phone));
    },
  };
}

/**
 * What the main thread asks of a worker to run the node: new settings, another certificate, a drain. Answers for `admin/agent.ts`; the
 * other side is `node-control.ts`.
 */

import type { RuntimeNode } from '../runtime/index.ts';
import type { Questions } from './admin/agent.ts';
import { AdminError } from './admin/errors.ts';
import type { Admission } from './admission.ts';
import { backUpShards } from './backup.ts';
import type { NodeConfig, TlsFiles } from './config.ts';
import { drainWorker, type DrainOrder } from './drain.ts';
import type { Listener } from './listener.ts';
import type { NodeLogger } from './logger.ts';
import type { StoreInfo } from './store-directory.ts';
import type { InboxStore } from './store/inbox-store.ts';
import { admissionBounds, storeBounds, type StoreBounds } from './worker-bounds.ts';

/** The parts of a worker that take orders. */
export interface Runnable {
  readonly node: RuntimeNode;
  readonly admission: Admission;
  readonly bounds: StoreBounds;
  readonly store: StoreInfo;
  /** The shards of the worker, and their stores. */
  readonly shards: readonly number[];
  readonly stores: readonly InboxStore[];
  /** Absent until the node listens. */
  readonly listener: () => Listener | undefined;
}

export function runQuestions({ node, admission, bounds, store, shards, stores, listener }: Runnable): Questions {
  return {
    configure: (config: NodeConfig) => {
      admission.rebound(admissionBounds(config));
      bounds.queuedBytesMax = storeBounds(config, store).queuedBytesMax;
      (node.log as Partial<NodeLogger>).setLevels?.({ level: config.logLevel, modules: config.logModules });
      return {};
    },
    certificate: async (files: TlsFiles) => {
      try {
        await listener()?.replaceCertificate(files);
      } catch (error) {
        throw new AdminError('ADM_REFUSED', `the certificate was not taken: ${(error as Error).message}`);
      }
      return {};
    },
    drain: (order: DrainOrder) => drainWorker(node, admission, order),
    backup: ({ directory }: { readonly directory: string }) => backUpShards(shards, stores, directory, node),
    resume: () => {
      admission.isDraining = false;
      return {};
    },
  };
}

/** The workloads, in the order in which `bench list` shows them. A new one is entered here. */

import type { Workload } from '../harness/registry.ts';
import { createActorsWorkload } from './actors.ts';
import { createConnectionsWorkload } from './connections.ts';
import { createClusterWorkload } from './cluster.ts';
import { createJoinWorkload } from './join.ts';
import { createMediaWorkload } from './media.ts';
import { createGroupsWorkload } from './groups.ts';
import { createMessagesWorkload } from './messages.ts';
import { createOfflineWorkload } from './offline.ts';
import { createOperatorsWorkload } from './operators.ts';
import { createOffendersWorkload } from './offenders.ts';
import { createReloadWorkload } from './reload.ts';
import { createSignalWorkload } from './signal.ts';
import { createStormWorkload } from './storm.ts';

export const WORKLOADS: readonly Workload[] = [
  createMessagesWorkload(),
  createOfflineWorkload(),
  createActorsWorkload(),
  createSignalWorkload(),
  createGroupsWorkload(),
  createMediaWorkload(),
  createStormWorkload(),
  createConnectionsWorkload(),
  createClusterWorkload(),
  createJoinWorkload(),
  createReloadWorkload(),
  createOperatorsWorkload(),
  createOffendersWorkload(),
];

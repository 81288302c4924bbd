/**
 * What a worker is asked about single actors: by name, one in detail, its state, the tree. Answers are plain, bounded, and
 * without anything that the users keep from the server.
 */

import {
  formatPid,
  lineageOf,
  Pid,
  sys,
  type Context,
  type ProcessInfo,
  type ProcessView,
  type LineageNode,
  type RuntimeNode,
} from '../../runtime/index.ts';
import { AdminError, explainSilence } from './errors.ts';
import { LIMITS } from './limits.ts';
import { mask } from './mask.ts';
import { pause } from '../pause.ts';

/** An actor of the asked worker: a pid without what the worker knows. */
export interface ActorKey {
  readonly slot: number;
  readonly creation: number;
}

/** What `actor inspect` tells, from the worker. */
export interface ActorDetails extends Omit<ProcessInfo, 'pid'> {
  readonly pid: string;
  /** From its parent up, each with its name if it has one. */
  readonly ancestors: readonly string[];
}

/** One actor of a tree. */
export interface TreeActor {
  readonly pid: string;
  readonly name: string | undefined;
  readonly behavior: string;
  readonly status: ProcessInfo['status'];
  readonly queue: number;
}

export interface TreeAnswer {
  readonly roots: readonly LineageNode<TreeActor>[];
  /** Actors that are nobody's children. */
  readonly orphans: number;
}

export interface TreeQuestion {
  readonly root?: ActorKey | undefined;
  readonly depth: number;
  readonly children: number;
}

/** The questions of this file, for the table of a worker. */
export function actorQuestions(node: RuntimeNode): {
  find(question: { readonly name: string }): { readonly pid: string | undefined };
  inspect(question: ActorKey): ActorDetails;
  state(question: ActorKey, ctx: Context): Promise<{ readonly state: unknown }>;
  tree(question: TreeQuestion): Promise<TreeAnswer>;
} {
  return {
    find: ({ name }) => {
      const pid = node.whereis(name);
      return { pid: pid === undefined ? undefined : formatPid(pid) };
    },
    inspect: (key) => inspect(node, key),
    state: (key, ctx) => stateOf(node, key, ctx),
    tree: (question) => tree(node, question),
  };
}

function pidOf(node: RuntimeNode, { slot, creation }: ActorKey): Pid {
  return new Pid(node.name, node.worker, slot, creation);
}

function living(node: RuntimeNode, key: ActorKey): ProcessView {
  const process = node.view(pidOf(node, key));
  if (process === undefined) throw new AdminError('ADM_NOT_FOUND', 'the actor has ended');
  return process;
}

function inspect(node: RuntimeNode, key: ActorKey): ActorDetails {
  const process = living(node, key);
  const { pid, ...info } = node.processInfo(process)!;
  return { pid: formatPid(pid), ...info, ancestors: ancestorsOf(node, process) };
}

function ancestorsOf(node: RuntimeNode, process: ProcessView): string[] {
  const found: string[] = [];
  let { parent } = process;
  while (parent !== null && found.length < LIMITS.relationsMax) {
    const above = node.view(parent);
    // Slot 0 is the node itself, which started the roots.
    found.push(parent.slot === 0 ? 'the node' : (above?.registeredName ?? formatPid(parent)));
    parent = above?.parent ?? null;
  }
  return found;
}

/** What fits into one answer: less deep where it is too much. */
async function stateOf(node: RuntimeNode, key: ActorKey, ctx: Context): Promise<{ readonly state: unknown }> {
  const process = living(node, key);
  for (let depthMax = LIMITS.stateDepthMax; depthMax > 0; depthMax -= 1) {
    const limits = { depthMax, entriesMax: LIMITS.stateEntriesMax, charsMax: LIMITS.parameterCharsMax };
    const { state } = await sys.getStatus(ctx, process, limits, LIMITS.workerAnswerMs / 2).catch(explainSilence);
    const shown = mask(state);
    if (JSON.stringify(shown)?.length <= STATE_CHARS_MAX || shown === undefined) return { state: shown };
  }
  throw new AdminError('ADM_ANSWER_TOO_LONG');
}

/** Far below what a packet between threads holds. */
const STATE_CHARS_MAX = 65_536;

async function tree(node: RuntimeNode, { root, depth, children }: TreeQuestion): Promise<TreeAnswer> {
  if (root !== undefined) living(node, root);
  let left: number = LIMITS.treeActorsMax;
  const lineage = lineageOf<TreeActor>({
    root: root === undefined ? undefined : pidOf(node, root),
    childrenMax: children,
    depthMax: depth,
    show: (process) => {
      left -= 1;
      return treeActor(node, process);
    },
  });
  const walk = node.walk();
  while (!lineage.step(walk, LIMITS.sliceMs)) await pause(node.clock, 0);
  const roots = lineage.tree();
  if (left < 0)
    throw new AdminError('ADM_ANSWER_TOO_LONG', 'too many actors to show: ask for fewer children, or begin deeper');
  return { roots, orphans: lineage.orphanCount };
}

function treeActor(node: RuntimeNode, process: ProcessView): TreeActor {
  const info = node.processInfo(process);
  return {
    pid: formatPid(process),
    name: process.registeredName ?? undefined,
    behavior: process.behavior.name,
    status: info?.status ?? 'exiting',
    queue: info?.messageQueueLen ?? 0,
  };
}

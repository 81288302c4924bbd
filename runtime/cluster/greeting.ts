/**
 * What nodes say of themselves: signs of life, and the greetings that open a channel. JSON, so that versions which know
 * more or less of it understand each other, and people can read along.
 *
 * Whatever arrives is checked here; what is none is `undefined` and dropped by its reader.
 */

import { isNodeName } from './bus.ts';
import { LIMITS } from './limits.ts';

/** Versions of the frames and packets that this code writes and reads. */
export const VERSIONS: VersionRange = Object.freeze({ min: 1, max: 1 });

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** A node as it shows itself to the others. */
export interface Member {
  readonly node: string;
  /**
   * Which life of that name: the wall clock at its start, so that a later one is larger. Of two that claim a name the
   * later one has it.
   */
  readonly life: number;
  readonly versions: VersionRange;
  /** The workers that can be reached now. */
  readonly workers: readonly number[];
  /** What the application says of the node. Plain data. */
  readonly info: Readonly<Record<string, unknown>>;
}

/** A sign of life; `leaving` is the last one. */
export interface Beat extends Member {
  readonly kind: 'beat';
  readonly leaving: boolean;
}

/** One worker opens a channel to another, or answers. */
export interface Hello {
  readonly kind: 'hello';
  readonly node: string;
  readonly worker: number;
  readonly life: number;
  readonly versions: VersionRange;
  /** What the sender calls this channel: 1, 2, 3 … in its life. */
  readonly mine: number;
  /** What the receiver calls it, if the sender knows; else 0. */
  readonly yours: number;
  /** Whether the sender has it open: then nothing more need be said. */
  readonly open: boolean;
}

/** Says nothing and asks for nothing: whether it can be handed to anybody is what its sender wants to know. */
export interface Nothing {
  readonly kind: 'nothing';
}

/** The version that both sides know; `undefined` if there is none. */
export function agreeOn(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= ours.min && version >= theirs.min ? version : undefined;
}

/** Owned by the caller. */
export function writeGreeting(greeting: Beat | Hello | Nothing): Uint8Array {
  return Buffer.from(JSON.stringify(greeting));
}

/** Whether the bytes begin like a greeting and not like a frame. */
export function isGreeting(bytes: Uint8Array): boolean {
  return bytes[0] === OPENING_BRACE;
}

const OPENING_BRACE = 0x7b;

export function readBeat(bytes: Uint8Array): Beat | undefined {
  const value = parse(bytes);
  if (value?.['kind'] !== 'beat') return undefined;
  const { node, life, versions, workers, info, leaving } = value;
  if (!isNodeName(node, LIMITS.nodeNameCharsMax) || !isCount(life) || !isRange(versions)) return undefined;
  if (!Array.isArray(workers) || !workers.every(isCount) || !isRecord(info)) return undefined;
  return { kind: 'beat', node, life, versions, workers, info, leaving: leaving === true };
}

export function readHello(bytes: Uint8Array): Hello | undefined {
  const value = parse(bytes);
  if (value?.['kind'] !== 'hello') return undefined;
  const { node, worker, life, versions, mine, yours, open } = value;
  if (!isNodeName(node, LIMITS.nodeNameCharsMax) || !isCount(worker) || !isCount(life)) return undefined;
  if (!isRange(versions) || !isCount(mine) || !isCount(yours)) return undefined;
  return { kind: 'hello', node, worker, life, versions, mine, yours, open: open === true };
}

function parse(bytes: Uint8Array): Record<string, unknown> | undefined {
  if (bytes.length > LIMITS.beatBytesMax) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRange(value: unknown): value is VersionRange {
  return isRecord(value) && isCount(value['min']) && isCount(value['max']);
}

/** Group changes for tests: the published vectors as data, SHA-512, and changes whose signatures nobody looks at. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { decodeGroupChange, encodeGroupChange, groupChangeStatement } from '../group-change.ts';
import type { GroupAction, GroupChange, SignedGroupChange } from '../group-change.ts';
import { isGroupRefusal, type GroupRefusal } from '../group-errors.ts';
import { applyGroupChange, draftGroupChange, type GroupState } from '../group-roster.ts';
import { bytesFrom } from './notation.ts';

export interface ChangeVector {
  readonly name: string;
  readonly change: GroupChange;
  /** The change with its signature. */
  readonly bytes: Uint8Array;
  /** Of the change. */
  readonly hash: string;
  /** The roster afterwards. */
  readonly roster: string;
}

type Json = Record<string, string | number>;

const vectorsFile: URL = new URL('../../../../protocol/wire/vectors/groups-v1.json', import.meta.url);

/** The published history of one group, in its order. */
export function changeVectors(): ChangeVector[] {
  const { group, changes } = JSON.parse(readFileSync(vectorsFile, 'utf8')) as {
    group: string;
    changes: (Json & { actions: Json[] })[];
  };
  return changes.map(({ name, hex, hash, roster, actions, ...head }) => ({
    name: name as string,
    change: { group, ...fieldsFrom(head), actions: actions.map(fieldsFrom) } as unknown as GroupChange,
    bytes: bytesFrom(hex as string),
    hash: hash as string,
    roster: roster as string,
  }));
}

const HEX_FIELDS = ['formerHash', 'rosterHash', 'info', 'gateHash', 'key', 'gate', 'proof'];

function fieldsFrom(json: Json): Record<string, unknown> {
  const entries = Object.entries(json);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, HEX_FIELDS.includes(name) ? bytesFrom(value as string) : value]),
  );
}

export function sha512(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(bytes).digest());
}

export const GROUP = '314159265358979';

/** The user with this number. */
export function userOf(number: number): string {
  return String(number).padStart(15, '0');
}

/** A change as it would come from elsewhere, signed by nobody. */
export function signed(change: GroupChange): SignedGroupChange {
  const decoded = decodeGroupChange(encodeGroupChange(groupChangeStatement(change), new Uint8Array(64)));
  if (isGroupRefusal(decoded)) throw new Error(decoded.code);
  return decoded;
}

/** Lets `author` change a group. */
export function changeBy(
  state: GroupState | undefined,
  author: string,
  ...actions: readonly GroupAction[]
): GroupState | GroupRefusal {
  const draft = draftGroupChange(state, { group: GROUP, author, device: 1, time: 0, actions }, sha512);
  return isGroupRefusal(draft) ? draft : applyGroupChange(state, signed(draft), sha512);
}

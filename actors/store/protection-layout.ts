/**
 * The tables of a shard's protections on disk, byte by byte. Integers are big endian, so keys sort by number.
 *
 *   database   key                          value
 *   guard      owner 8                      policy 1 (1 open, 2 ask) ‖ relations 4
 *   relation   owner 8 ‖ other 8            1 accepted, 2 blocked, 3 both
 *   request    owner 8 ‖ stranger 8         count 4 ‖ ts 6
 *   report     place 6                      Report, msgpack
 *   push       user 8 ‖ device 1            PushRegistration, msgpack
 *
 * The only importer of lmdb is `lmdb.ts`, which opens the tables and lends them; here is what is written into them.
 */

import { decode, encode } from '../../runtime/codec.ts';
import { decodeUint48, deviceKey, encodeUint48, userKey, userOfValue } from './layout.ts';
import type {
  Decision,
  Guard,
  ListedRelation,
  PlacedReport,
  ProtectionBatch,
  ProtectionStore,
  PushRegistration,
  Report,
  StrangerRequest,
} from './protection-store.ts';

/** What is used of a table. */
export interface Table {
  get(key: Buffer): Buffer | undefined;
  getRange(options: {
    readonly start?: Buffer;
    readonly end?: Buffer;
    readonly limit?: number;
    readonly reverse?: boolean;
    readonly snapshot?: boolean;
  }): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
}

/** The tables by name, as they are opened. */
export interface ProtectionTables<T extends Table> {
  readonly guard: T;
  readonly relation: T;
  readonly request: T;
  readonly report: T;
  readonly push: T;
}

/** Opens the tables by their names. */
export function protectionTables<T extends Table>(open: (name: string) => T): ProtectionTables<T> {
  return {
    guard: open('guard'),
    relation: open('relation'),
    request: open('request'),
    report: open('report'),
    push: open('push'),
  };
}

const POLICY_BYTES = { open: 1, ask: 2 } as const;
const ACCEPTED = 1;
const BLOCKED = 2;

function pairKey(owner: string, other: string): Buffer {
  return Buffer.concat([userKey(owner), userKey(other)]);
}

function encodeGuard({ policy, relations }: Guard): Buffer {
  const value = Buffer.allocUnsafe(5);
  value[0] = POLICY_BYTES[policy];
  value.writeUInt32BE(relations, 1);
  return value;
}

function decodeGuard(value: Buffer): Guard {
  return { policy: value[0] === POLICY_BYTES.ask ? 'ask' : 'open', relations: value.readUInt32BE(1) };
}

function encodeRequest({ count, ts }: StrangerRequest): Buffer {
  const value = Buffer.allocUnsafe(10);
  value.writeUInt32BE(count, 0);
  value.writeUIntBE(ts, 4, 6);
  return value;
}

function decodeRequest(value: Buffer): StrangerRequest {
  return { count: value.readUInt32BE(0), ts: value.readUIntBE(4, 6) };
}

function decodeDecision(value: Buffer): Decision {
  const flags = value[0]!;
  return { accepted: (flags & ACCEPTED) !== 0, blocked: (flags & BLOCKED) !== 0 };
}

/** The writing half over tables that somebody else writes to. */
export function protectionBatch<T extends Table>(
  tables: ProtectionTables<T>,
  put: (table: T, key: Buffer, value: Buffer) => void,
  remove: (table: T, key: Buffer) => void,
): ProtectionBatch {
  return {
    putGuard: (owner, guard) => put(tables.guard, userKey(owner), encodeGuard(guard)),
    putRelation: (owner, other, { accepted, blocked }) => {
      const flags = (accepted ? ACCEPTED : 0) | (blocked ? BLOCKED : 0);
      put(tables.relation, pairKey(owner, other), Buffer.from([flags]));
    },
    removeRelation: (owner, other) => remove(tables.relation, pairKey(owner, other)),
    putRequest: (owner, other, request) => put(tables.request, pairKey(owner, other), encodeRequest(request)),
    putReport: (place, report) => put(tables.report, encodeUint48(place), Buffer.from(encode(report))),
    removeReport: (place) => remove(tables.report, encodeUint48(place)),
    putPush: (user, device, registration) => {
      put(tables.push, deviceKey(user, device), Buffer.from(encode(registration)));
    },
    removePush: (user, device) => remove(tables.push, deviceKey(user, device)),
  };
}

/** The reading half. */
export class ProtectionReader implements ProtectionStore {
  readonly #tables: ProtectionTables<Table>;

  constructor(tables: ProtectionTables<Table>) {
    this.#tables = tables;
  }

  guard(owner: string): Guard | undefined {
    const value = this.#tables.guard.get(userKey(owner));
    return value === undefined ? undefined : decodeGuard(value);
  }

  relation(owner: string, other: string): Decision | undefined {
    const value = this.#tables.relation.get(pairKey(owner, other));
    return value === undefined ? undefined : decodeDecision(value);
  }

  request(owner: string, other: string): StrangerRequest | undefined {
    const value = this.#tables.request.get(pairKey(owner, other));
    return value === undefined ? undefined : decodeRequest(value);
  }

  relations(owner: string, after: string, countMax: number): ListedRelation[] {
    const decisions = this.#page(this.#tables.relation, owner, after, countMax, decodeDecision);
    const requests = this.#page(this.#tables.request, owner, after, countMax, decodeRequest);
    const users = [...new Set([...decisions.keys(), ...requests.keys()])].sort().slice(0, countMax);
    return users.map((user) => ({ user, decision: decisions.get(user), request: requests.get(user) }));
  }

  #page<T>(table: Table, owner: string, after: string, limit: number, read: (value: Buffer) => T): Map<string, T> {
    const start = Buffer.concat([pairKey(owner, after), Buffer.of(0)]);
    const end = pairKey(String(Number(owner) + 1), '0');
    const page = new Map<string, T>();
    for (const { key, value } of table.getRange({ start, end, limit, snapshot: false })) {
      page.set(userOfValue(key.subarray(8)), read(value));
    }
    return page;
  }

  reports(place: number, countMax: number): PlacedReport[] {
    const range = this.#tables.report.getRange({ start: encodeUint48(place), limit: countMax, snapshot: false });
    return Array.from(range, ({ key, value }) => {
      const { evidence, ...report } = decode(value) as Report;
      return { place: decodeUint48(key), report: { ...report, evidence: new Uint8Array(evidence) } };
    });
  }

  lastReport(): number {
    for (const { key } of this.#tables.report.getRange({ reverse: true, limit: 1, snapshot: false })) {
      return decodeUint48(key);
    }
    return 0;
  }

  push(user: string, device: number): PushRegistration | undefined {
    const value = this.#tables.push.get(deviceKey(user, device));
    return value === undefined ? undefined : (decode(value) as PushRegistration);
  }
}

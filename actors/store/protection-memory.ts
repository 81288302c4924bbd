/** The protections of a shard in memory, for tests and simulation: the contract of `protection-store.ts` without a disk. */

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

export class ProtectionMemory implements ProtectionStore {
  readonly #guards = new Map<string, Guard>();
  readonly #relations = new Map<string, Decision>();
  readonly #requests = new Map<string, StrangerRequest>();
  readonly #reports = new Map<number, Report>();
  readonly #pushes = new Map<string, PushRegistration>();

  /** Collects writes; `later` runs each when the commit succeeds. */
  batch(later: (write: () => void) => void): ProtectionBatch {
    return {
      putGuard: (owner, guard) => later(() => this.#guards.set(owner, guard)),
      putRelation: (owner, other, decision) => later(() => this.#relations.set(`${owner}<${other}`, decision)),
      removeRelation: (owner, other) => later(() => this.#relations.delete(`${owner}<${other}`)),
      putRequest: (owner, other, request) => later(() => this.#requests.set(`${owner}<${other}`, request)),
      putReport: (place, report) => {
        const copy = { ...report, evidence: report.evidence.slice() };
        later(() => this.#reports.set(place, copy));
      },
      removeReport: (place) => later(() => this.#reports.delete(place)),
      putPush: (user, device, registration) => later(() => this.#pushes.set(`${user}.${device}`, registration)),
      removePush: (user, device) => later(() => this.removePush(user, device)),
    };
  }

  /** @internal Part of the removal of a device. */
  removePush(user: string, device: number): void {
    this.#pushes.delete(`${user}.${device}`);
  }

  guard(owner: string): Guard | undefined {
    return this.#guards.get(owner);
  }

  relation(owner: string, other: string): Decision | undefined {
    return this.#relations.get(`${owner}<${other}`);
  }

  request(owner: string, other: string): StrangerRequest | undefined {
    return this.#requests.get(`${owner}<${other}`);
  }

  relations(owner: string, after: string, countMax: number): ListedRelation[] {
    const prefix = `${owner}<`;
    const names = [...this.#relations.keys(), ...this.#requests.keys()].filter((name) => name.startsWith(prefix));
    const users = [...new Set(names.map((name) => name.slice(prefix.length)))].filter((user) => user > after).sort();
    return users.slice(0, countMax).map((user) => {
      return { user, decision: this.relation(owner, user), request: this.request(owner, user) };
    });
  }

  reports(place: number, countMax: number): PlacedReport[] {
    const places = [...this.#reports.keys()].filter((each) => each >= place).sort((left, right) => left - right);
    return places.slice(0, countMax).map((each) => ({ place: each, report: this.#reports.get(each)! }));
  }

  lastReport(): number {
    return Math.max(0, ...this.#reports.keys());
  }

  push(user: string, device: number): PushRegistration | undefined {
    return this.#pushes.get(`${user}.${device}`);
  }
}

/** What the server in memory keeps of its accounts' decisions: enough for a client to tell, and no bounds but one. */

import type { Answer, ProtectionGet, ProtectionSet, PushTarget, StrangersPolicy } from '../../protocol/wire/index.ts';

type Request = ProtectionGet | ProtectionSet;

/** The decisions of all accounts. */
export class FakeProtection {
  readonly #policies = new Map<string, StrangersPolicy>();
  readonly #relations = new Map<string, Map<string, 'accepted' | 'blocked'>>();
  readonly #pushes = new Map<string, PushTarget['platform']>();
  /** Reports with their reporters, oldest first. */
  readonly reports: (Extract<Request, { kind: 'report' }> & { readonly reporter: string })[] = [];

  isBlocked(owner: string, other: string): boolean {
    return this.#relations.get(owner)?.get(other) === 'blocked';
  }

  /** Whether `other` is told nothing of what `owner` gets. */
  isStranger(owner: string, other: string): boolean {
    return this.#policies.get(owner) === 'ask' && this.#relations.get(owner)?.get(other) !== 'accepted';
  }

  answer(user: string, request: Request): Answer {
    const relations = this.#relations.get(user) ?? new Map<string, 'accepted' | 'blocked'>();
    this.#relations.set(user, relations);
    switch (request.kind) {
      case 'limits':
        return { kind: 'limits', limits: [{ action: 'message', left: 3, max: 4, full: 1 }] };
      case 'relations':
        return { kind: 'relations', relations: Array.from(relations, ([other, state]) => ({ user: other, state })) };
      case 'relation':
        if (request.state === 'none') relations.delete(request.user);
        else relations.set(request.user, request.state);
        return { kind: 'relation', user: request.user, state: request.state };
      case 'strangers':
        return { kind: 'strangers', policy: this.#policies.get(user) ?? 'open' };
      case 'strangers-change':
        this.#policies.set(user, request.policy);
        return { kind: 'strangers', policy: request.policy };
      case 'report':
        this.reports.push({ ...request, reporter: user });
        return { kind: 'report', user: request.user };
      case 'notify':
        return { kind: 'notify', preKeys: request.preKeys, kemPreKeys: request.kemPreKeys };
      case 'push':
        return { kind: 'push', platform: this.#pushes.get(user) ?? 'none' };
      case 'push-change':
        this.#pushes.set(user, request.target.platform);
        return { kind: 'push', platform: request.target.platform };
    }
  }
}
